import { firstPage, type JobsQuery, windows } from '../../../views/jobs-query.ts'
import { JobsBody, type JobsView } from '../../../views/pages/jobs.tsx'
import type { Tally } from '../../../views/partials/cards.tsx'
import { appsQuestion } from '../../core/questions/apps.ts'
import { type StatsFilter, statsQuestion } from '../../core/questions/stats.ts'
import { type Micros, toMs } from '../../core/time.ts'
import { definePage } from '../define-page.tsx'
import { loadRows } from '../model/flagged.ts'
import { linkNeighbors } from '../model/neighbors.ts'
import { completenessNotices, sitesNotices } from '../model/notices.ts'
import { readJobsQuery, startWindow, toFilter } from '../model/query.ts'
import { chooseBucket, tallyStatuses } from '../model/statistics.ts'
import { usualCounts } from '../model/usual-counts.ts'
import { ask, assessFreshness, readParams, type Visit } from '../visit.ts'
import { downloads } from './downloads.ts'

/** The list of jobs with its filters. */
export const jobsPage = definePage({
  path: '/jobs',
  navigation: { entry: 'Jobs' },
  title: () => 'Jobs',
  load,
  body: JobsBody,
  parts: downloads,
})

async function load(visit: Visit): Promise<JobsView> {
  const { query, notices } = readJobsQuery(readParams(visit))
  const { flipped } = toFilter(query, visit.now)
  const [found, apps, tally, usual] = await Promise.all([
    ask(visit, ['jobs', query], (backend, signal) => loadRows(backend, query, visit.now, signal)),
    ask(visit, ['apps'], (backend, signal) => backend.ask(appsQuestion, {}, signal)),
    loadTally(visit, query),
    loadUsual(visit, query),
  ])
  const list = found?.page
  return {
    ...readSpan(query, visit.now),
    query,
    apps: [...new Set((apps ?? []).map(({ name }) => name))].sort(),
    tally,
    usual,
    jobs: list && (flipped ? list.items.toReversed() : list.items),
    ...linkNeighbors(query, list, visit.siteQuery),
    notices: [
      ...notices,
      ...(found?.notices ?? []),
      ...sitesNotices(list ?? {}, assessFreshness(visit)),
      ...completenessNotices(list?.completeness, visit.siteQuery),
    ],
  }
}

const readSpan = (query: JobsQuery, now: Micros) => ({
  from: query.from ?? startWindow(query.window, now),
  to: query.to ?? now,
})

/** The usual counts of the window; a range from a link is compared with nothing. */
async function loadUsual(visit: Visit, query: JobsQuery) {
  if (query.from !== undefined || query.to !== undefined) return undefined
  const { status, appName } = toFilter(query, visit.now).filter
  return usualCounts(visit, query.window, { status, appName })
}

/** Counts of the window; undefined when the API is away, or the window is unbounded. */
async function loadTally(visit: Visit, query: JobsQuery): Promise<Tally | undefined> {
  const { from, to, status, appName } = toFilter(firstPage(query), visit.now).filter
  const spanS =
    query.from === undefined
      ? windows[query.window]
      : (toMs(query.to ?? visit.now) - toMs(query.from)) / 1000
  // All of time has more days than the API counts.
  if (spanS === null) return undefined
  const { bucket } = chooseBucket(spanS)
  const filter: StatsFilter = { from, to, status, appName, bucket, groupBy: ['status'] }
  const rows = await ask(visit, ['tally', query], (backend, signal) =>
    backend.ask(statsQuestion, filter, signal),
  )
  return rows && tallyStatuses(rows)
}
