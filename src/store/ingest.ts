import type { AttemptEntries } from '../core/attempt-entry.ts'
import type { Event } from '../core/event.ts'
import { toEndStatus } from '../core/event-slots.ts'
import { foldEvents } from '../core/fold.ts'
import { ensure, must } from '../core/must.ts'
import type { Slots } from '../core/slots.ts'
import { inSpan } from '../platform/tracing.ts'
import { Gate } from '../platform/turns.ts'
import { upsertApps } from './apps.ts'
import { decideCorrections, isCorrected, settleClocks } from './clock-corrections.ts'
import type { Store, TransactionSql } from './connect.ts'
import { codeFromError } from './database-error.ts'
import { noteDeliveries } from './deliveries.ts'
import { type Horizon, insertEvents, readHorizon, timeSpan } from './ingest-insert.ts'
import {
  isRare,
  laterAttemptsSql,
  slotColumns,
  upsertSql,
  usualColumns,
  usualUpsertSql,
} from './ingest-sql.ts'
import { locks } from './locks.ts'
import { clocksOf } from './sender-clocks.ts'
import { type ReusedNumbers, upsertSources } from './source-ranges.ts'
import { type Column, toArrays } from './unnest.ts'

/**
 * How events become rows. One transaction takes the events of many requests:
 *
 *   1. lock 7002, shared: the horizon does not move (a statement of its own, so that the snapshot of
 *      the next one sees its position); then read it, and what was decided about corrected clocks
 *   2. insert the events on its two sides; the database reports the new ones
 *   3. fold the new ones here, and merge the folds into job and subjob
 *   4. apps, and the numbers received from each source; a new event with a number that came before
 *      shows that a spool went back in time
 *   5. lock 7001 and the live position, last: positions become visible in their order
 *
 * Everything is locked in the order of its key, so two of these transactions never deadlock.
 */

/** `refused` means that the database can never store this event; all others are committed. */
export type StoreVerdict = 'stored' | 'duplicate' | { refused: string }

export type Ingested = {
  verdicts: StoreVerdict[]
  /** For each job that ended now, the event that ended it; never an event of replayed history. */
  ended: Event[]
  /** Numbers of spools that came with another event before. */
  reused: ReusedNumbers[]
  /** How many events were filed as late, without replayed history. */
  late: number
}

/** Tries of a transaction that the database rolled back (a deadlock, a serialization failure). */
const maxTries = 5

/**
 * Commits a batch.
 *
 * @returns a verdict per event, and the jobs that ended
 * @throws AppError unreachable or overloaded; then nothing was stored
 */
export async function ingest(store: Store, events: readonly Event[]): Promise<Ingested> {
  try {
    return await inSpan('store.ingest', { 'wafermon.events': events.length }, async () => {
      const corrected = events.filter(isCorrected)
      if (corrected.length > 0) await deciding.run(() => decideCorrections(store, corrected))
      return withRetries(() => commit(store, events))
    })
  } catch (error) {
    if (!isDataError(error)) throw error
    return halves(store, events, error)
  }
}

/** Deciding needs the horizon's lock alone, so a process does it once at a time: no queue may form there. */
const deciding = new Gate(1)

/** A poisoned event fails alone: the batch is cut in two until it is found. */
async function halves(store: Store, events: readonly Event[], error: unknown): Promise<Ingested> {
  if (events.length === 1) {
    const verdict = { refused: `cannot be stored (${codeFromError(error)})` }
    return { verdicts: [verdict], ended: [], reused: [], late: 0 }
  }
  const middle = Math.ceil(events.length / 2)
  const first = await ingest(store, events.slice(0, middle))
  const second = await ingest(store, events.slice(middle))
  return {
    verdicts: [...first.verdicts, ...second.verdicts],
    ended: [...first.ended, ...second.ended],
    reused: [...first.reused, ...second.reused],
    late: first.late + second.late,
  }
}

/** 22: a value that has no place in its column; 54: one too large. No other error is the event's fault. */
const isDataError = (error: unknown) => /^(22|54)...$/.test(codeFromError(error) ?? '')

/** Deadlock, serialization failure; and we were too busy in the middle of it. Nothing was kept. */
const rolledBack = new Set(['40P01', '40001', '25P03'])

async function withRetries<T>(work: () => Promise<T>): Promise<T> {
  for (let tries = 1; ; tries++) {
    try {
      return await work()
    } catch (error) {
      const code = codeFromError((error as Error).cause ?? error)
      if (tries >= maxTries || !rolledBack.has(code ?? '')) throw error
    }
  }
}

const op = { operation: 'ingest', table: 'event' }

function commit(store: Store, events: readonly Event[]): Promise<Ingested> {
  return store.begin(op, async (tx) => {
    const horizon = await lockHorizon(tx)
    const settled = horizon.hasCorrections ? await settleClocks(tx, events) : events
    const { isNew, late, fresh, ended } = await insertAndFold(tx, settled, horizon)
    const { reused, due } = await upsertSources(tx, events, isNew, clocksOf(store))
    await announce(tx, horizon.batch, fresh)
    await noteDeliveries(tx, due)
    return { verdicts: isNew.map((yes) => (yes ? 'stored' : 'duplicate')), ended, reused, late }
  })
}

