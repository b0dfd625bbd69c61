import type { Job, JobFilter } from '../../core/job.ts'
import { fromMs, type Micros, parseTime, toMs } from '../../core/time.ts'
import { readJobsQuery, toFilter } from '../model/query.ts'
import type { Visit } from '../visit.ts'
import { JobsFeed } from './jobs-feed.tsx'
import type { Change } from './live.ts'
import type { Listener, LiveView } from './live-view.ts'

/** Running rows are redrawn this often, because their duration is text. */
const redrawMs = 15_000
/** The clocks of the API and of this machine may differ a little: better a row twice than never. */
const marginMs = 10_000

/** Replaces the rows of a list that changed, and counts the new ones. */
export const jobsView: LiveView = { name: 'jobs', start }

function start(visit: Visit, params: URLSearchParams, { push, every }: Listener) {
  const { dashboard } = visit
  const { query } = readJobsQuery(params)
  const now = () => fromMs(dashboard.now())
  const asOf = parseTime(params.get('as_of') ?? '') ?? visit.now
  const feed = new JobsFeed(query, asOf, visit.siteQuery)
  const seen = parseTime(visit.c.req.header('last-event-id') ?? '') ?? asOf
  const since = fromMs(toMs(seen) - marginMs)
  const catchUp = () =>
    findMissed(visit, feed, { params, asOf, since }).then(
      (messages) => {
        for (const message of messages) push.swap(message, now())
      },
      (error: unknown) => dashboard.log.debug({ error }, 'could not catch up with a page'),
    )
  void catchUp()
  every(redrawMs, () => {
    const rows = feed.redrawRunning(now())
    if (rows !== undefined) push.swap(rows)
  })
  return ({ jobs, reset }: Change) => {
    if (reset) void catchUp()
    for (const message of feed.take(jobs, now())) push.swap(message, now())
    push.signal('jobs-changed')
  }
}

type Since = { params: URLSearchParams; asOf: Micros; since: Micros }

/**
 * The changes between the making of the page and this connection, or the previous one: the rows of
 * the page that changed, and the jobs that started.
 */
async function findMissed(visit: Visit, feed: JobsFeed, { params, asOf, since }: Since) {
  const { backend, dashboard } = visit
  const { query } = readJobsQuery(params)
  const { filter } = toFilter(query, asOf)
  const signal = AbortSignal.any([dashboard.signal, visit.c.req.raw.signal])
  const wide: JobFilter = {
    ...filter,
    status: undefined,
    flags: undefined,
    minDurationS: undefined,
    maxDurationS: undefined,
  }
  const page = await backend.findJobs({ ...filter, to: query.to ?? asOf }, signal)
  feed.remember(page.items)
  const byStart = filter.time === 'active' ? 'started' : filter.time
  const news = feed.counts
    ? await backend.findJobs({ ...wide, time: byStart, from: asOf }, signal)
    : page
  const changed = page.items.filter(({ updatedAt }) => updatedAt > since)
  const left = await findLeft(backend, wide, since, signal)
  // The browser may not show all of these; it ignores a row that it does not have.
  feed.remember(left.filter(({ startedAt }) => startedAt <= asOf))
  return feed.take([...changed, ...left, ...news.items], visit.now)
}

/** Jobs with an event since, in any status: a row may have left its list (running, then done). */
async function findLeft(
  backend: Visit['backend'],
  wide: JobFilter,
  since: Micros,
  signal: AbortSignal,
): Promise<Job[]> {
  const heard = { time: 'seen', order: 'desc', from: since, to: undefined } as const
  return (await backend.findJobs({ ...wide, ...heard, cursor: undefined }, signal)).items
}
