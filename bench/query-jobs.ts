import type { Store } from '../src/store/connect.ts'

const op = { operation: 'bench', table: 'job' }

/** Jobs of the last seven days unless told otherwise; all others of a table are older, about as dense. */
const usualWeek = 50_000

/**
 * Fills the table of jobs: 40 apps, one job in 50 failed, one in 500 running, a lot for each 25; one in ten
 * was queued, one in 40 tried twice, and one in 1,000 waits.
 */
export async function fillJobs(store: Store, count: number, inWeek = usualWeek): Promise<void> {
  await store.ask(
    op,
    (sql) => sql`
      insert into app (site_id, name, app_id, version)
      select 'fab1', 'metrology-' || n, gen_random_uuid(), '4.2.1' from generate_series(0, 39) n`,
  )
  for (let from = 0; from < count; from += 50_000) {
    await insertJobs(store, { from, to: Math.min(count, from + 50_000), inWeek })
  }
  // As ingest does, but for history all at once.
  await store.ask(
    op,
    (sql) => sql`
      insert into rollup_due select 'j', array_agg(distinct date_bin('1 hour', started_at, '2000-01-01T00:00:00Z'))
      from job`,
  )
  await store.ask(op, (sql) => sql`vacuum (analyze, freeze) job`)
  await store.ask(op, (sql) => sql`checkpoint`)
}

type Part = { from: number; to: number; inWeek: number }

const insertJobs = (store: Store, { from, to, inWeek }: Part) =>
  store.ask(
    op,
    (sql) => sql`
      insert into job (job_id, given_started_at, first_event_at, last_event_at, last_event_key, app_id,
        app_name, app_version, site_id, job_key, sub_key, end_event_at, end_event_key, end_status,
        ended_at, start_meta_at, start_meta_key, start_metadata, last_error, cpu_user_s, mem_max_mb,
        event_count, error_count, attempt, attempts, queued_at, last_queued_at, end_metadata,
        queue_metadata)
      select gen_random_uuid(), case when not waits then at end, at, coalesce(ended, at), gen_random_uuid(), a.app_id,
        a.name, '4.2.1', 'fab1', 'N' || n / 25, 'W' || n % 25,
        ended, case when ended is not null then gen_random_uuid() end,
        case when ended is null then null when n % 50 = 1 then 'failed' else 'succeeded' end,
        ended, at, gen_random_uuid(), '{"recipe":"ETCH-7","tool":"TOOL-3","chamber":"B"}',
        case when n % 50 = 1 then 'the chamber did not reach its pressure' end, 1.25, 512, 3,
        case when n % 50 = 1 then 1 else 0 end,
        case when n % 40 = 3 then 2 else 1 end,
        case when n % 40 = 3 then jsonb_build_object('1', attempt_entry(at - interval '100 seconds', null,
          at - interval '100 seconds', null, at - interval '10 seconds', gen_random_uuid(), 'failed',
          at - interval '10 seconds', null, '{"exit_code":3}', at - interval '10 seconds', gen_random_uuid(),
          'the chamber did not reach its pressure')) end,
        case when queued then at - interval '30 seconds' when waits then at end,
        case when queued then at - interval '30 seconds' when waits then at end,
        case when n % 50 = 1 then '{"exit_code":3}'::jsonb end,
        case when queued or waits then '{"queue":"short","priority":70}'::jsonb end
      from generate_series(${from}::int, ${to - 1}::int) n
      join app a on a.name = 'metrology-' || n * 7 % 40
      cross join lateral (
        select now() - n * (interval '7 days' / ${inWeek}::int) as at) s
      cross join lateral (select case when n % 500 > 0 and n % 1000 <> 7 then at + interval '90 seconds' end as ended) e
      cross join lateral (select n % 10 = 4 as queued, n % 1000 = 7 as waits) w`,
  )
