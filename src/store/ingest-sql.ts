import { tickBit } from '../core/event-hash.ts'
import { openingPattern } from '../core/opening.ts'
import {
  isOfJob,
  maxHashes,
  type Slot,
  type SlotGroup,
  type SlotName,
  type Slots,
  slotList,
  toGroups,
} from '../core/slots.ts'
import { isCountedAnew, notingHours } from './rollups/note-hours.ts'
import { type Column, unnestSql } from './unnest.ts'

/*
 * The statements of ingest. The upsert is made from the table of slots (core/slots.ts): by the rule of
 * each it does in SQL what core/fold.ts does in memory. A property test compares the two.
 */

type Slotted = (typeof slotList)[number]

/** The columns of a row of slots, in the order of the parameters of {@link upsertSql}. */
export const slotColumns = toColumns(slotList)

const usualSlots = slotList.filter(([, { rare }]) => !rare)
/** The same of a row that has nothing in its rare slots: of nearly all. */
export const usualColumns = toColumns(usualSlots)

function toColumns(list: readonly Slotted[]): readonly Column[] {
  return [['id', 'uuid'], ...list.map(([name, { type }]): Column => [name, type])]
}

/** True for a row with something in its rare slots. */
export const isRare = ({ attempt, attempts, queued_at }: Slots): boolean =>
  attempt > 1 || attempts !== undefined || queued_at !== undefined

/**
 * The assignment to a column, by its rule; `j` is the stored row, `excluded` the one that comes. Where
 * only one of two attempts counts, it is the later one, whole.
 */
function assignment([name, slot]: Slotted): string {
  const merged = mergeSql(name, slot)
  if (isOfJob(slot)) return `${name} = ${merged}`
  return `${name} = case when j.attempt = excluded.attempt then ${merged}
    when j.attempt < excluded.attempt then excluded.${name} else j.${name} end`
}

function mergeSql(name: SlotName, slot: Slot): string {
  const [stored, given] = [`j.${name}`, `excluded.${name}`]
  const collation = slot.type === 'text' ? ' collate "C"' : ''
  switch (slot.merge) {
    case 'least':
      return `least(${stored}${collation}, ${given}${collation})`
    case 'greatest':
      return `greatest(${stored}${collation}, ${given}${collation})`
    case 'sum':
      return `${stored} + ${given}`
    case 'latest':
      return `case when ${laterSql[slot.group]} then ${given} else ${stored} end`
    case 'union':
      return union(stored, given)
    case 'latest_by_name':
      return `case when ${given} is null then ${stored} when ${stored} is null then ${given} else metric_merge(${stored}, ${given}) end`
    case 'attempts':
      return `case when j.attempt = excluded.attempt and ${given} is null then ${stored}
    else attempts_union(attempts_union(${stored}, ${given}), ${entryOfLower}) end`
  }
}

/** The columns that make the entry of an attempt, in the order of `attempt_entry` (migration 0010). */
export const entryColumns = [
  'given_started_at',
  'started_event_at',
  'first_event_at',
  'queued_at',
  'end_event_at',
  'end_event_key',
  'end_status',
  'ended_at',
  'given_duration_s',
  'end_metadata',
  'error_at',
  'error_key',
  'last_error',
] satisfies SlotName[]

/** The entry of the attempt that a row shows, as {@link entryFromSlots} of core makes it. */
export const entrySql = (row: string): string =>
  `attempt_entry(${entryColumns.map((name) => `${row}.${name}`).join(', ')})`

/** Of two attempts the lower one leaves an entry. */
const entryOfLower = `case
      when j.attempt < excluded.attempt then jsonb_build_object(j.attempt::text, ${entrySql('j')})
      when j.attempt > excluded.attempt then jsonb_build_object(excluded.attempt::text, ${entrySql('excluded')}) end`

/**
 * The least numbers of both. To merge lists costs ten times what adding one to the other costs, so that is done
 * only from where they are full; a full list is in order, a shorter one need not be.
 */
const union = (stored: string, given: string) => `case
    when ${given} is null then ${stored}
    when ${stored} is null then ${given}
    when cardinality(${stored}) + cardinality(${given}) < ${maxHashes} then ${stored} || ${given}
    when cardinality(${stored}) = ${maxHashes} and ${given}[1] > ${stored}[${maxHashes}] then ${stored}
    else hash_union(${stored}, ${given}) end`

const laterSql = Object.fromEntries(
  toGroups(slotList).map((group) => [group.at.replace(/_at$/, ''), isLater(group)]),
)

/** A row comparison with a null in it is null, so the sides that may be empty come first. */
function isLater({ at, key, yields }: SlotGroup): string {
  const order = (row: string) =>
    `(${yields ? `${row}.${yields.name} is distinct from '${yields.value}', ` : ''}${row}.${at}, ${row}.${key})`
  return `excluded.${at} is not null and (j.${at} is null or ${order('excluded')} > ${order('j')})`
}

/**
 * Merges rows of slots into `job` or `subjob`; its parameters are `toArrays(rows, slotColumns)`. Rows are
 * locked in the order of their ids, so two transactions never deadlock. The answer is the number of rows, and the
 * hours whose rollups have to be made again are noted.
 */
export const upsertSql = (table: 'job' | 'subjob'): string =>
  notingHours(
    table,
    upsertOf(table, slotList, [...slotList.map(assignment), 'start_before = j.started_at']),
  )

