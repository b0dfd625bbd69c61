import type postgres from 'postgres'
import { AppError } from '../core/errors.ts'
import type { Micros } from '../core/time.ts'
import type { Store } from './connect.ts'
import type { TransactionSql } from './driver.ts'
import { locks } from './locks.ts'
import { TimeWatch, type TrustedTime } from './trusted-time.ts'

/*
 * The freeze horizon. Invariants:
 *
 * - frozen_before, open_until and dropped_before only move forward, and only under the advisory
 *   lock of the horizon taken exclusively; every ingest transaction holds it shared. So below
 *   frozen_before nothing changes in "event": counting, archiving and dropping there need no lock.
 *   (A person may move frozen_before back, but below nothing that was archived or dropped.)
 * - They move by the trusted time (trusted-time.ts), never by a clock alone, and nothing is dropped
 *   while that is in doubt.
 * - Partitions exist before open_until lets events into them.
 * - dropped_before moves before what lies below it is dropped, never after.
 * - Waiting for a lock is bounded: a transaction that waits for the horizon's holds up all ingest after it.
 */

const table = 'horizon'
/** Longest wait for a lock, in milliseconds: one round stalls ingest by at most this. */
const lockWaitMs = 1000

/**
 * Moves the horizon to `freezeAfterHours` before the trusted time and lets events in until the end of
 * the day after (UTC), making the partitions for it first. Without a time it only notes the doubt.
 *
 * @throws AppError overloaded, when the lock was not free in time: the next round tries again
 */
export async function advanceHorizon(
  store: Store,
  freezeAfterHours: number,
  time?: TrustedTime,
): Promise<void> {
  const known = time ?? (await new TimeWatch().look(store))
  await noteDoubt(store, known)
  const { at } = known
  if (at === undefined) return
  const frozen = (tx: TransactionSql) =>
    tx`greatest(frozen_before, ${at}::timestamptz - make_interval(secs => ${freezeAfterHours * 3600}))`
  const also: Fragment = (tx) => tx`trusted_at = greatest(trusted_at, ${at})`
  await move(store, { operation: 'advanceHorizon', at, frozen, also })
}

type Move = {
  operation: string
  /** The days up to the end of the one after it are opened. */
  at: Micros
  frozen: Fragment
  /** What else of the horizon changes. */
  also: Fragment
}

/** Makes the partitions first: an event may come for a day from the moment it is open. */
async function move(store: Store, { operation, at, frozen, also }: Move): Promise<void> {
  await makePartitions(store, frozen, at)
  await store.begin({ operation, table }, async (tx) => {
    await lockHorizonAlone(tx)
    await tx`
      /* horizon.move */
      update horizon set
        frozen_before = ${frozen(tx)},
        open_until = greatest(open_until, ${endOfTomorrow(tx, at)}),
        ${also(tx)}`
  })
}

type Fragment = (tx: TransactionSql) => postgres.PendingQuery<postgres.Row[]>

async function makePartitions(store: Store, from: Fragment, at: Micros): Promise<void> {
  await store.begin({ operation: 'makePartitions', table: 'event' }, async (tx) => {
    await boundWait(tx)
    await tx`
      /* horizon.makePartitions */
      select make_event_partitions(${from(tx)}, greatest(open_until, ${endOfTomorrow(tx, at)}))
      from horizon`
  })
}

/**
 * First of all: what drops asks for it, whatever becomes of the rest. Not after a person has confirmed
 * the clock meanwhile, or another replica has noticed that it was set.
 */
async function noteDoubt(store: Store, time: TrustedTime): Promise<void> {
  const { doubt = null, stepped, confirmed } = time
  await store.ask(
    { operation: 'noteDoubt', table },
    (sql) => sql`
      /* horizon.doubt */
      update horizon set doubt = ${doubt}, stepped = ${stepped}
      where confirmed = ${confirmed} and (${stepped} or not stepped) and (doubt is distinct from ${doubt} or stepped <> ${stepped})`,
  )
}

/**
 * Puts the horizon where it belongs by a time that a person has confirmed, also back when it was too
 * far ahead: not below what was archived or dropped, for that is closed. Ends every doubt.
 *
 * @throws AppError overloaded, when the lock was not free in time: try again
 */
export async function setHorizon(
  store: Store,
  freezeAfterHours: number,
  at: Micros,
): Promise<void> {
  const frozen = (tx: TransactionSql) => tx`
    greatest(${at}::timestamptz - make_interval(secs => ${freezeAfterHours * 3600}), dropped_before,
      (select max(ends_at) from archive_file))`
  const also: Fragment = (tx) => tx`
    trusted_at = ${at}, doubt = null, stepped = false, confirmed = confirmed + 1`
  await move(store, { operation: 'setHorizon', at, frozen, also })
}

