import { Hono } from 'hono'
import { windows } from '../../../views/jobs-query.ts'
import { OverviewPage, type OverviewView } from '../../../views/pages/overview.tsx'
import { withQuery } from '../../../views/urls.ts'
import type { JobFilter, JobPage, StatsRow } from '../../core/job.ts'
import { causesOf } from '../model/causes.ts'
import { completenessNotices, sitesNotices } from '../model/notices.ts'
import { readWindow, startOf } from '../model/query.ts'
import { appsOf, bucketFor, bucketsOf, tallyOf } from '../model/statistics.ts'
import { usualCounts } from '../model/usual-counts.ts'
import { html, type Routes, visited } from '../respond.ts'
import { ask, pageOf, statusFor, type Visit } from '../visit.ts'

/** Jobs compared to find out what failures have in common: the newest of each kind. */
const compared = 300
/** Running jobs looked through for stuck, lost and late ones: those that began first. */
const lookedThrough = 300
const linesShown = 8

/** `/`: does anything need somebody, what, and is it one cause. */
export function overviewRoutes({ dashboard }: Routes): Hono {
  return new Hono().get('/', (c) => visited(dashboard, c, overviewPage))
}

async function overviewPage(visit: Visit): Promise<Response> {
  const window = readWindow(new URL(visit.c.req.url).searchParams)
  const from = startOf(window, visit.now)!
  const { bucket, stepS } = bucketFor(windows[window])
  const [byStatus, byApp, failed, all, oldest, usual] = await Promise.all([
    stats(visit, window, { from, bucket, groupBy: ['status'] }),
    stats(visit, window, { from, bucket: 'day', groupBy: ['app', 'status'] }),
    find(visit, window, { ...newest, from, status: ['failed'] }),
    find(visit, window, { ...newest, from }),
    find(visit, window, oldestRunning),
    usualCounts(visit, window),
  ])
  const page = pageOf(visit)
  const view: OverviewView = {
    window,
    from,
    to: visit.now,
    data: byStatus &&
      byApp &&
      failed &&
      all &&
      oldest && {
        tally: tallyOf(byStatus),
        usual,
        buckets: bucketsOf(byStatus, { from, to: visit.now, stepS }),
        stepS,
        apps: appsOf(byApp, linesShown),
        causes: causesOf(failed.items, all.items),
        ...flaggedIn(oldest),
        failures: failed.items.slice(0, linesShown),
        newest: all.items.slice(0, linesShown),
      },
    notices: [
      ...sitesNotices(all ?? {}, page.fresh),
      ...completenessNotices(all?.completeness, page.siteQuery),
    ],
    live: withQuery('/events', { view: 'any', site: page.siteQuery }),
  }
  return html(visit, <OverviewPage page={page} view={view} />, statusFor(visit))
}

const newest: JobFilter = { time: 'started', order: 'desc', limit: compared }
const oldestRunning: JobFilter = {
  from: '1970-01-01T00:00:00.000000Z',
  time: 'started',
  order: 'asc',
  status: ['running'],
  limit: lookedThrough,
}

function flaggedIn({ items }: JobPage) {
  const flagged = items.filter(({ stuck, lost, late }) => stuck || lost || late)
  return { flagged: flagged.slice(0, linesShown), lookedAt: items.length }
}

type Asked = Parameters<Visit['backend']['stats']>[0]

// Known by the window, not by when it begins: the last answer is the one to fall back on.
const stats = (visit: Visit, window: string, filter: Asked): Promise<StatsRow[] | undefined> =>
  ask(visit, ['stats', window, filter.groupBy], (backend, signal) => backend.stats(filter, signal))

const find = (visit: Visit, window: string, filter: JobFilter): Promise<JobPage | undefined> =>
  ask(visit, ['find', window, filter.status, filter.order], (backend, signal) =>
    backend.findJobs(filter, signal),
  )
