import { connect, type Sql, type Store } from '../src/store/connect.ts'
import { jobColumnsSql } from '../src/store/job-rows.ts'
import { claimBusyWeek, startBusyWeek } from './busy-week.ts'
import type { Bench, Claim, Context, Turn } from './frame/bench.ts'
import { Connection, expectOk } from './frame/connection.ts'
import { median } from './frame/numbers.ts'
import { startServer } from './frame/server.ts'
import { startLocalApi } from './ingest.ts'
import { fillJobs } from './query-jobs.ts'

const op = { operation: 'bench', table: 'job' }

/** A question as it is asked of the API, and what of it is special in SQL. */
type Question = {
  name: string
  params: string
  where: (sql: Sql) => ReturnType<Sql>
  /** The time of the list; the start unless given. */
  by?: 'started' | 'ended'
}

/** Asked with the window of the dashboard, which has what ran in it as well: there is no SQL of one line for that. */
const ofDashboard = [
  { name: 'newest, dashboard', params: '' },
  { name: 'no version, dashboard', params: '&app_version=none' },
]

const questions: Question[] = [
  { name: 'newest', params: '', where: (sql) => sql`true` },
  {
    name: 'failed',
    params: '&status=failed',
    where: (sql) => sql`status = 'failed'`,
    by: 'ended',
  },
  {
    name: 'one app',
    params: '&app_name=metrology-7',
    where: (sql) => sql`app_name = 'metrology-7'`,
  },
  { name: 'one tool', params: '&tool=TOOL-3', where: (sql) => sql`tool = 'TOOL-3'` },
  {
    name: 'no version',
    params: '&app_version=none',
    where: (sql) => sql`app_version = 'none'`,
  },
  { name: 'tried again', params: '&min_attempts=2', where: (sql) => sql`attempt > 1` },
  { name: 'waiting', params: '&status=queued', where: (sql) => sql`status = 'queued'` },
  { name: 'one exit code', params: '&exit_code=3', where: (sql) => sql`exit_code = '3'` },
  { name: 'one queue', params: '&queue=short', where: (sql) => sql`queue = 'short'` },
  { name: 'no priority', params: '&priority=none', where: (sql) => sql`priority = 'none'` },
  { name: 'one lot', params: '&business_key=N77', where: (sql) => sql`job_key = 'N77'` },
  {
    name: 'no match',
    params: '&q=nosuchthing',
    where: (
      sql,
    ) => sql`strpos(lower(concat_ws(chr(31), job_key, sub_key, app_name, last_error, tool,
      chamber, recipe, host, error_type, queue)), 'nosuchthing') > 0`,
  },
]

/** The time that the API adds to the database's own, and the slowdown by a larger table. */
export const query: Bench = {
  name: 'query',
  about:
    'GET /v1/jobs?limit=100 over the last 7 days, against the same SQL alone; a larger table, its jobs older, against the smallest; and weeks of more jobs',
  unit: 'ms',
  async start(context) {
    const sides: Record<string, Turn> = {}
    const claims: Claim[] = []
    const { jobs } = context.options
    let server = ''
    const canned = (await startServer(context, 'canned')).url
    for (const size of jobs) {
      const database = await context.database()
      server = database.server
      const { api, store } = await fill(context, database.url, size)
      for (const question of questions) {
        const name = nameOf(question, size)
        const path = `/v1/jobs?limit=100&time=${question.by ?? 'started'}${question.params}`
        sides[name] = overHttp(api, path)
        sides[`${name}, SQL`] = times(() => bare(store, question))
        sides[`${name}, least`] = await least(() => bare(store, question), { api, canned, path })
        claims.push({ side: name, against: `${name}, SQL` })
        claims.push({ side: name, against: `${name}, least`, atMost: 1.3 })
      }
      for (const { name, params } of ofDashboard) {
        sides[nameOf({ name }, size)] = overHttp(api, `/v1/jobs?limit=100${params}`)
      }
      if (size === jobs[0]) continue
      for (const question of [...questions, ...ofDashboard]) {
        claims.push({
          ...{ side: nameOf(question, size), against: nameOf(question, jobs[0]!) },
          atMost: 1.5,
        })
      }
    }
    for (const size of context.options.week) {
      Object.assign(sides, await startBusyWeek(context, size))
      claims.push(...claimBusyWeek(size, context.options.week[0]!))
    }
    return { sides, claims, facts: () => ({ database: server }) }
  },
}

const nameOf = ({ name }: { name: string }, size: number) =>
  `${name}, ${size.toLocaleString('en-US')} jobs`

async function fill(context: Context, url: string, size: number) {
  context.log(`  making ${size} jobs`)
  const store = connect(url, { role: 'bench', max: 1 })
  context.after(() => store.close())
  await fillJobs(store, size)
  return { api: await startLocalApi(context, url), store }
}

/** On a connection of its own each turn: one that waits for its next turn would be closed. */
function overHttp(url: string, path: string): Turn {
  return async (seconds) => {
    const connection = await Connection.open(url)
    const figure = await times(() => connection.get(path).then(expectOk))(seconds)
    connection.close()
    return figure
  }
}

/**
 * The least that the answer can cost any server written for Node.js: the SQL, and then the same bytes
 * over HTTP, ready made.
 */
async function least(
  sql: () => Promise<unknown>,
  { api, canned, path }: { api: string; canned: string; path: string },
): Promise<Turn> {
  const from = await Connection.open(api)
  const to = await Connection.open(canned)
  // The same question has another answer at each size, that is, from each local API.
  const place = `/${new URL(api).port}${path}`
  expectOk(await to.post(place, expectOk(await from.get(path)).body))
  from.close()
  to.close()
  return async (seconds) => {
    const connection = await Connection.open(canned)
    const figure = await times(async () => {
      await sql()
      expectOk(await connection.get(place))
    })(seconds)
    connection.close()
    return figure
  }
}

/** There are many sides, so each gets a tenth of a turn. @returns the median time of one, in ms */
function times(ask: () => Promise<unknown>): Turn {
  return async (seconds) => {
    const took: number[] = []
    const end = performance.now() + seconds * 100
    while (took.length < 5 || performance.now() < end) {
      const begin = performance.now()
      await ask()
      took.push(performance.now() - begin)
    }
    return median(took)
  }
}

const bare = (store: Store, { where, by = 'started' }: Question) =>
  store.ask(
    op,
    (sql) => sql`
      select ${jobColumnsSql(sql, 'job')} from job
      where ${where(sql)} and ${sql(`${by}_at`)} >= ${new Date(Date.now() - 7 * 86_400_000).toISOString()}
      order by ${sql(`${by}_at`)} desc, job_id desc limit 101`,
  )
