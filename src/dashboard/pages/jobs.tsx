import { Hono } from 'hono'
import { type JobsQuery, jobsUrl, orderOf, windows } from '../../../views/jobs-query.ts'
import { JobsCards, JobsPage, type JobsView } from '../../../views/pages/jobs.tsx'
import type { Tally } from '../../../views/partials/cards.tsx'
import { withQuery } from '../../../views/urls.ts'
import { cursorToWire } from '../../core/cursor-wire.ts'
import type { Job, JobFilter, JobPage } from '../../core/job.ts'
import { jobTime } from '../../core/job-filter.ts'
import { type Micros, toMs } from '../../core/time.ts'
import type { Backend } from '../model/backend.ts'
import { type Flagged, findFlagged } from '../model/flagged.ts'
import { completenessNotices, sitesNotices } from '../model/notices.ts'
import { filterOf, flip, readJobsQuery, startOf } from '../model/query.ts'
import { bucketFor, tallyOf } from '../model/statistics.ts'
import { usualCounts } from '../model/usual-counts.ts'
import { html, type Routes, visited } from '../respond.ts'
import { ask, pageOf, statusFor, type Visit } from '../visit.ts'

/** `/jobs`: the list with its filters; `/jobs/cards`: the counts alone, for a live page. */
export function jobsRoutes({ dashboard }: Routes): Hono {
  return new Hono()
    .get('/jobs', (c) => visited(dashboard, c, jobsPage))
    .get('/jobs/cards', (c) => visited(dashboard, c, jobsCards))
}

async function jobsPage(visit: Visit): Promise<Response> {
  const { query, notices } = readJobsQuery(new URL(visit.c.req.url).searchParams)
  const { flipped } = filterOf(query, visit.now)
  const [found, apps, tally, usual] = await Promise.all([
    ask(visit, ['jobs', query], (backend, signal) => rowsOf(backend, query, visit.now, signal)),
    ask(visit, ['apps'], (backend, signal) => backend.listApps(signal)),
    tallyFor(visit, query),
    usualFor(visit, query),
  ])
  const list = found?.page
  const page = pageOf(visit)
  const view: JobsView = {
    ...spanFor(query, visit.now),
    query,
    apps: [...new Set((apps ?? []).map(({ name }) => name))].sort(),
    tally,
    usual,
    jobs: list && (flipped ? list.items.toReversed() : list.items),
    ...neighbors(query, list, page.siteQuery),
    notices: [
      ...notices,
      ...(found?.notices ?? []),
      ...sitesNotices(list ?? {}, page.fresh),
      ...completenessNotices(list?.completeness, page.siteQuery),
    ],
    live: liveUrl(query, list?.completeness.asOf ?? visit.now, page.siteQuery),
  }
  return html(visit, <JobsPage page={page} view={view} />, statusFor(visit))
}

/** The rows of a page as they are now. */
export async function rowsOf(
  backend: Backend,
  query: JobsQuery,
  now: Micros,
  signal: AbortSignal,
): Promise<Flagged> {
  if (query.flags.length > 0) return findFlagged(backend, query, now, signal)
  return { page: await backend.findJobs(filterOf(query, now).filter, signal), notices: [] }
}

async function jobsCards(visit: Visit): Promise<Response> {
  const { query } = readJobsQuery(new URL(visit.c.req.url).searchParams)
  const [tally, usual] = await Promise.all([tallyFor(visit, query), usualFor(visit, query)])
  // Nothing to say is said by nothing: the cards that are on the page stay.
  if (tally === undefined) return visit.c.body(null, 204)
  const { siteQuery } = pageOf(visit)
  const view = { ...spanFor(query, visit.now), query, usual }
  return html(visit, <JobsCards view={view} tally={tally} site={siteQuery} />)
}

const spanFor = (query: JobsQuery, now: Micros) => ({
  from: query.from ?? startOf(query.window, now),
  to: query.to ?? now,
})

/** What is usual for the window; a range from a link is compared with nothing. */
async function usualFor(visit: Visit, query: JobsQuery) {
  if (query.from !== undefined || query.to !== undefined) return undefined
  const { status, appName } = filterOf(query, visit.now).filter
  return usualCounts(visit, query.window, { status, appName })
}

/** Counts of the window; undefined when they could not be had. */
async function tallyFor(visit: Visit, query: JobsQuery): Promise<Tally | undefined> {
  const { filter } = filterOf(query, visit.now)
  const spanS =
    query.from === undefined
      ? windows[query.window]
      : (toMs(query.to ?? visit.now) - toMs(query.from)) / 1000
  const stats = {
    from: filter.from,
    to: filter.to,
    status: filter.status,
    appName: filter.appName,
    bucket: bucketFor(spanS).bucket,
    groupBy: ['status'] as const,
  }
  // Of all times there are more days than the API counts.
  if (spanS === null) return undefined
  const rows = await ask(visit, ['tally', query], (backend, signal) => backend.stats(stats, signal))
  return rows && tallyOf(rows)
}

/** Addresses of the pages beside this one: behind its last row, and before its first. */
function neighbors(
  query: JobsQuery,
  list: JobPage | undefined,
  site: string | undefined,
): { older: string | undefined; newer: string | undefined } {
  const none = { older: undefined, newer: undefined }
  if (list === undefined || list.items.length === 0 || query.flags.length > 0) return none
  const { filter, flipped } = filterOf(query, '1970-01-01T00:00:00.000000Z')
  const jobs = flipped ? list.items.toReversed() : list.items
  const order = orderOf(query.sort)
  const behind = cursorAt(jobs.at(-1)!, { time: filter.time, order })
  const ahead = cursorAt(jobs[0]!, { time: filter.time, order: flip(order) })
  const more = list.nextCursor !== null
  const next = flipped || more
  const previous = flipped ? more : query.after !== undefined
  const to = (change: Partial<JobsQuery>) =>
    jobsUrl({ ...query, after: undefined, before: undefined, ...change }, site)
  return {
    older: next
      ? to({ after: list.nextCursor && !flipped ? nextOf(list, filter) : behind })
      : undefined,
    newer: previous ? to({ before: ahead }) : undefined,
  }
}

const nextOf = ({ nextCursor }: JobPage, filter: JobFilter) => cursorToWire(nextCursor!, filter)

const cursorAt = (job: Job, list: Pick<JobFilter, 'time' | 'order'>) =>
  cursorToWire({ at: jobTime(job, list.time) ?? job.startedAt, id: job.id }, list)

/** The live stream of this page: its question, and what it knows already. */
function liveUrl(query: JobsQuery, asOf: Micros, site: string | undefined): string {
  const [, params = ''] = jobsUrl(query, site).split('?')
  const url = new URLSearchParams(params)
  return `${withQuery('/events', { view: 'jobs', as_of: asOf })}${url.size > 0 ? `&${url}` : ''}`
}
