import { AppError } from '../core/errors.ts'
import { must } from '../core/must.ts'
import { connect, type Pool, type Sql, type Store, type StoreOptions } from './connect.ts'
import type { TransactionSql } from './driver.ts'
import { endStalledHolder } from './end-stalled.ts'
import { fenced } from './fence.ts'
import { locks } from './locks.ts'
import { refuseUnfitPooler } from './pooler.ts'
import { beginSlowly } from './slow-transaction.ts'

/*
 * Work that one process at a time does: maintenance, rollups, the archive, migrations. Invariants:
 *
 * - Who takes the lease gives it the next number, in its row of "lease"; numbers only grow.
 * - Everything that is written under the lease is written in a transaction that first finds the lock
 *   in its own session and its number in that row, and keeps the row from changing until it ends. So
 *   whatever a process believes that was stopped, overtaken and continued, on the same connection or on
 *   a new one: nothing that it writes can follow the number of its successor.
 * - What cannot be part of a transaction is done while one holds the row (`protect`). Should that be lost
 *   meanwhile, the work may still take effect: it has to be harmless after a successor's, and says the
 *   number under which it was done.
 *
 * The number makes it safe; the rest makes it pass on in time:
 *
 * - The lock belongs to a session of the database. The server ends that when nothing comes from its
 *   process for as long as the lease, and a transaction that waits for it much sooner (driver.ts).
 *   A process that runs sends a beat meanwhile.
 * - A process that stopped in the middle of a message is idle for neither of these clocks: the one
 *   that waits for the lock ends its session.
 *
 * A command that a person gives may ask the holder for it (`waitFor`): it waits for the lock, which the beat sees, and
 * the holder releases it when it has nothing in hand.
 *
 * All clocks are the server's, and measure spans: no wrong date makes a lease end early or never.
 *
 * A person who confirms the clock (`setHorizon`), and a local API that opens the days of now when it
 * starts, hold no lease: what they write only moves forward, or is decided by its own conditions.
 */

export type Lease = {
  /** One connection. All work of it is checked: `unavailable` when the lease is not held. */
  store: Store
  /** The same connection, unchecked: for reading, and for what has to be checked by itself. */
  reader: Pool
  /**
   * Takes the lease when it is free. Ask in every round: a session that was lost holds no lock.
   *
   * @returns its number, undefined while another process has it
   * @throws AppError conflict behind a pooler that hands sessions around; other errors as `Store.ask`
   */
  hold(): Promise<number | undefined>
  /** Asks the server. @throws AppError unavailable when the lease is not held */
  assertHeld(): Promise<void>
  /**
   * Runs work outside of the database while no other process can take the lease, for as long as a lease
   * lasts.
   *
   * @param work gets the number of the lease
   * @throws what `work` throws; AppError unavailable when the lease is not held or was lost meanwhile
   */
  protect<T>(work: (number: number) => Promise<T>): Promise<T>
  /** True once another process waits for it in `waitFor`; known after a beat, some seconds later. */
  isWanted(): boolean
  /** Lets another process have it; `hold` asks for it again. */
  release(): Promise<void>
  /**
   * Takes the lease, and waits until its holder releases it.
   *
   * @returns its number; undefined when the signal aborted before
   * @throws as `hold`
   */
  waitFor(signal: AbortSignal): Promise<number | undefined>
  close(): Promise<void>
}

type LeaseName = 'maintenance' | 'migrate' | 'archive' | 'rollups'

/** The server ends the session of a holder that is silent this long, in milliseconds. */
export const leaseMs = 15_000
/** How soon a process that waits for a lease asks again, in milliseconds. */
export const askAgainMs = 5000

const op = { operation: 'lease', table: 'lease' }

