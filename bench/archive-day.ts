import type { Store } from '../src/store/connect.ts'

/* A closed day as a fab fills it: jobs that start, report and finish, about 500 bytes of JSON an event. */

const op = { operation: 'bench', table: 'event' }

/** Rows of a statement. */
const atATime = 100_000

/** The day, as the archive calls it. */
export const benchDay = '2026-03-13'

/** Fills a day with this many events, three of each job, and closes it. */
export async function fillDay(store: Store, events: number): Promise<void> {
  const run = (statement: string) => store.ask(op, (sql) => sql.unsafe(statement))
  await run(`update horizon set frozen_before = '2026-03-01', open_until = '2026-03-21'`)
  await run(`select make_event_partitions('2026-03-13T00:00Z', '2026-03-14T00:00Z')`)
  const jobs = Math.ceil(events / 3)
  for (let from = 0; from < jobs; from += atATime) {
    const to = Math.min(jobs, from + atATime)
    await run(eventsSql(from, to, jobs))
    await run(jobsSql(from, to, jobs))
  }
  await run(`update horizon set frozen_before = '2026-03-14T01:00:00Z'`)
  await run('vacuum (analyze, freeze) job')
  await run('analyze event')
  await run('checkpoint')
}

/** Its jobs, over the day, with the times of their events. @param jobs of the whole day */
const jobRows = (from: number, to: number, jobs: number) => `
  select n, md5('job' || n)::uuid as id, md5('app' || n * 7 % 40)::uuid as app_id, 'metrology-' || n * 7 % 40 as app,
    'N' || 10000 + n / 25 || '.00' as lot, 'W' || lpad((n % 25)::text, 2, '0') as wafer,
    began, began + took as ended, took, n % 50 = 1 as failed
  from generate_series(${from}, ${to - 1}) n
  cross join lateral (select timestamptz '${benchDay}T00:00:00Z' + n * (interval '86000 seconds' / ${jobs})
    + (n * 7919 % 1000) * interval '1 microsecond' as began, (5 + n * 31 % 300) * interval '1.013507 seconds' as took) t`

const eventsSql = (from: number, to: number, jobs: number) => `
  insert into event (at, idempotency_key, received_at, stored_at, batch, entity_type, entity_id, app_id, app_name,
    app_version, site_id, business_key, sub_key, kind, status, started_at, ended_at, metrics, metadata, source_id,
    source_epoch, source_seq, historical)
  select at, gen_random_uuid(), at + interval '2.104 milliseconds', now() + (at - timestamptz '${benchDay}T00:00:00Z'), n / 100, 'j', id,
    app_id, app, '4.2.1', 'fab1', lot, wafer, kind, case when kind = 'finished' then case when failed then 'failed' else 'succeeded' end end,
    began, case when kind = 'finished' then ended end, metrics, metadata, 'node-' || n % 12, 'e1', 3 * n + step, false
  from (${jobRows(from, to, jobs)}) j
  cross join lateral (values
    (0, 'started', began, null::jsonb, jsonb_build_object('recipe', 'ETCH-' || n % 40, 'tool', 'TOOL-' || n % 12, 'chamber', 'B')),
    (1, 'progress', began + took / 2, jsonb_build_object('progress', 0.5, 'cd_mean_nm', 38 + n * 17 % 997 / 1000.0),
      jsonb_build_object('step', 'measure', 'slot', n % 25)),
    (2, 'finished', ended, jsonb_build_object('cpu_user_s', 1.25 + n % 100 / 100.0, 'mem_max_mb', 256 + n % 512),
      jsonb_build_object('sites', 17))) e (step, kind, at, metrics, metadata)
  where at < timestamptz '2026-03-14T00:00:00Z' order by at`

const jobsSql = (from: number, to: number, jobs: number) => `
  insert into job (job_id, given_started_at, started_event_at, first_event_at, last_event_at, last_event_key, app_id,
    app_name, app_version, site_id, job_key, sub_key, end_event_at, end_event_key, end_status, ended_at, start_meta_at,
    start_meta_key, start_metadata, end_metadata, cpu_user_s, mem_max_mb, last_error, event_count, error_count,
    inserted_at, updated_at)
  select id, began, began, began, ended, gen_random_uuid(), app_id, app, '4.2.1', 'fab1', lot, wafer, ended,
    gen_random_uuid(), case when failed then 'failed' else 'succeeded' end, ended, began, gen_random_uuid(),
    jsonb_build_object('recipe', 'ETCH-' || n % 40, 'tool', 'TOOL-' || n % 12, 'chamber', 'B'), '{"sites": 17}',
    1.25 + n % 100 / 100.0, 256 + n % 512, case when failed then 'the chamber did not reach its pressure' end, 3,
    failed::int, ended, ended
  from (${jobRows(from, to, jobs)}) j`
