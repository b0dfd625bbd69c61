import type { Job, StoredEvent, SubjobCounts } from '../../src/core/job.ts'
import { type Micros, secondsBetween } from '../../src/core/time.ts'
import { age, clockMs, count, cut, duration, number, when } from '../format.ts'
import { defaultQuery, jobsUrl } from '../jobs-query.ts'
import { Layout } from '../layout.tsx'
import type { Notice, Page } from '../page.ts'
import { EventsTable, readEvent, recordIn, textIn, timeIn } from '../partials/events.tsx'
import {
  errorTexts,
  Facts,
  lastError,
  Metadata,
  metricsOf,
  otherMetadata,
} from '../partials/facts.tsx'
import { Gantt, ganttRows } from '../partials/gantt.tsx'
import { keyOf, place, tookText } from '../partials/job-row.tsx'
import { Notices } from '../partials/notice.tsx'
import { Scroll } from '../partials/scroll.tsx'
import { Status, shownStatus } from '../partials/status.tsx'
import { WaferMap, wafersOf } from '../partials/wafers.tsx'
import { jobPath } from '../urls.ts'

export type JobView = {
  job: Job
  counts: SubjobCounts
  /** In the order they started; at most as many as were asked for. */
  subjobs: readonly Job[]
  /** Oldest first; undefined when they could not be had. */
  events: readonly StoredEvent[] | undefined
  notices: readonly Notice[]
  live: string
}

export function JobPage({ page, view }: { page: Page; view: JobView }) {
  return (
    <Layout page={page} title={keyOf(view.job)} section="Jobs" live={view.live}>
      <JobBody page={page} view={view} />
    </Layout>
  )
}

