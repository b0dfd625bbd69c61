/**
 * The statements of ingest, made once from one description of the slots: what core/fold.ts does in
 * memory, this does in SQL, by the same rules. A property test holds the two together.
 */

const types: Record<string, string> = {
  given_started_at: 'timestamptz',
  started_event_at: 'timestamptz',
  first_event_at: 'timestamptz',
  last_event_at: 'timestamptz',
  last_event_key: 'uuid',
  app_id: 'uuid',
  app_name: 'text',
  app_version: 'text',
  site_id: 'text',
  parent_id: 'uuid',
  job_key: 'text',
  sub_key: 'text',
  end_event_at: 'timestamptz',
  end_event_key: 'uuid',
  end_status: 'text',
  ended_at: 'timestamptz',
  given_duration_s: 'float8',
  end_metadata: 'jsonb',
  start_meta_at: 'timestamptz',
  start_meta_key: 'uuid',
  start_metadata: 'jsonb',
  progress_meta_at: 'timestamptz',
  progress_meta_key: 'uuid',
  progress_metadata: 'jsonb',
  progress_at: 'timestamptz',
  progress_key: 'uuid',
  progress: 'float8',
  error_at: 'timestamptz',
  error_key: 'uuid',
  last_error: 'text',
  cpu_user_s: 'float8',
  cpu_system_s: 'float8',
  mem_max_mb: 'float8',
  metrics: 'jsonb',
  event_count: 'int',
  error_count: 'int',
}

/** Slots that go together: all are taken from the event with the greatest (at, key). */
const groups: [at: string, key: string, ...values: string[]][] = [
  ['last_event_at', 'last_event_key', 'app_id', 'app_name', 'app_version', 'site_id'],
  ['end_event_at', 'end_event_key', 'end_status', 'ended_at', 'given_duration_s', 'end_metadata'],
  ['start_meta_at', 'start_meta_key', 'start_metadata'],
  ['progress_meta_at', 'progress_meta_key', 'progress_metadata'],
  ['progress_at', 'progress_key', 'progress'],
  ['error_at', 'error_key', 'last_error'],
]

/** A row comparison with a null in it is null, so the empty side is asked for first. */
function latest([at, key, ...values]: [string, string, ...string[]]): string[] {
  const newer = `excluded.${at} is not null and (j.${at} is null or (excluded.${at}, excluded.${key}) > (j.${at}, j.${key}))`
  return [at, key, ...values].map(
    (name) => `${name} = case when ${newer} then excluded.${name} else j.${name} end`,
  )
}

const least = (name: string) => `${name} = least(j.${name}, excluded.${name})`
const greatest = (name: string) => `${name} = greatest(j.${name}, excluded.${name})`
const greatestText = (name: string) =>
  `${name} = greatest(j.${name} collate "C", excluded.${name} collate "C")`
const sum = (name: string) => `${name} = j.${name} + excluded.${name}`

/**
 * Merges rows of slots into `job` or `subjob`. $1 is a JSON array of them as text. Rows go in by id
 * order, so that two transactions never wait for each other crosswise.
 */
export function upsertSql(table: 'job' | 'subjob'): string {
  const id = `${table}_id`
  const names = Object.keys(types)
  const columns = names.map((name) => `${name} ${types[name]}`)
  const sets = [
    ...['given_started_at', 'started_event_at', 'first_event_at'].map(least),
    ...groups.flatMap(latest),
    ...['parent_id', 'cpu_user_s', 'cpu_system_s', 'mem_max_mb'].map(greatest),
    ...['job_key', 'sub_key'].map(greatestText),
    `metrics = case when excluded.metrics is null then j.metrics when j.metrics is null then excluded.metrics else metric_merge(j.metrics, excluded.metrics) end`,
    ...['event_count', 'error_count'].map(sum),
    'updated_at = now()',
  ]
  return `/* ingest.fold */ insert into ${table} as j (${id}, ${names.join(', ')})
select d.id, ${names.map((name) => `d.${name}`).join(', ')}
from json_to_recordset($1::text::json) as d (id uuid, ${columns.join(', ')})
order by d.id
on conflict (${id}) do update set ${sets.join(', ')}`
}

const eventColumns = [
  'at timestamptz',
  'idempotency_key uuid',
  'received_at timestamptz',
  'entity_type "char"',
  'entity_id uuid',
  'parent_id uuid',
  'app_id uuid',
  'app_name text',
  'app_version text',
  'site_id text',
  'business_key text',
  'sub_key text',
  'kind text',
  'status text',
  'started_at timestamptz',
  'ended_at timestamptz',
  'metrics jsonb',
  'metadata jsonb',
  'traceparent text',
  'source_id text',
  'source_epoch text',
  'source_seq bigint',
  'historical boolean',
  'extra jsonb',
]
const eventNames = eventColumns.map((column) => column.split(' ')[0]!)

/**
 * Inserts events and tells which were new. $1 is a JSON array of them as text.
 *
 * What lies below the horizon or beyond the open partitions goes to event_late. The horizon moves
 * forward between two copies of an event, so each side also looks on the other: below it whether
 * the event is in "event" already, above it (only while there are such rows at all) whether it came
 * when its time still lay too far ahead. An event whose raw row was dropped after archiving is
 * known by the numbers received from its source.
 */
export const insertEventsSql = `/* ingest.insertEvents */
with h as materialized (
  select frozen_before, open_until, dropped_before, nextval('event_batch_id') as batch,
    exists (select from event_late l where l.at >= o.frozen_before) as late_ahead
  from horizon o),
r as materialized (
  select e.* from json_to_recordset($1::text::json) as e (${eventColumns.join(', ')})),
a as (
  insert into event (batch, ${eventNames.join(', ')})
  select h.batch, ${eventNames.map((name) => `r.${name}`).join(', ')} from r, h
  where r.at >= h.frozen_before and r.at < h.open_until
    and (not h.late_ahead or not exists (
      select from event_late l where l.at = r.at and l.idempotency_key = r.idempotency_key))
  order by r.at, r.idempotency_key
  on conflict (at, idempotency_key) do nothing returning at, idempotency_key),
b as (
  insert into event_late (batch, ${eventNames.join(', ')})
  select h.batch, ${eventNames.map((name) => `r.${name}`).join(', ')} from r, h
  where (r.at < h.frozen_before or r.at >= h.open_until)
    and not exists (
      select from event e where e.at = r.at and e.idempotency_key = r.idempotency_key)
    and (r.at >= h.dropped_before or r.source_id is null or not exists (
      select from source s where s.source_id = r.source_id and s.epoch = r.source_epoch
        and s.received @> r.source_seq))
  order by r.at, r.idempotency_key
  on conflict (at, idempotency_key) do nothing returning at, idempotency_key)
select h.batch, n.at, n.idempotency_key from h
left join (select * from a union all select * from b) n on true`
