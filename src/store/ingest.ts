import type { Event } from '../core/event.ts'
import { toEndStatus } from '../core/event-slots.ts'
import { foldEvents } from '../core/fold.ts'
import type { Slots } from '../core/slots.ts'
import type { Micros } from '../core/time.ts'
import { inSpan } from '../platform/tracing.ts'
import type { Store, TransactionSql } from './connect.ts'
import { codeOf } from './database-error.ts'
import { eventRow } from './event-row.ts'
import {
  eventColumns,
  horizonSql,
  insertEventsOnceSql,
  insertEventsSql,
  insertLateSql,
  slotColumns,
  upsertSql,
} from './ingest-sql.ts'
import { locks } from './locks.ts'
import { sourceRows } from './source-ranges.ts'
import { toArrays } from './unnest.ts'

/**
 * How events become rows. One transaction takes the events of many requests:
 *
 *   1. lock 7002, shared: the horizon stands still (a statement of its own, so that the next one's
 *      snapshot sees where), and where it stands
 *   2. insert the events on its two sides; the database tells which are new
 *   3. fold the new ones here, and merge the folds into job and subjob
 *   4. apps, and the numbers received from each source
 *   5. lock 7001 and the live position, last: positions become visible in their order
 *
 * Everything is in order of its key, so no two of these transactions wait for each other crosswise.
 */

/** `refused` means that the database can never store this event; all others are committed. */
export type StoreVerdict = 'stored' | 'duplicate' | { refused: string }

/** `ended`: the event that ended each job which had not ended before; of history there is none. */
export type Ingested = { verdicts: StoreVerdict[]; ended: Event[] }

/** Tries of a transaction that the database undid (a deadlock, a serialization failure). */
const maxTries = 5

/**
 * Commits a batch.
 *
 * @returns a verdict per event, and the jobs that ended
 * @throws AppError unreachable or overloaded; then nothing was stored
 */
export async function ingest(store: Store, events: readonly Event[]): Promise<Ingested> {
  try {
    return await inSpan('store.ingest', { 'wafermon.events': events.length }, () =>
      withRetries(() => commit(store, events)),
    )
  } catch (error) {
    if (!isDataError(error)) throw error
    return halves(store, events, error)
  }
}

/** A poisoned event fails alone: the batch is cut in two until it is found. */
async function halves(store: Store, events: readonly Event[], error: unknown): Promise<Ingested> {
  if (events.length === 1) {
    return { verdicts: [{ refused: `cannot be stored (${codeOf(error)})` }], ended: [] }
  }
  const middle = Math.ceil(events.length / 2)
  const first = await ingest(store, events.slice(0, middle))
  const second = await ingest(store, events.slice(middle))
  return {
    verdicts: [...first.verdicts, ...second.verdicts],
    ended: [...first.ended, ...second.ended],
  }
}

/** 22: a value that has no place in its column; 54: one too large. All else is not the event's fault. */
const isDataError = (error: unknown) => /^(22|54)...$/.test(codeOf(error) ?? '')

async function withRetries<T>(work: () => Promise<T>): Promise<T> {
  for (let tries = 1; ; tries++) {
    try {
      return await work()
    } catch (error) {
      const code = codeOf((error as Error).cause ?? error)
      if (tries >= maxTries || (code !== '40P01' && code !== '40001')) throw error
    }
  }
}

function commit(store: Store, events: readonly Event[]): Promise<Ingested> {
  return store.begin({ operation: 'ingest', table: 'event' }, async (tx) => {
    await tx`select pg_advisory_xact_lock_shared(${locks.horizon})`
    const settled = await settleClocks(tx, events)
    const { batch, isNew } = await insertEvents(tx, settled)
    const fresh = settled.filter((_, index) => isNew[index])
    const ended = await endedNow(tx, fresh)
    await mergeFolds(tx, fresh)
    await upsertApps(tx, fresh)
    await upsertSources(tx, events)
    await announce(tx, batch, fresh)
    return { verdicts: isNew.map((yes) => (yes ? 'stored' : 'duplicate')), ended }
  })
}

