import type { Store } from '../../src/store/connect.ts'

export type Amount = {
  jobs: number
  /** Over how many days they are spread, up to now. */
  days?: number
  /** Jobs that have subjobs, and how many each; their times are spread as those of the jobs. */
  parents?: number
  children?: number
  /** Raw events of the last two days, and a position of the live stream for every twenty. */
  events?: number
}

/**
 * Fills a migrated store as a fab would: 40 apps of very different weight (the last four never
 * fail), two sites, lots as keys, a twentieth failed, a hundredth canceled, the newest running and a
 * few forgotten. Rows are made by the database, so a million takes a minute.
 */
export async function fillStore(store: Store, amount: Amount): Promise<void> {
  const { jobs, days = 90, parents = 0, children = 25, events = 0 } = amount
  const run = (statement: string) =>
    store.ask({ operation: 'fill', table: 'none' }, (sql) => sql.unsafe(statement))
  await run('select setseed(0.42)')
  await run(appsSql)
  await run(jobsSql('job', jobs, days, `null::uuid`))
  await run(jobsSql('subjob', parents * children, days, `${id('job', `i / ${children}`)}`))
  if (events > 0) {
    await run(eventsSql(events))
    await run(positionsSql)
  }
  await run('vacuum analyze')
}

/** The id of the n-th newest row. */
export const id = (kind: string, n: string) => `md5('${kind}' || (${n}))::uuid`

const appsSql = `
  insert into app (site_id, name, app_id, version)
  select site, 'app-' || to_char(n, 'FM00'), md5('app' || n)::uuid, '1.0'
  from generate_series(0, 39) n, unnest(array['fab1', 'fab2']) site
  union all select 'fab1', 'retired', md5('retired')::uuid, '1.0'`

const jobsSql = (table: 'job' | 'subjob', n: number, days: number, parent: string) => `
  insert into ${table} (${table}_id, parent_id, started_event_at, first_event_at, last_event_at,
    last_event_key, app_id, app_name, app_version, site_id, job_key, sub_key, end_event_at,
    end_event_key, end_status, ended_at, given_duration_s, start_meta_at, start_meta_key,
    start_metadata, error_at, error_key, last_error, cpu_user_s, mem_max_mb, metrics, event_count,
    error_count, inserted_at, updated_at)
  select ${id(table, 'i')}, ${parent}, began, began, seen, gen_random_uuid(),
    md5('app' || app)::uuid, 'app-' || to_char(app, 'FM00'), '1.0',
    case when i % 10 = 0 then 'fab2' else 'fab1' end,
    case when i % 5 > 0 and (i % 4 > 0 or '${table}' = 'job') then 'L26N' || (i / 3) end, case when '${table}' = 'subjob' then 'W' || i % 25 end,
    ended, case when ended is not null then gen_random_uuid() end, status, ended,
    case when ended is not null then took end, began, gen_random_uuid(),
    jsonb_build_object('tool', 'SCN-' || i % 9, 'recipe', 'r' || i % 30, 'carrier_id', 'F' || i % 900),
    case when status = 'failed' then ended end, case when status = 'failed' then gen_random_uuid() end,
    case when status = 'failed' then 'SECS T3 timeout ' || i end, took / 5, 40 + i % 900,
    jsonb_build_object('cd_mean_nm', jsonb_build_array(began::text, i % 40)), 4,
    coalesce(status = 'failed', false)::int, began, seen
  from (
    select i, app, began, took, status, case when status is not null then began + took * interval '1 s' end as ended,
      case when status is not null then began + took * interval '1 s' else least(began + interval '10 min', now()) end as seen
    from (
      select i, app, took, began, case
          when began + took * interval '1 s' > now() or i % 2000 = 7 then null
          when app < 36 and dice < 0.055 then 'failed'
          when dice > 0.99 then 'canceled'
          else 'succeeded' end as status
      from (
        select i, floor(40 * power(random(), 2.5))::int as app, 5 + 600 * power(random(), 3) as took,
          random() as dice, date_trunc('second', now() - (i::float8 / ${Math.max(n, 1)}) * interval '${days} days') as began
        from generate_series(0, ${n - 1}) i) a) b) c`

const eventsSql = (n: number) => `
  insert into event (at, idempotency_key, received_at, stored_at, batch, entity_type, entity_id, app_id,
    app_name, app_version, site_id, kind, metadata, historical)
  select at, gen_random_uuid(), at, at, ${n} - i / 20, 'j', ${id('job', 'i / 10')}, md5('app')::uuid,
    'app-01', '1.0', 'fab1', 'progress', '{"tool": "SCN-05"}', false
  from (select i, now() - (i::float8 / ${n}) * interval '46 hours' as at from generate_series(0, ${n - 1}) i) e
  order by at`

const positionsSql = `
  insert into live_batch (pos, batch, n, at_min, at_max, stored_at)
  select batch, batch, count(*), min(at), max(at), max(at) from event group by batch`