/** Events that are made in the transaction that stores them, and what else their maker has to say. */
export type Made<T> = { events: readonly Event[]; result: T }

/**
 * Commits events that the store makes itself, from rows that `make` locks: in one transaction, so that they are
 * true when they are there. No spool sent them, so no source is noted.
 *
 * @param make may run several times; locks rows in the order of their ids, jobs before subjobs
 * @throws what `make` throws; AppError unreachable or overloaded: nothing was stored
 */
export function ingestMade<T>(
  store: Store,
  make: (tx: TransactionSql) => Promise<Made<T>>,
): Promise<{ result: T; ended: Event[] }> {
  return withRetries(() =>
    store.begin(op, async (tx) => {
      const horizon = await lockHorizon(tx)
      const { events, result } = await make(tx)
      if (events.length === 0) return { result, ended: [] }
      const { fresh, ended } = await insertAndFold(tx, events, horizon)
      await announce(tx, horizon.batch, fresh)
      return { result, ended }
    }),
  )
}

async function lockHorizon(tx: TransactionSql): Promise<Horizon> {
  await tx`select pg_advisory_xact_lock_shared(${locks.horizon})`
  return readHorizon(tx)
}

async function insertAndFold(tx: TransactionSql, events: readonly Event[], horizon: Horizon) {
  const { isNew, late } = await insertEvents(tx, events, horizon)
  const fresh = events.filter((_, index) => isNew[index])
  const ended = await endedNow(tx, fresh)
  await mergeFolds(tx, fresh)
  await upsertApps(tx, fresh)
  return { isNew, late, fresh, ended }
}

/**
 * Asked before the folds are merged: an attempt may be ended twice, as by an error and then a finish. Each
 * attempt of a job ends by itself.
 */
async function endedNow(tx: TransactionSql, fresh: readonly Event[]): Promise<Event[]> {
  const ends = new Map<string, Event>()
  for (const event of fresh) {
    if (event.entity.type !== 'job' || event.historical || !toEndStatus(event)) continue
    const name = nameAttempt(event.entity.id, event.entity.attempt ?? 1)
    if (!ends.has(name)) ends.set(name, event)
  }
  if (ends.size === 0) return []
  const ids = [...ends.values()].map(({ entity }) => entity.id)
  const before = await tx<EndedBefore[]>`
    /* ingest.endedBefore */
    select job_id, attempt, end_status is not null as ended, attempts from job
    where job_id = any(${ids}::uuid[]) and (end_status is not null or attempts is not null)`
  for (const { jobId, attempt, ended, attempts } of before) {
    if (ended) ends.delete(nameAttempt(jobId, attempt))
    for (const [number, { end }] of Object.entries(attempts ?? {})) {
      if (end) ends.delete(nameAttempt(jobId, number))
    }
  }
  return [...ends.values()]
}

type EndedBefore = {
  jobId: string
  attempt: number
  ended: boolean
  attempts: AttemptEntries | null
}

const nameAttempt = (id: string, attempt: number | string) => `${id} ${attempt}`

const statements = { job: statementsOf('job'), subjob: statementsOf('subjob') }

function statementsOf(table: 'job' | 'subjob') {
  return {
    usual: usualUpsertSql(table),
    later: laterAttemptsSql(table),
    any: upsertSql(table),
  }
}

async function mergeFolds(tx: TransactionSql, fresh: readonly Event[]): Promise<void> {
  const { jobs, subjobs } = foldEvents(fresh)
  await mergeRows(tx, 'job', jobs)
  await mergeRows(tx, 'subjob', subjobs)
}

async function mergeRows(
  tx: TransactionSql,
  table: 'job' | 'subjob',
  rows: Slots[],
): Promise<void> {
  if (rows.length === 0) return
  const { usual, later, any } = statements[table]
  const merge = async (sql: string, some: Slots[], columns: readonly Column[]) => {
    const parameters = toArrays(some, columns)
    const [row] = await tx.unsafe<{ n: number }[]>(sql, parameters, { prepare: true })
    return must(row, 'a count is one row').n
  }
  if (rows.some(isRare)) {
    await merge(any, rows, slotColumns)
    return
  }
  const merged = await merge(usual, rows, usualColumns)
  if (merged === rows.length) return
  const ids = `{${rows.map(({ id }) => id).join(',')}}`
  const found = await tx.unsafe<{ id: string }[]>(later, [ids], { prepare: true })
  const left = new Set(found.map(({ id }) => id))
  ensure(left.size === rows.length - merged, 'a row that was left alone is of a later attempt')
  await merge(
    any,
    rows.filter(({ id }) => left.has(id)),
    slotColumns,
  )
}

/** Live events are those that happened now; replayed history is not among them. */
async function announce(tx: TransactionSql, batch: number, fresh: readonly Event[]) {
  const times = fresh.filter((event) => !event.historical).map((event) => event.event.at)
  if (times.length === 0) return
  const [atMin, atMax] = timeSpan(times)
  await tx`select pg_advisory_xact_lock(${locks.live})`
  await tx`
    /* ingest.announce */
    with p as (
      insert into live_batch (pos, batch, n, at_min, at_max)
      values (nextval('live_pos'), ${batch}, ${times.length}, ${atMin}, ${atMax}) returning pos)
    select pg_notify('live', pos::text) from p`
}
