import { must } from '../core/must.ts'
import type { Store } from './connect.ts'

/**
 * The longest that a session of a role has waited for a lock, in seconds; 0 when none waits. It also
 * shows that the database answers.
 *
 * @param role the name of its connections
 */
export async function longestLockWait(
  store: Store,
  role: string,
  signal: AbortSignal,
): Promise<number> {
  const [row] = await store.ask<{ waitedS: number }[]>(
    { operation: 'lockWait', table: 'none' },
    (sql) => sql`
      /* lockWait */
      select coalesce(max(extract(epoch from clock_timestamp() - state_change)), 0)::float8 as waited_s
      from pg_stat_activity
      where datname = current_database() and usename = current_user and wait_event_type = 'Lock'
        and application_name = ${`wafermon ${role}`}`,
    signal,
  )
  return must(row, 'an aggregate answers one row').waitedS
}
