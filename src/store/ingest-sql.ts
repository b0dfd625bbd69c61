import { slotList } from '../core/slots.ts'
import { type Column, unnestSql } from './unnest.ts'

/*
 * The statements of ingest. The upsert is made from the table of slots (core/slots.ts): by the rule of
 * each it does in SQL what core/fold.ts does in memory. A property test compares the two.
 */

/** The columns of a row of slots, in the order of the parameters of {@link upsertSql}. */
export const slotColumns: readonly Column[] = [
  ['id', 'uuid'],
  ...slotList.map(([name, { type }]): Column => [name, type]),
]

/** The assignment to a column, by its rule; `j` is the stored row, `excluded` the one that comes. */
function assignment([name, slot]: (typeof slotList)[number]): string {
  const [stored, given] = [`j.${name}`, `excluded.${name}`]
  const collation = slot.type === 'text' ? ' collate "C"' : ''
  switch (slot.merge) {
    case 'least':
      return `${name} = least(${stored}${collation}, ${given}${collation})`
    case 'greatest':
      return `${name} = greatest(${stored}${collation}, ${given}${collation})`
    case 'sum':
      return `${name} = ${stored} + ${given}`
    case 'latest':
      return `${name} = case when ${isLater(slot.group)} then ${given} else ${stored} end`
    case 'latest_by_name':
      return `${name} = case when ${given} is null then ${stored} when ${stored} is null then ${given} else metric_merge(${stored}, ${given}) end`
  }
}

/** A row comparison with a null in it is null, so the sides that may be empty come first. */
function isLater(group: string): string {
  const [at, key] = [`${group}_at`, `${group}_key`]
  return `excluded.${at} is not null and (j.${at} is null or (excluded.${at}, excluded.${key}) > (j.${at}, j.${key}))`
}

/**
 * Merges rows of slots into `job` or `subjob`; its parameters are `toArrays(rows, slotColumns)`. Rows
 * are locked in the order of their ids, so two transactions never deadlock.
 */
export function upsertSql(table: 'job' | 'subjob'): string {
  const id = `${table}_id`
  const names = slotList.map(([name]) => name)
  const sets = [...slotList.map(assignment), 'updated_at = now()']
  return `/* ingest.fold */ insert into ${table} as j (${id}, ${names.join(', ')})
select d.id, ${names.map((name) => `d.${name}`).join(', ')}
from ${unnestSql('d', slotColumns)}
order by d.id
on conflict (${id}) do update set ${sets.join(', ')}`
}

/** The columns of `event` and `event_late`, in the order of the parameters of the statements below. */
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

/** A parameter after those of the columns: the first is 1. */
const more = (number: number) => `$${eventColumns.length + number}`

/**
 * The horizon, and the number of this batch. The greatest time in event_late shows if an event of
 * "event" may be in it already; it comes from an index.
 */
export const horizonSql = `/* ingest.horizon */
select frozen_before, open_until, dropped_before, nextval('event_batch_id') as batch,
  (select max(at) from event_late) as latest_late
from horizon`

/**
 * Puts events into `table`: parameters are `toArrays(rows, eventColumns)`, the batch number, and how
 * many events there are. The answer's first row is the number of new ones; they follow only when it
 * was not all.
 */
const insertInto = (table: string, condition: string) => `
with inserted as (
  insert into ${table} (batch, ${eventNames.join(', ')})
  select ${more(1)}::bigint, ${eventNames.map((name) => `r.${name}`).join(', ')}
  from ${unnestSql('r', eventColumns)}
  ${condition}
  order by r.at, r.idempotency_key
  on conflict (at, idempotency_key) do nothing returning at, idempotency_key),
total as (select count(*)::int as fresh from inserted)
select fresh, null::timestamptz as at, null::uuid as idempotency_key from total
union all
select null, at, idempotency_key from inserted where (select fresh from total) < ${more(2)}::int`

/**
 * True when a table does not have an event. One look by the key: as "not exists" the planner made it
 * a join with the whole table, sorted again for every batch.
 */
const notIn = (table: string, between = '') => `(
  select true from ${table} t where t.at = r.at and t.idempotency_key = r.idempotency_key
  ${between} limit 1) is null`

/** Inserts events into "event" and answers the new ones. */
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
