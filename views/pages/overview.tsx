import type { Job } from '../../src/core/job.ts'
import type { Micros } from '../../src/core/time.ts'
import { pct } from '../axis.ts'
import { count, cut, duration, number, percent, when } from '../format.ts'
import { defaultQuery, flags, jobsUrl, type Window, windowNames } from '../jobs-query.ts'
import { Layout } from '../layout.tsx'
import type { Notice, Page } from '../page.ts'
import { Cards, type Tally, type UsualCounts } from '../partials/cards.tsx'
import { type Bucket, JobsChart, stepName } from '../partials/chart.tsx'
import { Windows } from '../partials/filters.tsx'
import { keyOf, place, tookText } from '../partials/job-row.tsx'
import { Notices } from '../partials/notice.tsx'
import { Scroll } from '../partials/scroll.tsx'
import { Status, shownStatus } from '../partials/status.tsx'
import { jobPath, withQuery } from '../urls.ts'
import { spanOf } from './jobs.tsx'

/** An app's jobs that started in the window. */
export type AppTally = {
  name: string
  jobs: number
  running: number
  failed: number
  ended: number
}

/** What failures share: a value, and how many of the failures and of the jobs looked at have it. */
export type Cause = {
  name: string
  value: string
  failures: number
  share: number
  baseShare: number
}

export type Causes = {
  rows: readonly Cause[]
  /** How many failures, and how many jobs of any status, were looked at. */
  failures: number
  jobs: number
}

export type OverviewView = {
  window: Window
  from: Micros
  to: Micros
  /** Undefined when nothing could be had. */
  data:
    | {
        tally: Tally
        usual: UsualCounts | undefined
        buckets: readonly Bucket[]
        stepS: number
        apps: readonly AppTally[]
        causes: Causes
        /** Stuck, lost or late among the running jobs that were looked at. */
        flagged: readonly Job[]
        lookedAt: number
        failures: readonly Job[]
        newest: readonly Job[]
      }
    | undefined
  notices: readonly Notice[]
  live: string
}

export function OverviewPage({ page, view }: { page: Page; view: OverviewView }) {
  return (
    <Layout page={page} title="Overview" section="Overview" live={view.live}>
      <OverviewBody page={page} view={view} />
    </Layout>
  )
}

/** All that changes; it asks for itself anew, at most every ten seconds, when jobs changed. */
function OverviewBody({ page, view }: { page: Page; view: OverviewView }) {
  const site = page.siteQuery
  const path = (w: Window) => withQuery('/', { site, w: w === defaultQuery.window ? undefined : w })
  return (
    <div
      id="overview"
      class="body"
      hx-get={path(view.window)}
      hx-trigger="jobs-changed from:#live throttle:10s"
      hx-select="#overview"
      hx-swap="outerMorph"
    >
      <div class="head">
        <h1>Overview</h1>
        <small>{spanOf(view)}</small>
        <span class="sp" />
        <Windows query={{ window: view.window }} href={path} all={false} />
      </div>
      <Notices notices={view.notices} />
      {view.data === undefined ? null : <Panels page={page} view={view} data={view.data} />}
    </div>
  )
}

type Data = NonNullable<OverviewView['data']>
type PanelProps = { page: Page; view: OverviewView; data: Data }

function Panels({ page, view, data }: PanelProps) {
  return (
    <>
      <section aria-label="Counts">
        <Cards
          tally={data.tally}
          usual={data.usual}
          span={`started in ${windowNames[view.window]}`}
        />
      </section>
      <section class="panel fill w7" aria-label="Jobs over time">
        <header>
          <h2>Jobs over time</h2>
          <small>started per {stepName(data.stepS)}</small>
        </header>
        <JobsChart buckets={data.buckets} stepS={data.stepS} now={page.now} />
      </section>
      <CausesPanel view={view} data={data} site={page.siteQuery} />
      <Flagged page={page} data={data} />
      <Failures page={page} view={view} data={data} />
      <Apps page={page} view={view} data={data} />
      <Newest page={page} data={data} />
    </>
  )
}

