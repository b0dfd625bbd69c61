import { must } from '../core/must.ts'
import type { Store } from './connect.ts'

/** The advisory locks, by what they guard. Versions that run side by side must agree on the numbers. */
export const locks = {
  /** Live positions, from when one is given until it is committed. */
  live: 7001,
  /** The freeze horizon: shared by ingest, exclusive to move it. */
  horizon: 7002,
  /** The replica that does maintenance. */
  maintenance: 7003,
  migrate: 7004,
  /** The archiver that writes. */
  archive: 7005,
} as const

/**
 * Takes a lock when it is free; true when the store, of only one connection, holds it. Ask in every
 * round: a connection that was lost and opened again holds no lock.
 */
export async function holdLock(store: Store, name: 'maintenance' | 'archive'): Promise<boolean> {
  const key = locks[name]
  const [row] = await store.ask<{ ours: boolean }[]>(
    { operation: 'takeLock', table: 'none' },
    (sql) => sql`
      /* locks.hold */
      select case when exists (
          select from pg_locks where locktype = 'advisory' and objid = ${key} and classid = 0
            and pid = pg_backend_pid() and granted)
        then true else pg_try_advisory_lock(${key}) end as ours`,
  )
  return must(row, 'a select without a table answers one row').ours
}
