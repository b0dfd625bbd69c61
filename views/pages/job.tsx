import type { Job, StoredEvent, SubjobCounts } from '../../src/core/job.ts'
import type { Micros } from '../../src/core/time.ts'
import { capitalize, count, cut, number } from '../format.ts'
import { jobName, toolText } from '../job-text.ts'
import { defaultQuery, flags, jobsUrl } from '../jobs-query.ts'
import type { Notice, Page } from '../page.ts'
import { type Column, DataTable } from '../partials/data-table.tsx'
import { DeliveryPath } from '../partials/delivery-path.tsx'
import { EventsTable } from '../partials/events.tsx'
import { Facts } from '../partials/facts.tsx'
import { Gantt, ganttRows } from '../partials/gantt.tsx'
import {
  elapsedColumn,
  errorColumn,
  keyColumn,
  startedColumn,
  statusColumn,
} from '../partials/jobs-table.tsx'
import {
  errorTexts,
  lastError,
  listMetrics,
  Metadata,
  otherMetadata,
} from '../partials/metadata.tsx'
import { Notices } from '../partials/notice.tsx'
import { Panel } from '../partials/panel.tsx'
import { Scroll } from '../partials/scroll.tsx'
import { Status, shownStatus } from '../partials/status.tsx'
import { findWafers, WaferMap } from '../partials/wafers.tsx'

export type JobView = {
  job: Job
  counts: SubjobCounts
  /** In the order they started; at most as many as were asked for. */
  subjobs: readonly Job[]
  /** Oldest first; undefined when the API was away. */
  events: readonly StoredEvent[] | undefined
  /** There may be newer events than those listed. */
  moreEvents: boolean
  notices: readonly Notice[]
}

/** One job or subjob. */
export function JobBody({ page, view }: { page: Page; view: JobView }) {
  const { job } = view
  return (
    <div id="job" class="body">
      <Head job={job} site={page.siteQuery} />
      <Notices notices={view.notices} />
      <Errors texts={errorTexts(job).filter(([name]) => name === lastError)} />
      <div class="w7 col">
        <Subjobs page={page} view={view} />
        <Metrics job={job} />
        <Events page={page} view={view} />
      </div>
      <Side page={page} view={view} />
    </div>
  )
}

function Head({ job, site }: { job: Job; site: string | undefined }) {
  const lot = job.jobKey?.split('.')[0] ?? ''
  const what = [job.appName, toolText(job)].filter((part) => part !== '').join(', ')
  return (
    <div class="head">
      <h1>{cut(jobName(job), 100)}</h1>
      <Status of={shownStatus(job)} />
      <span>{what}</span>
      <span class="sp" />
      {lot === '' ? null : (
        <a class="btn" href={jobsUrl({ ...defaultQuery, window: '7d', q: lot }, site)}>
          All jobs of {cut(lot, 30)}
        </a>
      )}
    </div>
  )
}

function Subjobs({ page, view }: { page: Page; view: JobView }) {
  const { job, counts, subjobs } = view
  if (counts.total === 0) return null
  const drawn = Math.min(subjobs.length, ganttRows)
  const first = drawn < counts.total ? `the first ${number(drawn)} of ` : ''
  return (
    <Panel title="Subjobs over time" note={first + count(counts.total, 'subjob')}>
      <Gantt job={job} subjobs={subjobs} now={page.now} site={page.siteQuery} />
      <details class="data" id="subjobs">
        <summary>
          {subjobs.length < counts.total
            ? `The first ${number(subjobs.length)} of ${number(counts.total)} as a table`
            : `All ${number(subjobs.length)} as a table`}
        </summary>
        <DataTable
          caption="Subjobs, in the order they started"
          stack
          columns={subjobColumns(page)}
          rows={subjobs}
          rowId={({ id }) => `sub-${id}`}
        />
      </details>
    </Panel>
  )
}

const subjobColumns = ({ now, siteQuery }: { now: Micros; siteQuery: string | undefined }) => [
  statusColumn(),
  keyColumn('Subjob', siteQuery),
  startedColumn(now),
  { head: 'Chamber', cell: toolText },
  elapsedColumn('Took', now),
  errorColumn('Last error', 120),
]

function Metrics({ job }: { job: Job }) {
  const metrics = listMetrics(job)
  if (metrics.length === 0) return null
  return (
    <Panel title="Metrics" note="latest value of each; highest of CPU and memory">
      <DataTable
        caption="Metrics"
        class="narrow"
        columns={metricColumns}
        rows={metrics}
        scroll={false}
      />
    </Panel>
  )
}

const metricColumns: Column<readonly [name: string, value: string]>[] = [
  { head: 'Metric', rowHeader: true, class: 'k', cell: ([name]) => cut(name, 60) },
  { head: 'Value', number: true, cell: ([, value]) => value },
]

function Events({ page, view: { job, events, moreEvents } }: { page: Page; view: JobView }) {
  if (events === undefined) return null
  const total = number(Math.max(job.eventCount, events.length))
  const listed = `${number(events.length)} of ${total}`
  return (
    <Panel
      title="Events"
      note={`${moreEvents ? `the oldest ${listed}` : listed}, newest first by event time`}
    >
      <EventsTable
        events={events}
        now={page.now}
        empty="The events of this job are no longer in the hot store; its status and values still are."
      />
    </Panel>
  )
}

/** The last error, as the program reported it. */
function Errors({ texts }: { texts: readonly [name: string, text: string][] }) {
  return (
    <>
      {texts.map(([name, text]) => (
        <Panel title={capitalize(name)} class="all">
          <Scroll label={`${name}, text`}>
            <pre class="tail">{cut(text, 8000)}</pre>
          </Scroll>
        </Panel>
      ))}
    </>
  )
}

function Side({ page, view }: { page: Page; view: JobView }) {
  const { job, subjobs, events, moreEvents } = view
  const wafers = findWafers(subjobs)
  const metadata = otherMetadata(job)
  return (
    <div class="w5 col duo">
      {wafers === undefined ? null : (
        <Panel title="Wafers" note={waferNote(view)}>
          <WaferMap wafers={wafers} site={page.siteQuery} />
        </Panel>
      )}
      <Panel title="Facts">
        <Facts job={job} now={page.now} site={page.siteQuery} />
      </Panel>
      <DeliveryPath job={job} event={moreEvents ? undefined : events?.at(-1)} now={page.now} />
      <Errors texts={errorTexts(job).filter(([name]) => name !== lastError)} />
      {metadata.length === 0 ? null : (
        <Panel title="Metadata" note="as the program sent it" class="all">
          <Metadata entries={metadata} />
        </Panel>
      )}
    </div>
  )
}

/** The counts by status, and what is stuck, lost or late among the subjobs that were read. */
function waferNote({ counts, subjobs }: JobView): string {
  const flagged = flags.map((flag): [number, string] => [
    subjobs.filter((subjob) => shownStatus(subjob) === flag).length,
    flag,
  ])
  const all = listCounts([
    [counts.succeeded, 'done'],
    [counts.running, 'running'],
    [counts.failed, 'failed'],
    [counts.canceled, 'canceled'],
  ])
  const some = listCounts(flagged)
  return some === '' ? all : `${all}; of the running, ${some}`
}

const listCounts = (counts: readonly [number, string][]) =>
  counts
    .filter(([n]) => n > 0)
    .map(([n, word]) => `${number(n)} ${word}`)
    .join(', ')