function CausesPanel({
  data: { causes },
}: {
  view: OverviewView
  data: Data
  site: string | undefined
}) {
  return (
    <section class="panel fill w5" aria-label="What failures have in common">
      <header>
        <h2>What failures have in common</h2>
        <small>
          {causes.failures === 0
            ? ''
            : `newest ${count(causes.failures, 'failure')} against the newest ${count(causes.jobs, 'job')}`}
        </small>
      </header>
      {causes.rows.length === 0 ? (
        <p class="empty">
          {causes.failures === 0
            ? 'Nothing failed in this window.'
            : 'Nothing stands out: no value is much more frequent among the failures than among all jobs.'}
        </p>
      ) : (
        <table class="t">
          <caption class="vh">What failures have in common</caption>
          <thead>
            <tr>
              <th scope="col">Same</th>
              <th scope="col" class="n">
                Failures
              </th>
              <th scope="col" class="n">
                All jobs
              </th>
              <th scope="col">
                <span class="vh">Chart</span>
              </th>
            </tr>
          </thead>
          <tbody>
            {causes.rows.map((cause) => (
              <CauseRow cause={cause} />
            ))}
          </tbody>
        </table>
      )}
    </section>
  )
}

function CauseRow({ cause: { name, value, share, baseShare } }: { cause: Cause }) {
  return (
    <tr>
      <th scope="row" class="x">
        <small>{name}</small> {cut(value, 80)}
      </th>
      <td class="n">{percent(share, 0)}</td>
      <td class="n">{percent(baseShare, 0)}</td>
      <td>
        <svg class="bar" aria-hidden="true">
          <rect class="f-run" width={pct(share * 100)} height="100%" />
          <line class="now" x1={pct(baseShare * 100)} x2={pct(baseShare * 100)} y2="100%" />
        </svg>
      </td>
    </tr>
  )
}

function Flagged({ page, data: { flagged, lookedAt } }: { page: Page; data: Data }) {
  return (
    <section class="panel fill w6" aria-label="Stuck, lost, late">
      <header>
        <h2>Stuck, lost, late</h2>
        <small>
          among the{' '}
          <a href={jobsUrl({ ...defaultQuery, window: 'all', flags }, page.siteQuery)}>
            {count(lookedAt, 'oldest running job')}
          </a>
        </small>
      </header>
      {flagged.length === 0 ? (
        <p class="empty">None. Running jobs are within their usual times and report.</p>
      ) : (
        <MiniTable
          caption="Stuck, lost and late jobs"
          heads={['State', 'Key', 'App', 'Tool']}
          numbers={['For', 'Usual']}
          rows={flagged.map((job) => ({
            job,
            first: <Status of={shownStatus(job)} />,
            cells: [cut(job.appName, 40), place(job)],
            numbers: [tookText(job, page.now), usualOf(job)],
          }))}
          site={page.siteQuery}
        />
      )}
    </section>
  )
}

const usualOf = ({ usual }: Job) =>
  usual === undefined ? '' : `${duration(usual.p05S)} to ${duration(usual.p95S)}`

function Failures({ page, view, data: { failures, tally } }: PanelProps) {
  const site = page.siteQuery
  const all = jobsUrl({ ...defaultQuery, window: view.window, status: ['failed'] }, site)
  return (
    <section class="panel fill w6" aria-label="Newest failures">
      <header>
        <h2>Newest failures</h2>
        <small>{failures.length === 0 ? '' : <a href={all}>all {number(tally.failed)}</a>}</small>
      </header>
      {failures.length === 0 ? (
        <p class="empty">None in this window.</p>
      ) : (
        <MiniTable
          caption="Newest failures"
          heads={['Started', 'Key', 'App', 'Tool', 'Error']}
          rows={failures.map((job) => ({
            job,
            first: <>{when(job.startedAt, page.now)}</>,
            cells: [cut(job.appName, 40), place(job)],
            rest: cut(job.lastError ?? '', 160),
            numbers: [],
          }))}
          site={site}
        />
      )}
    </section>
  )
}

