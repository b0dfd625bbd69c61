import { Hono } from 'hono'
import { windows } from '../../views/jobs-query.ts'
import { OverviewPage, type OverviewView } from '../../views/pages/overview.tsx'
import { withQuery } from '../../views/urls.ts'
import type { JobFilter, JobPage, StatsRow } from '../core/job.ts'
import { causesOf } from './causes.ts'
import { ask, outageNotices, pageOf, statusFor, type Visit } from './frame.ts'
import { completenessNotices } from './notices.ts'
import { readWindow, startOf } from './query.ts'
import { html, type Routes, visited } from './respond.ts'
import { appsOf, bucketFor, bucketsOf, tallyOf } from './statistics.ts'

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
  const [byStatus, byApp, failed, all, oldest] = await Promise.all([
    stats(visit, { from, bucket, groupBy: ['status'] }),
    stats(visit, { from, bucket: 'day', groupBy: ['app', 'status'] }),
    find(visit, { ...newest, from, status: ['failed'] }),
    find(visit, { ...newest, from }),
    find(visit, { ...oldestRunning }),
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
        buckets: bucketsOf(byStatus, { from, to: visit.now, stepS }),
        stepS,
        apps: appsOf(byApp, linesShown),
        causes: causesOf(failed.items, all.items),
        ...flaggedIn(oldest),
        failures: failed.items.slice(0, linesShown),
        newest: all.items.slice(0, linesShown),
      },
    notices: [...outageNotices(visit), ...completenessNotices(all?.completeness, page.siteQuery)],
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

const stats = (visit: Visit, filter: Asked): Promise<StatsRow[] | undefined> =>
  ask(visit, ['stats', filter], (backend, signal) => backend.stats(filter, signal))

const find = (visit: Visit, filter: JobFilter): Promise<JobPage | undefined> =>
  ask(visit, ['jobs', filter], (backend, signal) => backend.findJobs(filter, signal))
