import { connect, type Store } from '../src/store/connect.ts'
import { startRole, until } from '../test/support/processes.ts'
import type { Claim, Context, Turn } from './frame/bench.ts'
import { Connection, expectOk } from './frame/connection.ts'
import { median } from './frame/numbers.ts'
import { startLocalApi } from './ingest.ts'
import { fillJobs } from './query-jobs.ts'

/*
 * All jobs of the table within seven days: what an answer costs where the window itself is large.
 */

const op = { operation: 'bench', table: 'job' }

/** Questions that look at all of the week, or find nothing in it. */
const questions = {
  'q without a match': '/v1/jobs?limit=100&time=started&q=nosuchthing',
  'q of one lot': '/v1/jobs?limit=100&time=started&q=N777',
  'q of a frequent text': '/v1/jobs?limit=100&time=started&q=pressure',
  'min_duration_s without a match': '/v1/jobs?limit=100&time=started&min_duration_s=86000',
  'stats by hour': '/v1/stats?bucket=hour',
  'stats by app and status': '/v1/stats?bucket=day&group_by=app,status',
  'stats by end': '/v1/stats?bucket=day&group_by=status&time=ended',
  causes: '/v1/causes',
}
const pages = { 'overview, first answer': '/?w=7d', 'overview of a day, first answer': '/?w=24h' }

/** Sides of a week of so many jobs. */
export async function startBusyWeek(context: Context, size: number) {
  const { url } = await context.database()
  const store = connect(url, { role: 'bench', max: 1, timeoutS: 600 })
  context.after(() => store.close())
  context.log(`  making a week of ${size} jobs`)
  await fillJobs(store, size, size)
  const api = await startLocalApi(context, url)
  await untilMade(context, store)
  const sides: Record<string, Turn> = {}
  for (const [name, path] of Object.entries(questions)) sides[nameOf(name, size)] = asks(api, path)
  for (const [name, path] of Object.entries(pages))
    sides[nameOf(name, size)] = opens(context, api, path)
  return sides
}

/** Waits until a local API has made the rollups. */
export async function untilMade(context: Context, store: Store): Promise<void> {
  const begin = performance.now()
  await until('the rollups', () => isMade(store), 1_200_000)
  context.log(`  its rollups were made in ${((performance.now() - begin) / 1000).toFixed(1)} s`)
  await store.ask(op, (sql) => sql`vacuum (analyze)`)
}

const isMade = async (store: Store) => {
  const [row] = await store.ask<{ n: number }[]>(
    op,
    (sql) => sql`
      select (select count(*) from rollup_due)::int + (select count(*) from rollup_stale)::int as n`,
  )
  return row?.n === 0
}

/** Ten times the jobs may cost twice as much, and the first answer of a page stays under a tenth of a second. */
export function claimBusyWeek(size: number, least: number): Claim[] {
  const grown = Object.keys(questions).map((name) => {
    const side = nameOf(name, size)
    return size === least ? { side } : { side, against: nameOf(name, least), atMost: 2 }
  })
  const opened = Object.keys(pages).map((name) => ({ side: nameOf(name, size), atMost: 100 }))
  return [...grown, ...opened]
}

const nameOf = (name: string, size: number) =>
  `${name}, a week of ${size.toLocaleString('en-US')} jobs`

/** @returns the median time of an answer over HTTP, in ms; a tenth of a turn for it */
export function asks(url: string, path: string): Turn {
  return async (seconds) => {
    const connection = await Connection.open(url)
    const took: number[] = []
    const end = performance.now() + seconds * 100
    while (took.length < 5 || performance.now() < end) {
      const begin = performance.now()
      expectOk(await connection.get(path))
      took.push(performance.now() - begin)
    }
    connection.close()
    return median(took)
  }
}

/** Each time from a dashboard that was started just now: it remembers no answer. */
function opens({ after }: Context, api: string, path: string): Turn {
  return async () => {
    const took: number[] = []
    while (took.length < 3) {
      const web = await startRole({ after }, 'web', {
        ...{ LOCAL_API: api, DEFAULT_SITE: 'fab1', LOG_LEVEL: 'error' },
      })
      const connection = await Connection.open(web.url)
      // Warm, as a process that has served another page.
      await connection.get('/jobs?w=1h')
      const begin = performance.now()
      expectOk(await connection.get(path))
      took.push(performance.now() - begin)
      connection.close()
      await web.stop()
    }
    return median(took)
  }
}
