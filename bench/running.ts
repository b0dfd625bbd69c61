import { connect, type Store } from '../src/store/connect.ts'
import type { Bench, Turn } from './frame/bench.ts'
import { Connection, expectOk } from './frame/connection.ts'
import { median } from './frame/numbers.ts'
import { startLocalApi } from './ingest.ts'

const op = { operation: 'bench', table: 'job' }
/** Running jobs; a fab has a few thousand. */
const running = 100_000
/** Kinds of jobs with a history. */
const kinds = 400

/** The time to judge every running job of a store. */
export const judge: Bench = {
  name: 'running',
  about: `GET /v1/running, and GET /v1/jobs?flag= with its total, over ${running.toLocaleString('en-US')} running jobs`,
  unit: 'ms',
  async start(context) {
    const database = await context.database()
    const store = connect(database.url, { role: 'bench', max: 1 })
    context.after(() => store.close())
    context.log(`  making ${running} running jobs`)
    await fillRunning(store)
    const api = await startLocalApi(context, database.url)
    const sides: Record<string, Turn> = {
      'all counted': timesOf(api, '/v1/running'),
      'all three, 100 rows': timesOf(api, '/v1/jobs?flag=stuck,lost,late&limit=100'),
      'lost, 100 rows': timesOf(api, '/v1/jobs?flag=lost&limit=100'),
      'none late': timesOf(api, '/v1/jobs?flag=late&limit=100'),
      'one app': timesOf(api, '/v1/jobs?flag=lost&app_name=metrology-7&limit=100'),
    }
    const claims = Object.keys(sides).map((side) => ({ side }))
    return { sides, claims, facts: () => ({ database: database.server }) }
  },
}

/** One in a hundred lost, one in two hundred stuck, one in ten without a history. */
async function fillRunning(store: Store): Promise<void> {
  await store.ask(
    op,
    (sql) => sql`
      insert into app (site_id, name, app_id, version)
      select 'fab1', 'metrology-' || n, gen_random_uuid(), '4.2.1' from generate_series(0, 39) n`,
  )
  await store.ask(
    op,
    (sql) => sql`
      insert into baseline (entity_type, site_id, app_name, app_version, recipe, runs, p05_s, p50_s, p95_s, p99_s, gap_s)
      select 'j', 'fab1', 'metrology-' || n % 40, '4.2.1', 'ETCH-' || n / 40, 200, 60, 90, 120, 86400, 30
      from generate_series(0, ${kinds - 1}::int) n`,
  )
  await store.ask(
    op,
    (sql) => sql`
      insert into job (job_id, given_started_at, first_event_at, last_event_at, last_event_key, app_id,
        app_name, app_version, site_id, job_key, start_meta_at, start_meta_key, start_metadata, event_count,
        error_count, updated_at)
      select gen_random_uuid(), at, at, seen, gen_random_uuid(), a.app_id, a.name, '4.2.1', 'fab1',
        'N' || n / 25, at, gen_random_uuid(),
        jsonb_build_object('recipe', 'ETCH-' || n % 11, 'tool', 'TOOL-' || n % 60, 'heartbeat_s', 86400)
          || case when n % 200 = 3 then '{"max_duration_s": 1}' else '{}' end::jsonb, 3, 0, seen
      from generate_series(0, ${running - 1}::int) n
      join app a on a.name = 'metrology-' || n % 40
      cross join lateral (select now() - n * interval '2 seconds' as at) s
      cross join lateral (select case when n % 100 = 0 then now() - interval '3 days' else now() end as seen) e`,
  )
  await store.ask(op, (sql) => sql`vacuum (analyze, freeze) job`)
}

function timesOf(url: string, path: string): Turn {
  return async (seconds) => {
    const connection = await Connection.open(url)
    const took: number[] = []
    const end = performance.now() + seconds * 1000
    while (took.length < 5 || performance.now() < end) {
      const begin = performance.now()
      expectOk(await connection.get(path))
      took.push(performance.now() - begin)
    }
    connection.close()
    return median(took)
  }
}
