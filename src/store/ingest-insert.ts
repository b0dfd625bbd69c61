import type { Event } from '../core/event.ts'
import { hashIdentity, tickBit } from '../core/event-hash.ts'
import { ensure, must } from '../core/must.ts'
import type { Micros } from '../core/time.ts'
import type { TransactionSql } from './connect.ts'
import { toEventRow } from './event-row.ts'
import {
  eventColumns,
  horizonSql,
  insertEventsOnceSql,
  insertEventsSql,
  insertLateSql,
  lateColumns,
} from './ingest-sql.ts'
import { type Column, toArrays } from './unnest.ts'

/*
 * The first half of ingest: events become rows of "event" and "event_late", each once, and the
 * database reports the new ones.
 */

/** True for an event whose time was put right on its way, which another copy of it may not need. */
export const isCorrected = ({ event }: Event): boolean => !!event.reported_at

/**
 * A corrected clock gives `at` the time of receipt, which differs from one copy of an event to the
 * next; and a copy that came through a sidecar whose clock is right is not corrected at all. The first
 * copy decides for all. Whoever has corrected events holds the horizon's lock alone, so that no other
 * copy is stored meanwhile.
 *
 * @returns the events as they are to be stored, in the same order
 */
export async function settleClocks(
  tx: TransactionSql,
  events: readonly Event[],
): Promise<readonly Event[]> {
  const corrected = events.filter(isCorrected)
  if (corrected.length > 0) await noteCorrections(tx, corrected)
  const decided = await findCorrections(tx, events)
  if (decided.size === 0) return events
  return events.map((event) => {
    const at = decided.get(event.idempotency_key + reportedAt(event))
    if (at === undefined) return event
    return { ...event, event: { ...event.event, at, reported_at: reportedAt(event) } }
  })
}

/** When it happened by the clock of its sender. */
const reportedAt = ({ event }: Event): Micros => event.reported_at ?? event.at

/**
 * A copy that was stored without a correction is the first; after its raw row is gone the job remembers
 * it. Not `exists`, for which PostgreSQL may read the whole table.
 */
async function noteCorrections(tx: TransactionSql, corrected: readonly Event[]): Promise<void> {
  const remembers = (table: 'job' | 'subjob') => tx`
    w.entity_type = ${table} and (select true from ${tx(table)} j
      where j.${tx(`${table}_id`)} = w.entity_id and j.event_hashes && array[w.hash, w.hash + ${tickBit}::int8])`
  const stored = (table: 'event' | 'event_late') => tx`
    (select true from ${tx(table)} e
      where e.at = w.reported_at and e.idempotency_key = w.idempotency_key limit 1) is not null`
  await tx`
    /* ingest.noteCorrections */
    with wanted as materialized (
      select distinct on (1, 2) * from json_to_recordset(${toJson(corrected)}::text::json)
        as w (idempotency_key uuid, reported_at timestamptz, at timestamptz, entity_type text,
          entity_id uuid, hash int8) order by 1, 2, 3)
    insert into clock_correction (idempotency_key, reported_at, at)
    select idempotency_key, reported_at, case
      when ${stored('event')} or ${stored('event_late')}
        or (${remembers('job')}) or (${remembers('subjob')})
      then reported_at else at end
    from wanted w order by 1, 2
    on conflict (idempotency_key, reported_at) do nothing`
}

/** The time of each event of which a copy was corrected, by key and reported time. */
async function findCorrections(
  tx: TransactionSql,
  events: readonly Event[],
): Promise<ReadonlyMap<string, Micros>> {
  const [row] = await tx<{ hasAny: boolean }[]>`
    /* ingest.anyCorrection */ select exists (select from clock_correction) as has_any`
  if (!row?.hasAny) return new Map()
  const rows = await tx<{ idempotencyKey: string; reportedAt: Micros; at: Micros }[]>`
    /* ingest.findCorrections */
    select idempotency_key, reported_at, c.at
    from json_to_recordset(${toJson(events)}::text::json)
      as w (idempotency_key uuid, reported_at timestamptz)
    join clock_correction c using (idempotency_key, reported_at)`
  return new Map(rows.map((row) => [row.idempotencyKey + row.reportedAt, row.at]))
}

