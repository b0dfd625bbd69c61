import type { Job } from '../../src/core/job.ts'
import type { Running } from '../../src/core/questions/running.ts'
import type { Micros } from '../../src/core/time.ts'
import { capitalize, count, cut, duration, number, percent } from '../format.ts'
import { windowText } from '../job-text.ts'
import { defaultQuery, flags, jobsUrl, type Window, windowNames } from '../jobs-query.ts'
import type { Notice, Page } from '../page.ts'
import { Cards, cardUrl, type Tally, type UsualCounts } from '../partials/cards.tsx'
import { type Causes, CausesPanel } from '../partials/causes.tsx'
import { type Bucket, JobsChart, stepName } from '../partials/chart.tsx'
import { type Column, DataTable } from '../partials/data-table.tsx'
import { Windows } from '../partials/filters.tsx'
import {
  appColumn,
  elapsedColumn,
  errorColumn,
  keyColumn,
  startedColumn,
  statusColumn,
  toolColumn,
} from '../partials/jobs-table.tsx'
import { Notices } from '../partials/notice.tsx'
import { Panel } from '../partials/panel.tsx'
import { withQuery } from '../urls.ts'

/** An app's jobs that ended in the window. */
export type AppTally = {
  name: string
  failed: number
  ended: number
}

/** The running jobs of all sites together. */
type RunningTotals = Omit<Running, 'siteId'>

export type OverviewView = {
  window: Window
  from: Micros
  to: Micros
  /** Undefined when the API is away and there is no earlier answer. */
  data:
    | {
        tally: Tally
        usual: UsualCounts | undefined
        buckets: readonly Bucket[]
        stepS: number
        apps: readonly AppTally[]
        causes: Causes
        /** The newest of the running jobs that are stuck, lost or late. */
        flagged: readonly Job[]
        /** All running jobs, judged. */
        running: RunningTotals
        failures: readonly Job[]
        newest: readonly Job[]
      }
    | undefined
  notices: readonly Notice[]
}

/** Does anything need attention? */
export function OverviewBody({ page, view }: { page: Page; view: OverviewView }) {
  const site = page.siteQuery
  const path = (w: Window) => withQuery('/', { site, w: w === defaultQuery.window ? undefined : w })
  return (
    <div id="overview" class="body">
      <div class="head">
        <h1>Overview</h1>
        <small id="window">{windowText(view)}</small>
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
      <section id="cards" aria-label="Counts">
        <Cards
          tally={data.tally}
          usual={data.usual}
          span={`ended in ${windowNames[view.window]}`}
          href={(counted) => cardUrl(counted, { window: view.window }, page.siteQuery)}
        />
      </section>
      <Panel title="Jobs over time" note={`started per ${stepName(data.stepS)}`} class="fill w7">
        <JobsChart buckets={data.buckets} stepS={data.stepS} now={page.now} />
      </Panel>
      <CausesPanel causes={data.causes} window={view.window} site={page.siteQuery} />
      <Flagged page={page} data={data} />
      <Failures page={page} view={view} data={data} />
      <Apps page={page} view={view} data={data} />
      <Newest page={page} data={data} />
    </>
  )
}

function Flagged({ page, data: { flagged, running } }: Pick<PanelProps, 'page' | 'data'>) {
  const site = page.siteQuery
  const all = jobsUrl({ ...defaultQuery, flags }, site)
  return (
    <Panel
      title="Stuck, lost, late"
      note={running.flagged === 0 ? undefined : <a href={all}>{flaggedText(running)}</a>}
      class="fill w6"
    >
      <DataTable
        caption="Stuck, lost and late jobs, newest first"
        stack
        columns={[
          statusColumn('State'),
          keyColumn('Key', site),
          appColumn,
          toolColumn,
          elapsedColumn('For', page.now),
          { head: 'Usual', number: true, cell: usualText },
        ]}
        rows={flagged}
        empty={noneText(running)}
      />
      {flagged.length > 0 && notJudged(running) !== '' ? (
        <p class="empty">{notJudged(running)}</p>
      ) : null}
    </Panel>
  )
}

