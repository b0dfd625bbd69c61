import type { Attempt, Job, SubjobCounts } from '../../src/core/job.ts'
import { capitalize, cut, isVisible, number } from '../format.ts'
import { type JobEvents, type JobQuery, jobUrl, type Subjobs } from '../job-query.ts'
import { attemptText, jobName, toolText } from '../job-text.ts'
import { defaultQuery, flags, jobsUrl } from '../jobs-query.ts'
import { readLinks, waitReason } from '../known-metadata.ts'
import { ageOfPart, type Notice, type Page } from '../page.ts'
import { AttemptsPanel } from '../partials/attempts.tsx'
import { type Column, DataTable } from '../partials/data-table.tsx'
import { DeliveryPath } from '../partials/delivery-path.tsx'
import { EventsTable } from '../partials/events.tsx'
import { Facts, truncatedText } from '../partials/facts.tsx'
import {
  errorTexts,
  Links,
  lastError,
  listMetrics,
  longestName,
  Metadata,
  otherMetadata,
} from '../partials/metadata.tsx'
import { Notices } from '../partials/notice.tsx'
import { Panel } from '../partials/panel.tsx'
import { ResourcesPanel } from '../partials/resources.tsx'
import { Scroll } from '../partials/scroll.tsx'
import { Status, shownStatus } from '../partials/status.tsx'
import { SubjobsPanel } from '../partials/subjobs.tsx'
import { findWafers, WaferMap } from '../partials/wafers.tsx'
import { jobClosePath, jobPath } from '../urls.ts'

export type JobView = {
  job: Job
  counts: SubjobCounts
  /** Newest first; empty at a site of an earlier version. */
  attempts: readonly Attempt[]
  /** It has not ended, and can be closed here. */
  closes: boolean
  /** The job or subjob above a subjob; null when it has not reported, undefined for a job. */
  parent: Job | null | undefined
  query: JobQuery
  /** Undefined when the API was away; events likewise. */
  subjobs: Subjobs | undefined
  events: JobEvents | undefined
  notices: readonly Notice[]
}

/** One job or subjob. */
export function JobBody({ page, view }: { page: Page; view: JobView }) {
  const { job } = view
  return (
    <div id="job" class="body">
      <Head view={view} site={page.siteQuery} />
      <Notices notices={view.notices} />
      <Errors texts={errorTexts(job).filter(([name]) => name === lastError)} />
      <div class="w7 col">
        <SubjobsPanel page={page} view={view} />
        <AttemptsPanel job={job} attempts={view.attempts} now={page.now} />
        <ResourcesPanel job={job} />
        <Metrics job={job} />
        <Events page={page} view={view} />
      </div>
      <Side page={page} view={view} />
    </div>
  )
}

function Head({ view, site }: { view: JobView; site: string | undefined }) {
  const { job } = view
  const reason = waitReason(job)
  const lot = job.jobKey?.split('.')[0] ?? ''
  const what = [cut(job.appName, 200), toolText(job)].filter((part) => part !== '').join(', ')
  return (
    <div class="head">
      <h1>{jobName(job, 256)}</h1>
      <Status of={shownStatus(job)} />
      {attemptText(job) === '' ? null : <span>{attemptText(job)}</span>}
      {job.status === 'unknown' ? <span>ended, outcome unknown</span> : null}
      {reason === '' ? null : <span>waiting because {cut(reason, 200)}</span>}
      {reason === '' && job.late && job.status === 'queued' ? <span>still waiting</span> : null}
      {job.entityType === 'subjob' ? <PartOf view={view} site={site} /> : null}
      <span>{what}</span>
      <span class="sp" />
      {!isVisible(lot) ? null : (
        <a class="btn" href={jobsUrl({ ...defaultQuery, window: '7d', q: lot }, site)}>
          All jobs of {cut(lot, 30)}
        </a>
      )}
      {view.closes ? (
        <a class="btn" href={jobClosePath(job.id, site)}>
          Close
        </a>
      ) : null}
    </div>
  )
}

/** The lot of a subjob, and what it belongs to. */
function PartOf({ view: { job, parent }, site }: { view: JobView; site: string | undefined }) {
  const lot = job.jobKey === null ? '' : cut(job.jobKey, 60)
  if (parent === null || job.parentId === null) {
    return <span>{lot === '' ? '' : `${lot}, `}part of a job that has not reported</span>
  }
  const name = parent === undefined ? '' : jobName(parent, 60)
  const link = <a href={jobPath(job.parentId, site)}>{name || lot || 'its job'}</a>
  return (
    <span>
      part of {link}
      {lot === '' || lot === name ? '' : ` of ${lot}`}
    </span>
  )
}

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
  { head: 'Metric', rowHeader: true, class: 'k', cell: ([name]) => cut(name, longestName) },
  { head: 'Value', number: true, cell: ([, value]) => value },
]

