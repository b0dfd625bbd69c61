import { AppError } from '../core/errors.ts'
import { must } from '../core/must.ts'
import { connect, type Store, type StoreOptions } from './connect.ts'
import { endStalledHolder } from './end-stalled.ts'
import { locks } from './locks.ts'

/*
 * Work that one process at a time does: maintenance, the archive, migrations. Invariants:
 *
 * - The lock belongs to a session of the database, and the work is done in that same session. When the
 *   session is lost, the store refuses all work until the lock is held again. So a process that was
 *   stopped, and runs on after another has taken over, changes nothing.
 * - The server ends the session when nothing comes from its process for as long as the lease, and a
 *   transaction that waits for it much sooner (driver.ts). A process that runs sends a beat meanwhile.
 * - A process that stopped in the middle of a message is idle for neither of these clocks: the one
 *   that waits for the lock ends its session.
 *
 * All clocks are the server's, and measure spans: no wrong date makes a lease end early or never.
 */

export type Lease = {
  /** One connection, which holds the lock. Throws `unavailable` while the lock is not held. */
  store: Store
  /**
   * Takes the lock when it is free. Ask in every round: a session that was lost holds no lock.
   *
   * @returns true when it is held
   */
  hold(): Promise<boolean>
  /** Asks the server, right before something becomes visible. @throws AppError unavailable */
  assertHeld(): Promise<void>
  close(): Promise<void>
}

type LeaseName = 'maintenance' | 'migrate' | 'archive'

/** The server ends the session of a holder that is silent this long, in milliseconds. */
export const leaseMs = 15_000
/** How soon a process that waits for a lease asks again, in milliseconds. */
export const askAgainMs = 5000

/** Work of the lease itself, which needs no lock. */
const own = 'lease'
const op = { operation: own, table: 'none' }

/** Opens the one connection; nothing is held yet. */
export function openLease(
  url: string,
  name: LeaseName,
  { silentMs = leaseMs, ...options }: Omit<StoreOptions, 'max' | 'keep'> & { silentMs?: number },
): Lease {
  const key = locks[name]
  /** The connections that were lost when the lock was taken: one more, and it is not held. */
  let heldAt: number | undefined
  const store = connect(url, {
    ...options,
    max: 1,
    keep: true,
    session: { ...options.session, idle_session_timeout: silentMs },
    fence: ({ operation }) => {
      if (operation !== own && heldAt !== store.losses()) throw notHeld()
    },
  })
  const beat = setInterval(() => {
    if (heldAt === store.losses() && store.pool().available > 0) {
      store.ask(op, (sql) => sql`/* lease.beat */ select 1`).catch(() => {})
    }
  }, silentMs / 5)
  beat.unref()

  async function hold(): Promise<boolean> {
    const losses = store.losses()
    const [row] = await store.ask<{ ours: boolean }[]>(
      op,
      (sql) => sql`
        /* lease.hold */
        select case when ${isOurs(sql, key)} then true else pg_try_advisory_lock(${key}) end as ours`,
    )
    const { ours } = must(row, 'a select without a table answers one row')
    heldAt = ours && store.losses() === losses ? losses : undefined
    if (!ours) await endStalledHolder(store, op, key, silentMs)
    return heldAt !== undefined
  }

  async function assertHeld(): Promise<void> {
    const [row] = await store.ask<{ ours: boolean }[]>(
      { operation: 'assertLease', table: 'none' },
      (sql) => sql`/* lease.assert */ select ${isOurs(sql, key)} as ours`,
    )
    if (!row?.ours) throw notHeld()
  }

  const close = () => {
    clearInterval(beat)
    return store.close()
  }
  return { store, hold, assertHeld, close }
}

const isOurs = (sql: Store['sql'], key: number) => sql`
  exists (select from pg_locks where locktype = 'advisory' and objid = ${key} and classid = 0
    and pid = pg_backend_pid() and granted)`

const notHeld = () =>
  new AppError('unavailable', 'the lock is lost: another process may have taken over', {
    retryAfterS: 2,
  })