/**
 * The same for rows that have nothing in their rare slots, with the parameters of {@link usualColumns}. It
 * costs such a row one comparison: a stored row of a later attempt is locked and left as it is, which
 * shows in the number of rows, and is merged by {@link upsertSql} afterwards.
 */
export const usualUpsertSql = (table: 'job' | 'subjob'): string =>
  notingHours(
    table,
    `${upsertOf(table, usualSlots, [
      ...usualSlots.map(([name, slot]) => `${name} = ${mergeSql(name, slot)}`),
      `start_before = case when ${isCountedAnew(table)} then j.started_at end`,
    ])} where j.attempt = 1`,
  )

/** Which of some jobs have a later attempt than the first; its parameter is the list of ids. */
export const laterAttemptsSql = (table: 'job' | 'subjob'): string =>
  `/* ingest.laterAttempts */ select ${table}_id as id from ${table} where ${table}_id = any($1::uuid[]) and attempt > 1`

function upsertOf(table: 'job' | 'subjob', given: readonly Slotted[], sets: string[]): string {
  const id = `${table}_id`
  return `insert into ${table} as j (${id}, ${given.map(([name]) => name).join(', ')})
select d.id, ${given.map(([name, { type }]) => `d.${name}${type === 'int8[]' ? '::int8[]' : ''}`).join(', ')}
from ${unnestSql('d', toColumns(given))}
order by d.id
on conflict (${id}) do update set ${[...sets, 'updated_at = now()'].join(', ')}`
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

/** The same, and the number by which its job remembers an event (core/event-hash.ts). */
export const lateColumns: readonly Column[] = [...eventColumns, ['hash', 'int8']]

/**
 * The horizon, and the number of this batch. The greatest time in event_late shows if an event of
 * "event" may be in it already; it comes from an index.
 */
export const horizonSql = `/* ingest.horizon */
select frozen_before, open_until, dropped_before, nextval('event_batch_id') as batch,
  (select max(at) from event_late) as latest_late,
  exists (select from clock_correction) as has_corrections
from horizon`

/** A parameter after those of the columns: the first is 1. */
const after = (columns: readonly Column[], number: number) => `$${columns.length + number}`

/**
 * Puts events into `table`: parameters are `toArrays(rows, columns)`, the batch number, and how
 * many events there are. The answer's first row is the number of new ones; they follow only when it
 * was not all.
 */
const insertInto = (table: string, condition: string, columns = eventColumns) => `
with inserted as (
  insert into ${table} (batch, ${eventNames.join(', ')})
  select ${after(columns, 1)}::bigint, ${eventNames.map((name) => `r.${name}`).join(', ')}
  from ${unnestSql('r', columns)}
  ${condition}
  order by r.at, r.idempotency_key
  on conflict (at, idempotency_key) do nothing returning at, idempotency_key),
total as (select count(*)::int as fresh from inserted)
select fresh, null::timestamptz as at, null::uuid as idempotency_key from total
union all
select null, at, idempotency_key from inserted where (select fresh from total) < ${after(columns, 2)}::int`

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
 * True when an event whose raw row is gone was received before: by its identity, as long as its job
 * remembers that; by its number alone only where the job cannot know. To lose an event is worse than to
 * count it twice, so in doubt it is new.
 *
 * 1. Its job remembers it: a repeat, whichever spool sent it.
 * 2. Its number never came: new.
 * 3. Its number proves nothing: it is not of one opening of a spool, or that opening is known to have
 *    given numbers to two events. New.
 * 4. Its spool accepted it after everything that had come from there: new, and its number is used a
 *    second time.
 * 5. Its job was never here: new. A job that was deleted for its age is not known to have been here.
 * 6. Its job remembers all of its events, and not this one: new.
 * 7. Its job has more events than it remembers, or is older than its memory: a repeat.
 */
const wasReceived = `(
  select case
    when j.hashes && array[r.hash, r.hash + ${tickBit}] then true
    when s.received is null or not s.received @> r.source_seq then false
    when r.source_epoch !~ '${openingPattern.source}' or not isempty(s.reused) then false
    when r.received_at > s.last_received_at then false
    when j.events is null then r.at <= h.jobs_from
    else cardinality(j.hashes) is distinct from j.events end
  from horizon h
  left join source s on s.source_id = r.source_id and s.epoch = r.source_epoch
  left join lateral (
    select event_hashes as hashes, event_count as events from job
      where r.entity_type = 'j' and job_id = r.entity_id
    union all
    select event_hashes, event_count from subjob
      where r.entity_type = 's' and subjob_id = r.entity_id) j on true)`

/**
 * Inserts what lies below the horizon or beyond the open partitions into event_late, and tells which
 * were new. The horizon may have moved since the first copy of an event came, so one that is in
 * "event" already is a repeat; three more parameters say between which times they lie, which spares
 * looking elsewhere, and below which time raw rows were dropped after archiving: from there on down
 * see {@link wasReceived}.
 */
export const insertLateSql = `/* ingest.insertLate */ ${insertInto(
  'event_late',
  `where ${notIn('event', `and t.at between ${after(lateColumns, 3)}::timestamptz and ${after(lateColumns, 4)}::timestamptz`)}
  and (r.at >= ${after(lateColumns, 5)}::timestamptz or not ${wasReceived})`,
  lateColumns,
)}`