const toJson = (events: readonly Event[]): string =>
  JSON.stringify(
    events.map((event) => ({
      idempotency_key: event.idempotency_key,
      reported_at: reportedAt(event),
      at: event.event.at,
      entity_type: event.entity.type,
      entity_id: event.entity.id,
      hash: hashIdentity(reportedAt(event), event.idempotency_key),
    })),
  )

type Horizon = {
  frozenBefore: Micros
  openUntil: Micros
  droppedBefore: Micros
  batch: number
  latestLate: Micros | null
}

type Row = ReturnType<typeof toEventRow>

/**
 * Inserts a batch, in the horizon's lock.
 *
 * @returns the number of the batch, for each event true when it was new, and how many that happened
 * now, not in replayed history, were late
 */
export async function insertEvents(tx: TransactionSql, events: readonly Event[]) {
  const rows: Row[] = []
  // The same event twice in one batch: the first is the event, the other its repeat.
  const indexOf = new Map<string, number>()
  for (const [index, event] of events.entries()) {
    const identity = event.event.at + event.idempotency_key
    if (indexOf.has(identity)) continue
    indexOf.set(identity, index)
    rows.push(toEventRow(event))
  }
  const [horizon] = await tx.unsafe<[Horizon]>(horizonSql, [], { prepare: true })
  const isNew = events.map(() => false)
  const inserted = new Set(await insertRows(tx, rows, horizon))
  for (const identity of inserted) {
    const index = must(indexOf.get(identity), 'the database names only events of this batch')
    isNew[index] = true
  }
  const isLate = ({ at, idempotency_key, historical }: Row) =>
    !historical && at < horizon.frozenBefore && inserted.has(at + idempotency_key)
  return { batch: horizon.batch, isNew, late: rows.filter(isLate).length }
}

/**
 * Events below the horizon or beyond the open partitions go to event_late, all others to event.
 *
 * @returns the identities of those that were new
 */
async function insertRows(
  tx: TransactionSql,
  rows: readonly Row[],
  { frozenBefore, openUntil, droppedBefore, batch, latestLate }: Horizon,
): Promise<string[]> {
  const isOpen = ({ at }: Row) => at >= frozenBefore && at < openUntil
  const lateAhead = latestLate !== null && latestLate >= frozenBefore
  const open = rows.filter(isOpen)
  const inserted = await insertPart(tx, lateAhead ? insertEventsOnceSql : insertEventsSql, {
    rows: open,
    columns: eventColumns,
    batch,
  })
  if (open.length === rows.length) return inserted
  const late = rows
    .filter((row) => !isOpen(row))
    .map((row) => ({ ...row, hash: hashIdentity(row.at, row.idempotency_key) }))
  const more = [...timeSpan(late.map(({ at }) => at)), droppedBefore]
  const part = { rows: late, columns: lateColumns, batch, more }
  return [...inserted, ...(await insertPart(tx, insertLateSql, part))]
}

type Part = {
  rows: readonly Row[]
  columns: readonly Column[]
  batch: number
  more?: readonly string[]
}

/** @returns the identities of those that were new */
async function insertPart(tx: TransactionSql, statement: string, part: Part) {
  const { rows, columns, batch, more = [] } = part
  if (rows.length === 0) return []
  const values = [...toArrays(rows, columns), batch, rows.length, ...more]
  const [total, ...some] = await tx.unsafe<Inserted[]>(statement, values, { prepare: true })
  const { fresh } = must(total, 'the first row of the answer is the total')
  if (fresh === rows.length) return rows.map((row) => row.at + row.idempotency_key)
  ensure(fresh === some.length, 'the answer names as many events as it counts')
  return some.map(({ at, idempotencyKey }) => at + idempotencyKey)
}

type Inserted = { fresh: number; at: Micros; idempotencyKey: string }

/** The smallest and the greatest of some times; there is at least one. */
export function timeSpan(times: readonly Micros[]): [Micros, Micros] {
  return [times.reduce((a, b) => (b < a ? b : a)), times.reduce((a, b) => (b > a ? b : a))]
}