/** All that may change while the job runs; it asks for itself anew when an event of the job came. */
export function JobBody({ page, view }: { page: Page; view: JobView }) {
  const { job } = view
  return (
    <div
      id="job"
      class="body"
      hx-get={jobPath(job.id, page.siteQuery)}
      hx-trigger="job-changed from:#live throttle:2s"
      hx-select="#job"
      hx-swap="outerMorph"
    >
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
  const what = [job.appName, place(job)].filter((part) => part !== '').join(', ')
  return (
    <div class="head">
      <h1>{cut(keyOf(job), 100)}</h1>
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
  return (
    <section class="panel" aria-label="Subjobs over time">
      <header>
        <h2>Subjobs over time</h2>
        <small>
          {drawn < counts.total ? `the first ${number(drawn)} of ` : ''}
          {count(counts.total, 'subjob')}
        </small>
      </header>
      <Gantt job={job} subjobs={subjobs} now={page.now} site={page.siteQuery} />
      <details class="data" id="subjobs">
        <summary>
          {subjobs.length < counts.total
            ? `${number(subjobs.length)} of ${number(counts.total)} as a table`
            : `All ${number(subjobs.length)} as a table`}
        </summary>
        <SubjobTable subjobs={subjobs} now={page.now} site={page.siteQuery} />
      </details>
    </section>
  )
}

type TableProps = { subjobs: readonly Job[]; now: Micros; site: string | undefined }

function SubjobTable({ subjobs, now, site }: TableProps) {
  return (
    <Scroll label="Subjobs, table">
      <table class="t stack">
        <caption class="vh">Subjobs, in the order they started</caption>
        <thead>
          <tr>
            <th scope="col">Status</th>
            <th scope="col">Subjob</th>
            <th scope="col">Started</th>
            <th scope="col">Chamber</th>
            <th scope="col" class="n">
              Took
            </th>
            <th scope="col">Last error</th>
          </tr>
        </thead>
        <tbody>
          {subjobs.map((row) => (
            <tr id={`sub-${row.id}`}>
              <td>
                <Status of={shownStatus(row)} />
              </td>
              <th scope="row" class="k">
                <a href={jobPath(row.id, site)}>{cut(keyOf(row), 40)}</a>
              </th>
              <td>{when(row.startedAt, now)}</td>
              <td>{place(row)}</td>
              <td class="n" data-l="took">
                {tookText(row, now)}
              </td>
              <td class="cut e">{cut(row.lastError ?? '', 120)}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </Scroll>
  )
}

function Metrics({ job }: { job: Job }) {
  const metrics = metricsOf(job)
  if (metrics.length === 0) return null
  return (
    <section class="panel" aria-label="Metrics">
      <header>
        <h2>Metrics</h2>
        <small>the latest of each; highest of CPU and memory</small>
      </header>
      <table class="t narrow">
        <caption class="vh">Metrics</caption>
        <thead>
          <tr>
            <th scope="col">Metric</th>
            <th scope="col" class="n">
              Value
            </th>
          </tr>
        </thead>
        <tbody>
          {metrics.map(([name, value]) => (
            <tr>
              <th scope="row" class="k">
                {cut(name, 60)}
              </th>
              <td class="n">{value}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </section>
  )
}

function Events({ page, view: { job, events } }: { page: Page; view: JobView }) {
  if (events === undefined) return null
  const all = `${number(events.length)} of ${number(Math.max(job.eventCount, events.length))}`
  return (
    <section class="panel" aria-label="Events">
      <header>
        <h2>Events</h2>
        <small>{all}, newest first, by the time they happened</small>
      </header>
      {events.length === 0 ? (
        <p class="empty">The events of this job are no longer in the hot store; its state is.</p>
      ) : (
        <EventsTable events={events} now={page.now} />
      )}
    </section>
  )
}

/** What went wrong, in the words of the program. The last error stands before everything else. */
function Errors({ texts }: { texts: readonly [name: string, text: string][] }) {
  return (
    <>
      {texts.map(([name, text]) => (
        <section class="panel all" aria-label={name}>
          <header>
            <h2>{name.charAt(0).toUpperCase() + name.slice(1)}</h2>
          </header>
          <Scroll label={`${name}, text`}>
            <pre class="tail">{cut(text, 8000)}</pre>
          </Scroll>
        </section>
      ))}
    </>
  )
}

function Side({ page, view }: { page: Page; view: JobView }) {
  const { job, counts, subjobs, events } = view
  const wafers = wafersOf(subjobs)
  const metadata = otherMetadata(job)
  return (
    <div class="w5 col duo">
      {wafers === undefined ? null : (
        <section class="panel" aria-label="Wafers">
          <header>
            <h2>Wafers</h2>
            <small>{stuckText(subjobs, counts)}</small>
          </header>
          <WaferMap wafers={wafers} site={page.siteQuery} />
        </section>
      )}
      <section class="panel" aria-label="Facts">
        <header>
          <h2>Facts</h2>
        </header>
        <Facts job={job} now={page.now} site={page.siteQuery} />
      </section>
      <Path job={job} event={events?.at(-1)} now={page.now} />
      <Errors texts={errorTexts(job).filter(([name]) => name !== lastError)} />
      {metadata.length === 0 ? null : (
        <section class="panel all" aria-label="Metadata">
          <header>
            <h2>Metadata</h2>
            <small>as the program sent it</small>
          </header>
          <Metadata entries={metadata} />
        </section>
      )}
    </div>
  )
}

/** The counts; what is stuck, lost or late is named besides, as far as the subjobs were read. */
function stuckText(subjobs: readonly Job[], counts: SubjobCounts): string {
  const words = (['stuck', 'lost', 'late'] as const).map((word) => {
    const n = subjobs.filter((subjob) => shownStatus(subjob) === word).length
    return n === 0 ? '' : `${number(n)} ${word}`
  })
  const flagged = words.filter((word) => word !== '').join(', ')
  return flagged === '' ? countsText(counts) : `${countsText(counts)}; of the running ${flagged}`
}

function countsText(counts: SubjobCounts): string {
  const words: [number, string][] = [
    [counts.succeeded, 'done'],
    [counts.running, 'running'],
    [counts.failed, 'failed'],
    [counts.canceled, 'canceled'],
  ]
  return words
    .filter(([n]) => n > 0)
    .map(([n, word]) => `${number(n)} ${word}`)
    .join(', ')
}

type PathProps = { job: Job; event: StoredEvent | undefined; now: Micros }

/** Where the newest event went, and how long it took there; then how long nothing came. */
function Path({ job, event, now }: PathProps) {
  if (event === undefined) return null
  const { at, kind } = readEvent(event)
  const receivedAt = timeIn(event.received_at)
  if (at === undefined || receivedAt === undefined) return null
  const source = recordIn(event.source)
  const silentS = Math.max(0, secondsBetween(receivedAt, now))
  return (
    <section class="panel all" aria-label="Delivery path">
      <header>
        <h2>Delivery path</h2>
        <small>of the newest event, {kind}</small>
      </header>
      <ol class="path">
        <li>
          <small>Program</small>
          <b>{clockMs(at)}</b>
          <small>happened</small>
        </li>
        <li>
          <small>Sidecar {cut(textIn(source.id), 30)}</small>
          <b>+{duration(Math.max(0, secondsBetween(at, receivedAt)))}</b>
          <small>
            on disk{typeof source.seq === 'number' ? `, seq ${number(source.seq)}` : ''}
          </small>
        </li>
        {job.status === 'running' ? (
          <li class={job.lost || job.stuck ? 'bad' : undefined}>
            <small>Since then</small>
            <b>{age(silentS)}</b>
            <small>no event of this job</small>
          </li>
        ) : null}
      </ol>
    </section>
  )
}
