import { AppError } from '../core/errors.ts'
import type { Micros } from '../core/time.ts'
import type { Store } from './connect.ts'
import type { TransactionSql } from './driver.ts'
import { locks } from './locks.ts'

/*
 * The freeze horizon. Invariants:
 *
 * - frozen_before, open_until and dropped_before only move forward, and only under the advisory
 *   lock of the horizon taken exclusively; every ingest transaction holds it shared. So below
 *   frozen_before nothing changes in "event": counting, archiving and dropping there need no lock.
 * - Partitions exist before open_until lets events into them.
 * - dropped_before moves before what lies below it is dropped, never after.
 * - Waiting for a lock is bounded: a transaction that waits for the horizon's holds up all ingest after it.
 */

const table = 'horizon'
/** Longest wait for a lock, in milliseconds: one round stalls ingest by at most this. */
const lockWaitMs = 1000

/**
 * Moves the horizon to `freezeAfterHours` ago and lets events in until the end of tomorrow (UTC),
 * making the partitions for it first.
 *
 * @throws AppError overloaded, when the lock was not free in time: the next round tries again
 */
export async function advanceHorizon(store: Store, freezeAfterHours: number): Promise<void> {
  const frozen = (tx: TransactionSql) =>
    tx`greatest(frozen_before, now() - make_interval(secs => ${freezeAfterHours * 3600}))`
  await store.begin({ operation: 'makePartitions', table: 'event' }, async (tx) => {
    await boundWait(tx)
    await tx`
      /* horizon.makePartitions */
      select make_event_partitions(${frozen(tx)}, ${endOfTomorrow(tx)}) from horizon`
  })
  await store.begin({ operation: 'advanceHorizon', table }, async (tx) => {
    await lockExclusively(tx)
    await tx`
      /* horizon.advance */
      update horizon set
        frozen_before = ${frozen(tx)},
        open_until = greatest(open_until, ${endOfTomorrow(tx)})`
  })
}

/** In UTC, the time zone of every connection of the store. */
const endOfTomorrow = (tx: TransactionSql) => tx`date_trunc('day', now()) + interval '2 days'`

const boundWait = (tx: TransactionSql) =>
  tx`select set_config('lock_timeout', ${String(lockWaitMs)}, true)`

async function lockExclusively(tx: TransactionSql): Promise<void> {
  await boundWait(tx)
  await tx`/* horizon.lock */ select pg_advisory_xact_lock(${locks.horizon})`
}

/**
 * Drops the raw events of days (plain) or hours (TimescaleDB) that end at or before `time`.
 * The caller makes sure that they may go.
 *
 * @returns the names of the partitions or chunks that went
 * @throws AppError invalid, when `time` lies above the freeze horizon; overloaded, when a lock was
 * not free in time (what is left goes the next time)
 */
export async function dropEventsBefore(store: Store, time: Micros): Promise<string[]> {
  const due = await partitionsBefore(store, time)
  const end = due.at(-1)?.endsAt
  if (end === undefined) return []
  await store.begin({ operation: 'dropHorizon', table }, async (tx) => {
    await lockExclusively(tx)
    const [moved] = await tx`
      /* horizon.drop */
      update horizon set dropped_before = greatest(dropped_before, ${end}::timestamptz)
      where frozen_before >= ${end}::timestamptz returning true`
    if (!moved) throw new AppError('invalid', `events above the freeze horizon cannot be dropped`)
  })
  if (await isHypertable(store)) await dropChunks(store, end)
  else for (const { name } of due) await dropPartition(store, name)
  return due.map(({ name }) => name)
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
