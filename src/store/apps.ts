import type { App } from '../core/job.ts'
import type { Store } from './connect.ts'
import { escapeLike } from './like.ts'

const table = 'app'
/** Most apps that are listed: one program is one of them, whatever it does. */
const maxApps = 10_000

/** By site and name. */
export function listApps(store: Store, signal: AbortSignal): Promise<App[]> {
  return store.ask<App[]>(
    { operation: 'listApps', table },
    (sql) => sql`
      /* apps.list */
      select app_id, name, version, site_id, first_seen_at, last_seen_at
      from app order by site_id, name limit ${maxApps}`,
    signal,
  )
}

/** Names of apps that contain a text (in any case), each once. */
export async function findAppNames(
  store: Store,
  contains: string,
  site: string | undefined,
  signal: AbortSignal,
): Promise<string[]> {
  const rows = await store.ask<{ name: string }[]>(
    { operation: 'findAppNames', table },
    (sql) => sql`
      /* apps.findNames */
      select distinct name from app where name ilike ${`%${escapeLike(contains)}%`}
      ${site === undefined ? sql`` : sql`and site_id = ${site}`}
      order by name`,
    signal,
  )
  return rows.map(({ name }) => name)
}
