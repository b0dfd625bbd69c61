import type { Event } from '../core/event.ts'
import { hashIdentity } from '../core/event-hash.ts'
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

export type Horizon = {
  /** There is a copy of some event whose clock was corrected. */
  hasCorrections: boolean
  frozenBefore: Micros
  openUntil: Micros
  droppedBefore: Micros
  batch: number
  latestLate: Micros | null
}

type Row = ReturnType<typeof toEventRow>

/** The horizon, in its lock, and the number of this batch. */
export async function readHorizon(tx: TransactionSql): Promise<Horizon> {
  const [horizon] = await tx.unsafe<[Horizon]>(horizonSql, [], { prepare: true })
  return horizon
}

/**
 * Inserts a batch, in the horizon's lock.
 *
 * @returns for each event true when it was new, and how many that happened now, not in replayed
 * history, were late
 */
export async function insertEvents(tx: TransactionSql, events: readonly Event[], horizon: Horizon) {
  const rows: Row[] = []
  // The same event twice in one batch: the first is the event, the other its repeat.
  const indexOf = new Map<string, number>()
  for (const [index, event] of events.entries()) {
    const identity = event.event.at + event.idempotency_key
    if (indexOf.has(identity)) continue
    indexOf.set(identity, index)
    rows.push(toEventRow(event))
  }
  const isNew = events.map(() => false)
  const inserted = new Set(await insertRows(tx, rows, horizon))
  for (const identity of inserted) {
    const index = must(indexOf.get(identity), 'the database names only events of this batch')
    isNew[index] = true
  }
  const isLate = ({ at, idempotency_key, historical }: Row) =>
    !historical && at < horizon.frozenBefore && inserted.has(at + idempotency_key)
  return { isNew, late: rows.filter(isLate).length }
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