function Newest({ page, data: { newest } }: { page: Page; data: Data }) {
  const site = page.siteQuery
  return (
    <section class="panel fill w6" aria-label="Newest jobs">
      <header>
        <h2>Newest jobs</h2>
        <small>
          <a href={jobsUrl(defaultQuery, site)}>all jobs</a>
        </small>
      </header>
      {newest.length === 0 ? (
        <p class="empty">No job started in this window.</p>
      ) : (
        <MiniTable
          caption="Newest jobs"
          heads={['Status', 'Key', 'App', 'Tool', 'Started']}
          numbers={['Duration']}
          rows={newest.map((job) => ({
            job,
            first: <Status of={shownStatus(job)} />,
            cells: [cut(job.appName, 40), place(job), when(job.startedAt, page.now)],
            numbers: [tookText(job, page.now)],
          }))}
          site={site}
        />
      )}
    </section>
  )
}

type Element = ReturnType<typeof Status>
type MiniRow = {
  job: Job
  first: Element
  cells: string[]
  numbers: string[]
  /** A last cell, cut to the room that is left. */
  rest?: string
}
type MiniProps = {
  caption: string
  heads: readonly string[]
  numbers?: readonly string[]
  rows: readonly MiniRow[]
  site: string | undefined
}

/** A short list of jobs: a first cell, the key, some text, some numbers. */
function MiniTable({ caption, heads, numbers = [], rows, site }: MiniProps) {
  return (
    <Scroll label={`${caption}, table`}>
      <table class="t stack">
        <caption class="vh">{caption}</caption>
        <thead>
          <tr>
            {heads.map((head) => (
              <th scope="col">{head}</th>
            ))}
            {numbers.map((head) => (
              <th scope="col" class="n">
                {head}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {rows.map(({ job, first, cells, numbers: values, rest }) => (
            <tr>
              <td>{first}</td>
              <th scope="row" class="k">
                <a href={jobPath(job.id, site)}>{cut(keyOf(job), 40)}</a>
              </th>
              {cells.map((cell) => (
                <td class="cut">{cell}</td>
              ))}
              {values.map((value, i) => (
                <td class="n" data-l={value === '' ? undefined : numbers[i]?.toLowerCase()}>
                  {value}
                </td>
              ))}
              {rest === undefined ? null : <td class="cut e">{rest}</td>}
            </tr>
          ))}
        </tbody>
      </table>
    </Scroll>
  )
}

function Apps({ page, view, data: { apps } }: PanelProps) {
  const href = (app: string) =>
    jobsUrl({ ...defaultQuery, window: view.window, app }, page.siteQuery)
  return (
    <section class="panel fill w6" aria-label="By app">
      <header>
        <h2>By app</h2>
        <small>most failures first, then most jobs</small>
      </header>
      {apps.length === 0 ? (
        <p class="empty">No job started in this window.</p>
      ) : (
        <Scroll label="By app, table">
          <table class="t">
            <caption class="vh">Jobs by app</caption>
            <thead>
              <tr>
                <th scope="col">App</th>
                {['Jobs', 'Running', 'Failed', 'Failed of ended'].map((head) => (
                  <th scope="col" class="n">
                    {head}
                  </th>
                ))}
              </tr>
            </thead>
            <tbody>
              {apps.map((app) => (
                <tr>
                  <th scope="row" class="k cut">
                    <a href={href(app.name)}>{cut(app.name, 40)}</a>
                  </th>
                  <td class="n">{number(app.jobs)}</td>
                  <td class="n">{number(app.running)}</td>
                  <td class="n">{number(app.failed)}</td>
                  <td class="n">{app.ended === 0 ? '' : percent(app.failed / app.ended)}</td>
                </tr>
              ))}
            </tbody>
          </table>
        </Scroll>
      )}
    </section>
  )
}