/** In UTC, the time zone of every connection of the store. */
const endOfTomorrow = (tx: TransactionSql, at: Micros) =>
  tx`date_trunc('day', ${at}::timestamptz) + interval '2 days'`

const boundWait = (tx: TransactionSql, waitMs = lockWaitMs) =>
  tx`select set_config('lock_timeout', ${String(waitMs)}, true)`

/** Until the end of the transaction no event is stored. @param waitMs longest wait, in milliseconds */
export async function lockHorizonAlone(tx: TransactionSql, waitMs = lockWaitMs): Promise<void> {
  await boundWait(tx, waitMs)
  await tx`/* horizon.lock */ select pg_advisory_xact_lock(${locks.horizon})`
}

/**
 * Drops the raw events of days (plain) or hours (TimescaleDB) that end at or before `time`.
 * The caller makes sure that they may go.
 *
 * @returns the names of the partitions or chunks that went
 * @throws AppError invalid, when `time` lies above the freeze horizon; unavailable, while the time is
 * in doubt; overloaded, when a lock was not free in time (what is left goes the next time)
 */
export async function dropEventsBefore(store: Store, time: Micros): Promise<string[]> {
  const due = await partitionsBefore(store, time)
  const end = due.at(-1)?.endsAt
  if (end === undefined) return []
  await store.begin({ operation: 'dropHorizon', table }, async (tx) => {
    await lockHorizonAlone(tx)
    const [moved] = await tx`
      /* horizon.drop */
      update horizon set dropped_before = greatest(dropped_before, ${end}::timestamptz)
      where frozen_before >= ${end}::timestamptz and doubt is null returning true`
    await assertNoDoubt(tx)
    if (!moved) throw new AppError('invalid', `events above the freeze horizon cannot be dropped`)
  })
  if (await isHypertable(store)) await dropChunks(store, end)
  else for (const { name } of due) await dropPartition(store, name)
  return due.map(({ name }) => name)
}

async function assertNoDoubt(tx: TransactionSql): Promise<void> {
  const [row] = await tx<{ doubt: string | null }[]>`select doubt from horizon`
  if (row?.doubt) throw new AppError('unavailable', `nothing is dropped: ${row.doubt}`)
}

/** A day (plain) or an hour (TimescaleDB) of raw events: `startsAt` included, `endsAt` not. */
export type Partition = { name: string; startsAt: Micros; endsAt: Micros }

/** Those that end at or before `time`, oldest first. */
export async function partitionsBefore(store: Store, time: Micros): Promise<Partition[]> {
  const op = { operation: 'listPartitions', table: 'event' }
  if (await isHypertable(store)) {
    return store.ask<Partition[]>(
      op,
      (sql) => sql`
        /* horizon.chunks */
        select format('%I.%I', chunk_schema, chunk_name) as name,
          range_start as starts_at, range_end as ends_at
        from timescaledb_information.chunks
        where hypertable_name = 'event' and hypertable_schema = current_schema()
          and range_end <= ${time} order by range_end`,
    )
  }
  return store.ask<Partition[]>(
    op,
    (sql) => sql`
      /* horizon.partitions */
      select name, day::timestamptz as starts_at, (day + 1)::timestamptz as ends_at from (
        select format('%I.%I', n.nspname, c.relname) as name,
          to_date(substring(c.relname from '[0-9]{8}$'), 'YYYYMMDD') as day
        from pg_inherits i join pg_class c on c.oid = i.inhrelid
          join pg_namespace n on n.oid = c.relnamespace
        where i.inhparent = 'event'::regclass) p
      where (day + 1)::timestamptz <= ${time} order by day`,
  )
}

async function isHypertable(store: Store): Promise<boolean> {
  const [row] = await store.ask<{ plain: boolean }[]>(
    { operation: 'editionOf', table: 'event' },
    (sql) => sql`
      /* horizon.isHypertable */
      select relkind = 'p' as plain from pg_class where oid = 'event'::regclass`,
  )
  return row?.plain === false
}

async function dropPartition(store: Store, name: string): Promise<void> {
  await store.begin({ operation: 'dropPartition', table: 'event' }, async (tx) => {
    await boundWait(tx)
    await tx`/* horizon.dropPartition */ drop table ${tx.unsafe(name)}`
  })
}

async function dropChunks(store: Store, endsAt: Micros): Promise<void> {
  await store.begin({ operation: 'dropChunks', table: 'event' }, async (tx) => {
    await boundWait(tx)
    await tx`/* horizon.dropChunks */ select drop_chunks('event', older_than => ${endsAt}::timestamptz)`
  })
}
