import type { Job } from '../../src/core/job.ts'
import type { RunningTotals } from '../../src/core/questions/running.ts'
import type { Micros } from '../../src/core/time.ts'
import { capitalize, count, cut, duration, number, percent } from '../format.ts'
import { windowText } from '../job-text.ts'
import { defaultQuery, flags, jobsUrl, type Window, windowNames } from '../jobs-query.ts'
import { ageOfPart, type Notice, type Page } from '../page.ts'
import {
  Cards,
  CardsSection,
  cardQuestions,
  cardUrl,
  type Tally,
  type UsualCounts,
} from '../partials/cards.tsx'
import { type Causes, CausesPanel, causesTitle } from '../partials/causes.tsx'
import { type Bucket, JobsChart, stepName } from '../partials/chart.tsx'
import { type Column, DataTable } from '../partials/data-table.tsx'
import { Windows } from '../partials/filters.tsx'
import {
  appColumn,
  elapsedColumn,
  endedColumn,
  errorColumn,
  keyColumn,
  queueColumn,
  startedColumn,
  statusColumn,
  toolColumn,
} from '../partials/jobs-table.tsx'
import { Notices } from '../partials/notice.tsx'
import { Down, Panel } from '../partials/panel.tsx'
import { withQuery } from '../urls.ts'

/** An app's jobs that ended in the window. */
export type AppTally = {
  name: string
  failed: number
  ended: number
  /** Of the ended, those of which it is not known how. */
  unknown: number
}

export type OverviewView = {
  window: Window
  from: Micros
  to: Micros
  stepS: number
  usual: UsualCounts | undefined
  /** Each of these is undefined while the API has not answered it; the others stand all the same. */
  tally: Tally | undefined
  buckets: readonly Bucket[] | undefined
  apps: readonly AppTally[] | undefined
  causes: Causes | undefined
  /** The newest of the open jobs that are stuck, lost or late, and all of them, judged. */
  flagged: { jobs: readonly Job[]; running: RunningTotals } | undefined
  failures: readonly Job[] | undefined
  newest: readonly Job[] | undefined
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
        <small id="window">{windowText(view, page.now)}</small>
        <span class="sp" />
        <Windows query={{ window: view.window }} href={path} all={false} />
      </div>
      <Notices notices={view.notices} />
      <Counts page={page} view={view} />
      <Chart page={page} view={view} />
      {view.causes === undefined ? (
        <Down title={causesTitle} class="fill w5" />
      ) : (
        <CausesPanel
          causes={view.causes}
          window={view.window}
          site={site}
          oldS={ageOfPart(page, 'causes')}
        />
      )}
      <Flagged page={page} view={view} />
      <Failures page={page} view={view} />
      <Apps page={page} view={view} />
      <Newest page={page} view={view} />
    </div>
  )
}

type PanelProps = { page: Page; view: OverviewView }

function Counts({ page, view: { tally, usual, window } }: PanelProps) {
  if (tally === undefined) return <Down title="Counts" />
  return (
    <CardsSection oldS={ageOfPart(page, ...cardQuestions)}>
      <Cards
        tally={tally}
        usual={usual}
        span={`ended in ${windowNames[window]}`}
        href={(counted) => cardUrl(counted, { window }, page.siteQuery)}
      />
    </CardsSection>
  )
}

function Chart({ page, view: { buckets, stepS } }: PanelProps) {
  const title = 'Jobs over time'
  if (buckets === undefined) return <Down title={title} class="fill w7" />
  return (
    <Panel
      title={title}
      note={`started per ${stepName(stepS)}`}
      class="fill w7"
      oldS={ageOfPart(page, 'chart')}
    >
      <JobsChart buckets={buckets} stepS={stepS} now={page.now} />
    </Panel>
  )
}

function Flagged({ page, view }: PanelProps) {
  if (view.flagged === undefined) return <Down title="Stuck, lost, late" class="fill w6" />
  const { jobs: flagged, running } = view.flagged
  const site = page.siteQuery
  const all = jobsUrl({ ...defaultQuery, flags }, site)
  return (
    <Panel
      title="Stuck, lost, late"
      oldS={ageOfPart(page, 'flagged', 'running')}
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
          queueColumn(page.now),
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

/** `all 93: 81 lost, 10 stuck of 2,300 running; 2 late and still queued`. A late job may be lost or stuck as well. */
function flaggedText(totals: RunningTotals): string {
  const { flagged, lost, stuck, late, lateQueued, running, complete } = totals
  const parts = [
    [lost, 'lost'],
    [stuck, 'stuck'],
    [late - lateQueued, 'late'],
  ] as const
  const each = parts.filter(([n]) => n > 0).map(([n, word]) => `${number(n)} ${word}`)
  const more = complete ? '' : 'more than '
  const said = [
    ...(each.length > 0 ? [`${each.join(', ')} of ${more}${number(running)} running`] : []),
    ...(lateQueued > 0 ? [`${number(lateQueued)} late and still queued`] : []),
  ]
  return `all ${more}${number(flagged)}: ${said.join('; ')}`
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

function Failures({ page, view }: PanelProps) {
  const { failures } = view
  if (failures === undefined) return <Down title="Newest failures" class="fill w6" />
  const site = page.siteQuery
  const all = cardUrl('failed', { window: view.window }, site)
  return (
    <Panel
      title="Newest failures"
      oldS={ageOfPart(page, 'failures')}
      note={failures.length === 0 ? undefined : <a href={all}>all failures</a>}
      class="fill w6"
    >
      <DataTable
        caption="Newest failures"
        stack
        columns={[
          endedColumn(page.now),
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

function Newest({ page, view: { newest } }: PanelProps) {
  if (newest === undefined) return <Down title="Newest jobs" class="fill w6" />
  const site = page.siteQuery
  return (
    <Panel
      title="Newest jobs"
      oldS={ageOfPart(page, 'newest')}
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
          queueColumn(page.now),
          elapsedColumn('Duration', page.now),
        ]}
        rows={newest}
        empty="No job was active in this window."
      />
    </Panel>
  )
}

function Apps({ page, view }: PanelProps) {
  const { apps } = view
  if (apps === undefined) return <Down title="By app" class="fill w6" />
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
      cell: ({ ended, failed, unknown }) =>
        // Neither a success nor a failure.
        ended === unknown ? '' : percent(failed / (ended - unknown)),
    },
    {
      head: 'Unknown',
      number: true,
      rare: true,
      cell: ({ unknown }) => (unknown === 0 ? '' : number(unknown)),
    },
  ]
  return (
    <Panel
      title="By app"
      oldS={ageOfPart(page, 'apps')}
      note="ended in the window; most failures first, then most jobs"
      class="fill w6"
    >
      <DataTable
        caption="Jobs by app"
        stack
        columns={columns}
        rows={apps}
        empty="No job ended in this window."
      />
    </Panel>
  )
}