/** `all 91: 81 lost, 10 stuck of 2,300 running`. A late job may be lost or stuck as well. */
function flaggedText({ flagged, lost, stuck, late, running, complete }: RunningTotals): string {
  const parts = [
    [lost, 'lost'],
    [stuck, 'stuck'],
    [late, 'late'],
  ] as const
  const each = parts.filter(([n]) => n > 0).map(([n, word]) => `${number(n)} ${word}`)
  const more = complete ? '' : 'more than '
  return `all ${more}${number(flagged)}: ${each.join(', ')} of ${more}${number(running)} running`
}

function noneText(running: RunningTotals): string {
  if (running.running === 0) return 'No job is running.'
  const all = `${running.complete ? '' : 'the newest '}${count(running.running, 'running job')}`
  const unknown = notJudged(running)
  if (unknown === '') return `${capitalize(`none of ${all}`)} is stuck, lost or late.`
  return `${capitalize(`none of ${all}`)} is known to be stuck, lost or late. ${unknown}`
}

/** What is not known of running jobs; empty when all could be judged. */
function notJudged({ lostNotJudged, stuckNotJudged }: RunningTotals): string {
  const n = Math.max(lostNotJudged, stuckNotJudged)
  return n === 0 ? '' : `${count(n, 'job')} not judged: no history yet.`
}

const usualText = ({ usual }: Job) =>
  usual === undefined ? '' : `${duration(usual.p05S)} to ${duration(usual.p95S)}`

function Failures({ page, view, data: { failures } }: PanelProps) {
  const site = page.siteQuery
  const all = cardUrl('failed', { window: view.window }, site)
  return (
    <Panel
      title="Newest failures"
      note={failures.length === 0 ? undefined : <a href={all}>all failures</a>}
      class="fill w6"
    >
      <DataTable
        caption="Newest failures"
        stack
        columns={[
          startedColumn(page.now),
          keyColumn('Key', site),
          appColumn,
          toolColumn,
          errorColumn('Error', 160),
        ]}
        rows={failures}
        empty="No job ended as failed in this window."
      />
    </Panel>
  )
}

function Newest({ page, data: { newest } }: Pick<PanelProps, 'page' | 'data'>) {
  const site = page.siteQuery
  return (
    <Panel
      title="Newest jobs"
      note={<a href={jobsUrl(defaultQuery, site)}>all jobs</a>}
      class="fill w6"
    >
      <DataTable
        caption="Newest jobs"
        stack
        columns={[
          statusColumn(),
          keyColumn('Key', site),
          appColumn,
          toolColumn,
          { ...startedColumn(page.now), class: 'cut' },
          elapsedColumn('Duration', page.now),
        ]}
        rows={newest}
        empty="No job was active in this window."
      />
    </Panel>
  )
}

function Apps({ page, view, data: { apps } }: PanelProps) {
  const href = (app: string) =>
    jobsUrl({ ...defaultQuery, window: view.window, app }, page.siteQuery)
  const columns: Column<AppTally>[] = [
    {
      head: 'App',
      rowHeader: true,
      class: 'k cut',
      cell: ({ name }) => <a href={href(name)}>{cut(name, 40)}</a>,
    },
    { head: 'Ended', number: true, cell: ({ ended }) => number(ended) },
    { head: 'Failed', number: true, cell: ({ failed }) => number(failed) },
    {
      head: 'Failure rate',
      number: true,
      cell: ({ ended, failed }) => (ended === 0 ? '' : percent(failed / ended)),
    },
  ]
  return (
    <Panel
      title="By app"
      note="ended in the window; most failures first, then most jobs"
      class="fill w6"
    >
      <DataTable
        caption="Jobs by app"
        columns={columns}
        rows={apps}
        empty="No job ended in this window."
      />
    </Panel>
  )
}