/** Opens the one connection; nothing is held yet. */
export function openLease(
  url: string,
  name: LeaseName,
  { silentMs = leaseMs, ...options }: Omit<StoreOptions, 'max' | 'keep'> & { silentMs?: number },
): Lease {
  const key = locks[name]
  let number: number | undefined
  let wanted = false
  const reader = connect(url, { ...options, max: 1, keep: true })
  const beat = setInterval(async () => {
    if (number === undefined || reader.pool().available === 0) return
    wanted = await isAskedFor(reader, key).catch(() => false)
  }, silentMs / 5)
  beat.unref()

  let fit: Promise<void> | undefined
  async function hold(): Promise<number | undefined> {
    fit ??= refuseUnfitPooler(url)
    await fit.catch((error: unknown) => {
      fit = undefined
      throw error
    })
    const { ours, before } = await takeLock(reader, key, silentMs)
    if (!ours) await endStalledHolder(reader, op, key, silentMs)
    // Everything else works on a migrated database; migrations need the table before the first.
    if (ours && name === 'migrate') await makeTable(reader)
    const kept = before ? await reader.begin(op, find) : undefined
    number = ours ? (kept ?? (await takeNumber(reader, name, key))) : undefined
    return number
  }

  /** The number, if it is still the last and the lock is ours; it stays so until the transaction ends. */
  async function find(tx: TransactionSql): Promise<number | undefined> {
    const [row] = await tx<{ number: number }[]>`
      /* lease.find */
      select number from lease
      where name = ${name} and number = ${number ?? null} and ${isOurs(tx, key)} for share`
    return row?.number
  }

  async function check(tx: TransactionSql): Promise<number> {
    const found = await find(tx)
    if (found === undefined) throw notHeld()
    return found
  }

  const protect = <T>(work: (number: number) => Promise<T>) =>
    beginSlowly(reader, op, async (tx) => {
      const held = await check(tx)
      await tx`select set_config('idle_in_transaction_session_timeout', ${String(silentMs)}, true)`
      return work(held)
    })

  async function release(): Promise<void> {
    number = undefined
    wanted = false
    await reader.ask(op, (sql) => sql`/* lease.release */ select pg_advisory_unlock(${key})`)
  }

  return {
    store: fenced(reader, check),
    reader,
    hold,
    isWanted: () => wanted,
    release,
    waitFor: (signal) => waitUntilHeld(hold, () => waitForLock(reader, key), signal),
    assertHeld: () => reader.begin(op, async (tx) => void (await check(tx))),
    protect,
    close: () => {
      clearInterval(beat)
      return reader.close()
    },
  }
}

async function waitUntilHeld(
  hold: Lease['hold'],
  wait: () => Promise<void>,
  signal: AbortSignal,
): Promise<number | undefined> {
  while (!signal.aborted) {
    const held = await hold()
    if (held !== undefined) return held
    await wait()
  }
  return undefined
}

/** True when a session of this database waits for the lock. */
async function isAskedFor(store: Store, key: number): Promise<boolean> {
  const [row] = await store.ask<{ yes: boolean }[]>(
    op,
    (sql) => sql`
      /* lease.beat */
      select exists (select from pg_locks where locktype = 'advisory' and classid = 0 and objid = ${key}
        and not granted and database = (select oid from pg_database where datname = current_database())) as yes`,
  )
  return row?.yes ?? false
}

/** Waits for the lock, for as long as a holder may need to see that, and a little. */
async function waitForLock(store: Store, key: number): Promise<void> {
  try {
    await store.begin(op, async (tx) => {
      await tx`select set_config('lock_timeout', ${`${askAgainMs}ms`}, true)`
      await tx`/* lease.wait */ select pg_advisory_lock(${key})`
    })
  } catch (error) {
    // It is asked for again: a holder at work releases it when it has nothing in hand.
    if (!(error instanceof AppError && error.code === 'overloaded')) throw error
  }
}

async function takeLock(store: Store, key: number, silentMs: number) {
  const [row] = await store.ask<{ before: boolean; ours: boolean }[]>(
    op,
    (sql) => sql`
      /* lease.hold */
      select before, case when before then true else pg_try_advisory_lock(${key}) end as ours,
        set_config('idle_session_timeout', ${String(silentMs)}, false)
      from (select ${isOurs(sql, key)} as before) asked`,
  )
  return must(row, 'a select of one row answers it')
}

/** @returns undefined when the lock was lost since */
async function takeNumber(store: Store, name: LeaseName, key: number) {
  const [row] = await store.ask<{ number: number }[]>(
    op,
    (sql) => sql`
      /* lease.number */
      insert into lease (name, number) select ${name}, 1 where ${isOurs(sql, key)}
      on conflict (name) do update set number = lease.number + 1, taken_at = default
      returning number`,
  )
  return row?.number
}

const makeTable = (store: Store) =>
  store.ask(
    op,
    (sql) => sql`
      /* lease.table */
      create table if not exists lease (
        name     text primary key,
        number   bigint      not null,
        taken_at timestamptz not null default now()
      )`,
  )

const isOurs = (sql: Sql | TransactionSql, key: number) => (sql as Sql)`
  exists (select from pg_locks where locktype = 'advisory' and objid = ${key} and classid = 0
    and pid = pg_backend_pid() and granted)`

const notHeld = () =>
  new AppError('unavailable', 'the lease is lost: another process may have taken over', {
    retryAfterS: 2,
  })
