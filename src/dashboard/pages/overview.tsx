import { windows } from '../../../views/jobs-query.ts'
import { OverviewBody, type OverviewView } from '../../../views/pages/overview.tsx'
import type { JobFilter, JobPage } from '../../core/job.ts'
import { must } from '../../core/must.ts'
import { type StatsFilter, type StatsRow, statsQuestion } from '../../core/questions/stats.ts'
import { definePage } from '../define-page.tsx'
import { findCauses } from '../model/causes.ts'
import { completenessNotices, sitesNotices } from '../model/notices.ts'
import { firstTime, readWindow, startWindow } from '../model/query.ts'
import { chooseBucket, fillBuckets, tallyApps, tallyStatuses } from '../model/statistics.ts'
import { usualCounts } from '../model/usual-counts.ts'
import { ask, assessFreshness, readParams, type Visit } from '../visit.ts'

/** Jobs compared to find what failures have in common: the newest of each kind. */
const compared = 300
/** Running jobs checked for stuck, lost and late ones: those that started first. */
const mostChecked = 300
const linesShown = 8

/** Does anything need attention, what, and is there one cause? */
export const overviewPage = definePage({
  path: '/',
  navigation: { entry: 'Overview' },
  title: () => 'Overview',
  load,
  body: OverviewBody,
})

async function load(visit: Visit): Promise<OverviewView> {
  const window = readWindow(readParams(visit))
  const from = must(startWindow(window, visit.now), 'the windows of the overview have a start')
  const { bucket, stepS } = chooseBucket(windows[window])
  const [byStatus, byApp, failed, all, oldest, usual] = await Promise.all([
    stats(visit, window, { from, bucket, groupBy: ['status'] }),
    stats(visit, window, { from, bucket: 'day', groupBy: ['app', 'status'] }),
    find(visit, window, { ...newest, from, status: ['failed'] }),
    find(visit, window, { ...newest, from }),
    find(visit, window, oldestRunning),
    usualCounts(visit, window),
  ])
  return {
    window,
    from,
    to: visit.now,
    data: byStatus &&
      byApp &&
      failed &&
      all &&
      oldest && {
        tally: tallyStatuses(byStatus),
        usual,
        buckets: fillBuckets(byStatus, { from, to: visit.now, stepS }),
        stepS,
        apps: tallyApps(byApp, linesShown),
        causes: findCauses(failed.items, all.items),
        ...findFlagged(oldest),
        failures: failed.items.slice(0, linesShown),
        newest: all.items.slice(0, linesShown),
      },
    notices: [
      ...sitesNotices(all ?? {}, assessFreshness(visit)),
      ...completenessNotices(all?.completeness, visit.siteQuery),
    ],
  }
}

const newest: JobFilter = { time: 'started', order: 'desc', limit: compared }
const oldestRunning: JobFilter = {
  from: firstTime,
  time: 'started',
  order: 'asc',
  status: ['running'],
  limit: mostChecked,
}

function findFlagged({ items }: JobPage) {
  const flagged = items.filter(({ stuck, lost, late }) => stuck || lost || late)
  return { flagged: flagged.slice(0, linesShown), checked: items.length }
}

// The key has the window, not its start: the last answer is the one to fall back on.
const stats = (
  visit: Visit,
  window: string,
  filter: StatsFilter,
): Promise<StatsRow[] | undefined> =>
  ask(visit, ['stats', window, filter.groupBy], (backend, signal) =>
    backend.ask(statsQuestion, filter, signal),
  )

const find = (visit: Visit, window: string, filter: JobFilter): Promise<JobPage | undefined> =>
  ask(visit, ['find', window, filter.status, filter.order], (backend, signal) =>
    backend.findJobs(filter, signal),
  )