/**
 * A corrected clock gives `at` the time of receipt, which differs from one copy of an event to the
 * next. The first copy decides for all.
 *
 * @returns the events as they are to be stored, in the same order
 */
async function settleClocks(
  tx: TransactionSql,
  events: readonly Event[],
): Promise<readonly Event[]> {
  const corrected = events.filter((event) => event.event.reported_at)
  if (corrected.length === 0) return events
  const wanted = corrected.map(({ idempotency_key, event }) => ({
    idempotency_key,
    reported_at: event.reported_at,
    at: event.at,
  }))
  const rows = await tx<{ idempotencyKey: string; reportedAt: Micros; at: Micros }[]>`
    /* ingest.settleClocks */
    with wanted as materialized (
      select distinct on (1, 2) * from json_to_recordset(${JSON.stringify(wanted)}::text::json)
        as w (idempotency_key uuid, reported_at timestamptz, at timestamptz) order by 1, 2, 3)
    insert into clock_correction as c (idempotency_key, reported_at, at)
    select * from wanted order by 1, 2
    on conflict (idempotency_key, reported_at) do update set at = c.at
    returning idempotency_key, reported_at, at`
  const decided = new Map(rows.map((row) => [row.idempotencyKey + row.reportedAt, row.at]))
  return events.map((event) => {
    const at = decided.get(event.idempotency_key + event.event.reported_at)
    return at === undefined ? event : { ...event, event: { ...event.event, at } }
  })
}

type Horizon = {
  frozenBefore: Micros
  openUntil: Micros
  droppedBefore: Micros
  batch: number
  latestLate: Micros | null
}

type Row = ReturnType<typeof eventRow>

/** @returns the number of the batch, and of each event whether it was new */
async function insertEvents(tx: TransactionSql, events: readonly Event[]) {
  const rows: Row[] = []
  // The same event twice in one batch: the first is the event, the other its repeat.
  const indexOf = new Map<string, number>()
  for (const [index, event] of events.entries()) {
    const identity = event.event.at + event.idempotency_key
    if (indexOf.has(identity)) continue
    indexOf.set(identity, index)
    rows.push(eventRow(event))
  }
  const [horizon] = await tx.unsafe<[Horizon]>(horizonSql, [], { prepare: true })
  const isNew = events.map(() => false)
  for (const identity of await insertRows(tx, rows, horizon)) {
    isNew[indexOf.get(identity)!] = true
  }
  return { batch: horizon.batch, isNew }
}

/**
 * What lies below the horizon or beyond the open partitions goes to event_late, all else to event.
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
    batch,
  })
  if (open.length === rows.length) return inserted
  const late = rows.filter((row) => !isOpen(row))
  const more = [...spanOf(late.map(({ at }) => at)), droppedBefore]
  return [...inserted, ...(await insertPart(tx, insertLateSql, { rows: late, batch, more }))]
}

type Part = { rows: readonly Row[]; batch: number; more?: readonly string[] }

/** @returns the identities of those that were new */
async function insertPart(tx: TransactionSql, statement: string, { rows, batch, more = [] }: Part) {
  if (rows.length === 0) return []
  const values = [...toArrays(rows, eventColumns), batch, rows.length, ...more]
  const [total, ...some] = await tx.unsafe<Inserted[]>(statement, values, { prepare: true })
  if (total!.fresh === rows.length) return rows.map((row) => row.at + row.idempotency_key)
  return some.map(({ at, idempotencyKey }) => at + idempotencyKey)
}

type Inserted = { fresh: number; at: Micros; idempotencyKey: string }

/** The smallest and the greatest of some times. */
function spanOf(times: readonly Micros[]): [Micros, Micros] {
  return [times.reduce((a, b) => (b < a ? b : a)), times.reduce((a, b) => (b > a ? b : a))]
}

