import type { Job } from '../../src/core/job.ts'
import type { Micros } from '../../src/core/time.ts'
import { count, cut, duration, number, percent } from '../format.ts'
import { windowText } from '../job-text.ts'
import { defaultQuery, flags, jobsUrl, type Window, windowNames } from '../jobs-query.ts'
import type { Notice, Page } from '../page.ts'
import { Cards, type Tally, type UsualCounts } from '../partials/cards.tsx'
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

/** An app's jobs that started in the window. */
export type AppTally = {
  name: string
  jobs: number
  running: number
  failed: number
  ended: number
}

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
        /** Stuck, lost or late among the running jobs that were checked. */
        flagged: readonly Job[]
        /** The number of running jobs that were checked, those that started first. */
        checked: number
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
          span={`started in ${windowNames[view.window]}`}
        />
      </section>
      <Panel title="Jobs over time" note={`started per ${stepName(data.stepS)}`} class="fill w7">
        <JobsChart buckets={data.buckets} stepS={data.stepS} now={page.now} />
      </Panel>
      <CausesPanel causes={data.causes} />
      <Flagged page={page} data={data} />
      <Failures page={page} view={view} data={data} />
      <Apps page={page} view={view} data={data} />
      <Newest page={page} data={data} />
    </>
  )
}

function Flagged({ page, data: { flagged, checked } }: Pick<PanelProps, 'page' | 'data'>) {
  const site = page.siteQuery
  const oldest = count(checked, 'oldest running job')
  const all = jobsUrl({ ...defaultQuery, window: 'all', flags }, site)
  return (
    <Panel
      title="Stuck, lost, late"
      note={
        <>
          among the <a href={all}>{oldest}</a>
        </>
      }
      class="fill w6"
    >
      <DataTable
        caption="Stuck, lost and late jobs"
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
        empty={
          checked === 0 ? 'No job is running.' : `None of the ${oldest} is stuck, lost or late.`
        }
      />
    </Panel>
  )
}

const usualText = ({ usual }: Job) =>
  usual === undefined ? '' : `${duration(usual.p05S)} to ${duration(usual.p95S)}`

function Failures({ page, view, data: { failures, tally } }: PanelProps) {
  const site = page.siteQuery
  const all = jobsUrl({ ...defaultQuery, window: view.window, status: ['failed'] }, site)
  return (
    <Panel
      title="Newest failures"
      note={failures.length === 0 ? undefined : <a href={all}>all {number(tally.failed)}</a>}
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
        empty="No job failed in this window."
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
        empty="No job started in this window."
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
    { head: 'Jobs', number: true, cell: ({ jobs }) => number(jobs) },
    { head: 'Running', number: true, cell: ({ running }) => number(running) },
    { head: 'Failed', number: true, cell: ({ failed }) => number(failed) },
    {
      head: 'Failure rate',
      number: true,
      cell: ({ ended, failed }) => (ended === 0 ? '' : percent(failed / ended)),
    },
  ]
  return (
    <Panel title="By app" note="most failures first, then most jobs" class="fill w6">
      <DataTable
        caption="Jobs by app"
        columns={columns}
        rows={apps}
        empty="No job started in this window."
      />
    </Panel>
  )
}
