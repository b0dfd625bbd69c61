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
import { ask, assessFreshness, readParams, type Visit } from '../visit.ts'

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
    stats(visit, window, { from, bucket, groupBy: ['status'] }),
    stats(visit, window, { from, time: 'ended', bucket: 'day', groupBy: ['app', 'status'] }),
    find(visit, window, { ...newest, from, time: defaultTime(['failed']), status: ['failed'] }),
    find(visit, window, { ...newest, from }),
    find(visit, window, { ...newest, from: undefined, flags, limit: linesShown }),
    ask(visit, ['running'], (backend, signal) => backend.ask(runningQuestion, {}, signal)),
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
    causes: causes && findCauses(causes.filter(({ fact }) => fact !== 'site' || isMany(visit))),
    flagged: flagged && running && { jobs: flagged.items, running: sumRunning(running) },
    failures: failed?.items,
    newest: all?.items,
    notices: [
      ...sitesNotices(all ?? {}, assessFreshness(visit)),
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
  return ask(
    visit,
    ['causes', window],
    (backend, signal) => backend.ask(causesQuestion, filter, signal),
    keepCausesMs(windows[window]),
  )
}

const newest: JobFilter = { time: 'active', order: 'desc', limit: linesShown }

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
  ask(visit, ['find', window, filter.status, filter.flags], (backend, signal) =>
    backend.findJobs(filter, signal),
  )