/** Asked before the folds are merged: a job may be ended twice, as by an error and then a finish. */
async function endedNow(tx: TransactionSql, fresh: readonly Event[]): Promise<Event[]> {
  const ends = new Map<string, Event>()
  for (const event of fresh) {
    const { id, type } = event.entity
    if (type !== 'job' || event.historical || !toEndStatus(event)) continue
    if (!ends.has(id)) ends.set(id, event)
  }
  if (ends.size === 0) return []
  const before = await tx<{ jobId: string }[]>`
    /* ingest.endedBefore */
    select job_id from job where job_id = any(${[...ends.keys()]}::uuid[]) and end_status is not null`
  for (const { jobId } of before) ends.delete(jobId)
  return [...ends.values()]
}

const upserts = { job: upsertSql('job'), subjob: upsertSql('subjob') }

async function mergeFolds(tx: TransactionSql, fresh: readonly Event[]): Promise<void> {
  const { jobs, subjobs } = foldEvents(fresh)
  await mergeRows(tx, 'job', jobs)
  await mergeRows(tx, 'subjob', subjobs)
}

async function mergeRows(tx: TransactionSql, table: 'job' | 'subjob', rows: Slots[]) {
  if (rows.length === 0) return
  await tx.unsafe(upserts[table], toArrays(rows, slotColumns), { prepare: true })
}

async function upsertApps(tx: TransactionSql, fresh: readonly Event[]): Promise<void> {
  const apps = new Map<string, Event>()
  for (const event of fresh) {
    const name = JSON.stringify([event.site_id, event.app.name])
    const known = apps.get(name)
    if (!known || event.event.at > known.event.at) apps.set(name, event)
  }
  if (apps.size === 0) return
  const rows = [...apps.values()].map(({ site_id, app }) => ({
    site_id,
    name: app.name,
    app_id: app.app_id,
    version: app.version,
  }))
  // A row that is a minute fresh is left alone, and not even locked: most batches write nothing here,
  // and two at once do not wait for each other.
  await tx`
    /* ingest.upsertApps */
    insert into app (site_id, name, app_id, version)
    select * from json_to_recordset(${JSON.stringify(rows)}::text::json)
      as a (site_id text, name text, app_id uuid, version text)
    where not exists (
      select from app k where k.site_id = a.site_id and k.name = a.name
        and k.last_seen_at >= now() - interval '1 minute')
    order by 1, 2
    on conflict (site_id, name) do update set
      app_id = excluded.app_id, version = excluded.version, last_seen_at = now()
    where app.last_seen_at < now() - interval '1 minute'`
}

/** Repeats count too: a source's numbers tell what was received, not what was new. */
async function upsertSources(tx: TransactionSql, events: readonly Event[]): Promise<void> {
  const rows = sourceRows(events)
  if (rows.length === 0) return
  await tx`
    /* ingest.upsertSources */
    insert into source as s
      (source_id, epoch, received, last_at, last_received_at, lag_s, clock_offset_s)
    select r.source_id, r.epoch, r.received, r.last_at, r.last_received_at,
      extract(epoch from clock_timestamp() - r.last_received_at)::float8, r.clock_offset_s
    from json_to_recordset(${JSON.stringify(rows)}::text::json) as r (source_id text, epoch text,
      received int8multirange, last_at timestamptz, last_received_at timestamptz,
      clock_offset_s float8)
    order by 1, 2
    on conflict (source_id, epoch) do update set
      received = s.received + excluded.received,
      last_at = greatest(s.last_at, excluded.last_at),
      last_received_at = greatest(s.last_received_at, excluded.last_received_at),
      last_stored_at = now(), lag_s = excluded.lag_s, clock_offset_s = excluded.clock_offset_s`
}

/** Live readers hear of what happened now; of replayed history they do not. */
async function announce(tx: TransactionSql, batch: number, fresh: readonly Event[]) {
  const times = fresh.filter((event) => !event.historical).map((event) => event.event.at)
  if (times.length === 0) return
  const [atMin, atMax] = spanOf(times)
  await tx`select pg_advisory_xact_lock(${locks.live})`
  await tx`
    /* ingest.announce */
    with p as (
      insert into live_batch (pos, batch, n, at_min, at_max)
      values (nextval('live_pos'), ${batch}, ${times.length}, ${atMin}, ${atMax}) returning pos)
    select pg_notify('live', pos::text) from p`
}
