import { type Window, windows } from '../../../views/jobs-query.ts'
import { OverviewBody, type OverviewView } from '../../../views/pages/overview.tsx'
import { flags, type JobFilter, type JobPage } from '../../core/job.ts'
import { defaultTime } from '../../core/job-filter.ts'
import { must } from '../../core/must.ts'
import { causesQuestion, startRecent } from '../../core/questions/causes.ts'
import { runningQuestion } from '../../core/questions/running.ts'
import { type StatsFilter, type StatsRow, statsQuestion } from '../../core/questions/stats.ts'
import type { Micros } from '../../core/time.ts'
import { definePage } from '../define-page.tsx'
import { fewest, findCauses, keepCausesMs } from '../model/causes.ts'
import { sumRunning } from '../model/flagged.ts'
import { completenessNotices, sitesNotices } from '../model/notices.ts'
import { readWindow, startWindow } from '../model/query.ts'
import { chooseBucket, fillBuckets, tallyApps } from '../model/statistics.ts'
import { loadTally } from '../model/tally.ts'
import { usualCounts } from '../model/usual-counts.ts'
import { ask, askCounts, assessFreshness, readParams, type Visit } from '../visit.ts'

const linesShown = 8

/** Does anything need attention, what, and is there one cause? */
export const overviewPage = definePage({
  path: '/',
  navigation: { entry: 'Overview' },
  title: () => 'Overview',
  load,
  params: ['w'],
  body: OverviewBody,
})

async function load(visit: Visit): Promise<OverviewView> {
  const window = readWindow(readParams(visit))
  const from = must(startWindow(window, visit.now), 'the windows of the overview have a start')
  const { bucket, stepS } = chooseBucket(windows[window])
  const [tally, byStatus, byApp, failed, all, flagged, running, usual, causes] = await Promise.all([
    loadTally(visit, { from, to: visit.now, key: window }),
    stats(visit, 'chart', window, { from, bucket, groupBy: ['status'] }),
    stats(visit, 'apps', window, {
      from,
      time: 'ended',
      bucket: 'day',
      groupBy: ['app', 'status'],
    }),
    find(visit, 'failures', window, {
      ...newest,
      from,
      time: defaultTime(['failed']),
      status: ['failed'],
    }),
    find(visit, 'newest', window, { ...newest, from }),
    find(visit, 'flagged', window, { ...newest, from: undefined, flags, limit: linesShown }),
    askCounts(visit, ['running'], { question: runningQuestion, params: {} }),
    usualCounts(visit, window),
    countCauses(visit, window, from),
  ])
  return {
    window,
    from,
    to: visit.now,
    tally,
    usual,
    buckets: byStatus && fillBuckets(byStatus, { from, to: visit.now, stepS }),
    stepS,
    apps: byApp && tallyApps(byApp, linesShown),
    // Where there is one site, all jobs are of it, and no other can be chosen.
    causes: causes && {
      ...findCauses(causes.items.filter(({ fact }) => fact !== 'site' || isMany(visit))),
      cut: causes.cut ?? false,
    },
    flagged: flagged && running && { jobs: flagged.items, running: sumRunning(running.items) },
    failures: failed?.items,
    newest: all?.items,
    notices: [
      ...sitesNotices(visit.sites, assessFreshness(visit)),
      ...completenessNotices(all?.completeness, visit.siteQuery),
    ],
  }
}

const isMany = ({ siteQuery }: Visit) => siteQuery !== undefined

const countCauses = (visit: Visit, window: Exclude<Window, 'all'>, from: Micros) => {
  const filter = {
    from,
    to: visit.now,
    recentFrom: startRecent(from, visit.now),
    minFailed: fewest,
  }
  const keepMs = keepCausesMs(windows[window])
  return askCounts(visit, ['causes', window], { question: causesQuestion, params: filter, keepMs })
}

const newest: JobFilter = { time: 'active', order: 'desc', limit: linesShown }

// The key has the window, not its start: the last answer is the one to fall back on.
async function stats(
  visit: Visit,
  name: string,
  window: string,
  params: StatsFilter,
): Promise<StatsRow[] | undefined> {
  return (await askCounts(visit, [name, window], { question: statsQuestion, params }))?.items
}

const find = (
  visit: Visit,
  name: string,
  window: string,
  filter: JobFilter,
): Promise<JobPage | undefined> =>
  ask(visit, [name, window], (backend, signal) => backend.findJobs(filter, signal))