/** A page of events, and before it the errors that are older. */
function Events({ page, view }: { page: Page; view: JobView }) {
  const { job, events } = view
  if (events === undefined) return null
  const { items, errors, errorsWhole } = events
  const total = number(Math.max(job.eventCount, items.length))
  const { events: only, eventsAfter } = view.query
  const listed = only === 'errors' ? 'errors and ends' : `${number(items.length)} of ${total}`
  const note = `${eventsAfter === undefined ? '' : 'older: '}${listed}, newest first by event time`
  return (
    <>
      {errors.length === 0 ? null : (
        <Panel
          title="Errors before the newest events"
          note={`${errorsWhole ? 'the newest' : 'some of them:'} ${number(errors.length)}`}
        >
          <EventsTable
            caption="Errors before the newest events, newest first"
            events={errors}
            now={page.now}
          />
        </Panel>
      )}
      <Panel title="Events" id="events" oldS={ageOfPart(page, 'events')} note={note}>
        <EventsTable
          caption="Events, newest first"
          events={items}
          now={page.now}
          empty={emptyEvents(view)}
        />
        <EventPages page={page} view={view} />
      </Panel>
    </>
  )
}

const emptyEvents = ({ query }: JobView) =>
  query.events === undefined && query.eventsAfter === undefined
    ? 'The events of this job are no longer in the hot store; its status and values still are.'
    : 'There are none here in the hot store.'

/** Links to older events, to errors and ends alone, and back. */
function EventPages({ page, view: { job, query, events } }: { page: Page; view: JobView }) {
  const link = (text: string, change: JobQuery, rel?: string) => (
    <a
      class="btn"
      rel={rel}
      href={jobUrl(
        job.id,
        page.siteQuery,
        { ...query, events: undefined, eventsAfter: undefined, ...change },
        'events',
      )}
    >
      {text}
    </a>
  )
  const after = events?.older
  const isPlain = query.events === undefined && query.eventsAfter === undefined
  if (after === undefined && isPlain) return null
  return (
    <nav class="pages" aria-label="Pages of events">
      {after === undefined
        ? null
        : link('Older events', { events: query.events, eventsAfter: after }, 'next')}
      {query.events === 'errors' ? null : link('Errors and ends', { events: 'errors' })}
      {isPlain ? null : link('Newest events', {})}
    </nav>
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
  const { job, subjobs, events } = view
  const wafers = findWafers(subjobs?.read ?? [])
  const metadata = otherMetadata(job)
  const links = readLinks(job)
  return (
    <div class="w5 col duo">
      {wafers === undefined ? null : (
        <Panel title="Wafers" note={waferNote(view)}>
          <WaferMap wafers={wafers} site={page.siteQuery} />
        </Panel>
      )}
      <Panel title="Facts" oldS={ageOfPart(page, 'job')} class={wafers === undefined ? 'all' : ''}>
        <Facts job={job} now={page.now} site={page.siteQuery} attempts={view.attempts.length} />
      </Panel>
      {links === undefined ? null : (
        <Panel title="Links" class="all">
          <Links links={links} />
        </Panel>
      )}
      <DeliveryPath
        job={job}
        event={events?.isFirst ? events.items[0] : undefined}
        now={page.now}
      />
      <Errors texts={errorTexts(job).filter(([name]) => name !== lastError)} />
      {metadata.length === 0 ? null : (
        <Panel
          title="Metadata"
          note={job.truncated ? truncatedText : 'as the program sent it'}
          class="all"
        >
          <Metadata entries={metadata} />
        </Panel>
      )}
    </div>
  )
}

/** The counts by status, and what is stuck, lost or late among the subjobs that were read. */
function waferNote({ counts, subjobs: found }: JobView): string {
  const subjobs = found?.read ?? []
  const flagged = flags.map((flag): [number, string] => [
    subjobs.filter((subjob) => shownStatus(subjob) === flag).length,
    flag,
  ])
  const all = listCounts([
    [counts.succeeded, 'done'],
    [counts.queued, 'queued'],
    [counts.running, 'running'],
    [counts.failed, 'failed'],
    [counts.canceled, 'canceled'],
    [counts.unknown, 'of unknown outcome'],
  ])
  const some = listCounts(flagged)
  const whole = some === '' ? all : `${all}; of those that have not ended, ${some}`
  return found?.isAll ? whole : `${whole}; drawn from the newest ${number(subjobs.length)}`
}

const listCounts = (counts: readonly [number, string][]) =>
  counts
    .filter(([n]) => n > 0)
    .map(([n, word]) => `${number(n)} ${word}`)
    .join(', ')
