import { type Column, unnested } from './unnest.ts'

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

/** What goes into a job or subjob, in the order of the parameters of {@link upsertSql}. */
export const slotColumns: readonly Column[] = [['id', 'uuid'], ...Object.entries(types)]

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
 * Merges rows of slots into `job` or `subjob`; its parameters are `arraysOf(rows, slotColumns)`. Rows
 * go in by id order, so that two transactions never wait for each other crosswise.
 */
export function upsertSql(table: 'job' | 'subjob'): string {
  const id = `${table}_id`
  const names = Object.keys(types)
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
from ${unnested('d', slotColumns)}
order by d.id
on conflict (${id}) do update set ${sets.join(', ')}`
}

/** What goes into `event` or `event_late`, in the order of the parameters of the statements below. */
export const eventColumns: readonly Column[] = [
  ['at', 'timestamptz'],
  ['idempotency_key', 'uuid'],
  ['received_at', 'timestamptz'],
  ['entity_type', '"char"'],
  ['entity_id', 'uuid'],
  ['parent_id', 'uuid'],
  ['app_id', 'uuid'],
  ['app_name', 'text'],
  ['app_version', 'text'],
  ['site_id', 'text'],
  ['business_key', 'text'],
  ['sub_key', 'text'],
  ['kind', 'text'],
  ['status', 'text'],
  ['started_at', 'timestamptz'],
  ['ended_at', 'timestamptz'],
  ['metrics', 'jsonb'],
  ['metadata', 'jsonb'],
  ['traceparent', 'text'],
  ['source_id', 'text'],
  ['source_epoch', 'text'],
  ['source_seq', 'bigint'],
  ['historical', 'boolean'],
  ['extra', 'jsonb'],
]
const eventNames = eventColumns.map(([name]) => name)

/** A parameter behind those of the columns: the first is 1. */
const more = (number: number) => `$${eventColumns.length + number}`

/**
 * Where the horizon stands and what batch this is. The greatest time in event_late tells whether
 * there is anything in it that "event" has to look for; an index knows it.
 */
export const horizonSql = `/* ingest.horizon */
select frozen_before, open_until, dropped_before, nextval('event_batch_id') as batch,
  (select max(at) from event_late) as latest_late
from horizon`

/**
 * Puts events into `table`: parameters are `arraysOf(rows, eventColumns)`, the batch number, and how
 * many events there are. The answer's first row tells how many were new; which ones follows only when
 * it was not all.
 */
const insertInto = (table: string, condition: string) => `
with inserted as (
  insert into ${table} (batch, ${eventNames.join(', ')})
  select ${more(1)}::bigint, ${eventNames.map((name) => `r.${name}`).join(', ')}
  from ${unnested('r', eventColumns)}
  ${condition}
  order by r.at, r.idempotency_key
  on conflict (at, idempotency_key) do nothing returning at, idempotency_key),
total as (select count(*)::int as fresh from inserted)
select fresh, null::timestamptz as at, null::uuid as idempotency_key from total
union all
select null, at, idempotency_key from inserted where (select fresh from total) < ${more(2)}::int`

/**
 * Whether an event lies in a table. A row by its key, whatever the planner thinks of the rest: as
 * "not exists" this became a join with the whole table, sorted anew for every batch.
 */
const notIn = (table: string, between = '') => `(
  select true from ${table} t where t.at = r.at and t.idempotency_key = r.idempotency_key
  ${between} limit 1) is null`

/** Inserts events into "event" and tells which were new. */
export const insertEventsSql = `/* ingest.insertEvents */ ${insertInto('event', '')}`

/**
 * The same while event_late has rows above the horizon: events that came when their time still lay
 * too far ahead.
 */
export const insertEventsOnceSql = `/* ingest.insertEventsOnce */ ${insertInto('event', `where ${notIn('event_late')}`)}`

/**
 * Inserts what lies below the horizon or beyond the open partitions into event_late, and tells which
 * were new. The horizon may have moved since the first copy of an event came, so one that is in
 * "event" already is a repeat; three more parameters say between which times they lie, which spares
 * looking elsewhere, and below which time raw rows were dropped after archiving: an event from there
 * is known by the numbers received from its source.
 */
export const insertLateSql = `/* ingest.insertLate */ ${insertInto(
  'event_late',
  `where ${notIn('event', `and t.at between ${more(3)}::timestamptz and ${more(4)}::timestamptz`)}
  and (r.at >= ${more(5)}::timestamptz or r.source_id is null or not exists (
    select from source s where s.source_id = r.source_id and s.epoch = r.source_epoch
      and s.received @> r.source_seq))`,
)}`
