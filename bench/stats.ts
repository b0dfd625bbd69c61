import { must } from '../src/core/must.ts'
import type { StatsFilter } from '../src/core/questions/stats.ts'
import { fromMs } from '../src/core/time.ts'
import { connect, type Pool } from '../src/store/connect.ts'
import { findStats } from '../src/store/stats.ts'
import { explaining } from '../test/support/plans.ts'
import { asks, untilMade } from './busy-week.ts'
import type { Bench, Turn } from './frame/bench.ts'
import { median } from './frame/numbers.ts'
import { startLocalApi } from './ingest.ts'
import { fillJobs } from './query-jobs.ts'

const jobs = 1_000_000
const dayMs = 86_400_000
const { signal } = new AbortController()

/** Statistics of a year, from rollups. */
export const stats: Bench = {
  name: 'stats',
  about: `GET /v1/stats of a year by day over ${jobs.toLocaleString('en-US')} jobs, and the time of its SQL in the database`,
  unit: 'ms',
  async start(context) {
    const { url, server } = await context.database()
    const store = connect(url, { role: 'bench', max: 1, timeoutS: 600 })
    context.after(() => store.close())
    context.log(`  making a year of ${jobs} jobs`)
    await fillJobs(store, jobs, Math.round((jobs * 7) / 365))
    const api = await startLocalApi(context, url)
    await untilMade(context, store)
    // No whole hour begins or ends it.
    const to = fromMs(Date.now())
    const from = fromMs(Date.now() - 365 * dayMs)
    const path = `/v1/stats?bucket=day&from=${from}&to=${to}`
    const byDay: StatsFilter = { from, to, bucket: 'day', groupBy: [] }
    const sides: Record<string, Turn> = {
      'a year by day': asks(api, path),
      'a year by day, SQL': executes(store, byDay),
      'by app and status': asks(api, `${path}&group_by=app,status`),
      'by app and status, SQL': executes(store, { ...byDay, groupBy: ['app', 'status'] }),
      'a year by month': asks(api, path.replace('day', 'month')),
      'a year by month, SQL': executes(store, { ...byDay, bucket: 'month' }),
    }
    const claims = Object.keys(sides).map((side) =>
      side === 'a year by day, SQL' ? { side, atMost: 100 } : { side },
    )
    return { sides, claims, facts: () => ({ database: server }) }
  },
}

/** The time of the statement by PostgreSQL's own clock. */
function executes(store: Pool, filter: StatsFilter): Turn {
  return async (seconds) => {
    const { store: explained, plans } = explaining(store)
    const took: number[] = []
    const end = performance.now() + seconds * 100
    while (took.length < 5 || performance.now() < end) {
      await findStats(explained, filter, signal)
      took.push(must(plans.at(-1), 'a question has a plan').ms)
    }
    return median(took)
  }
}
