import type { Micros } from '../../core/time.ts'
import type { Store } from '../connect.ts'
import { type Day, toDay } from './days.ts'

/* Days with many files. */

/**
 * Days with a kind of more than `maxFiles` files, and at least twice as many as its rows need; the oldest first. The hours
 * of earlier versions do not count.
 */
export async function crowdedDays(
  store: Store,
  { maxFiles, rowsPerFile }: { maxFiles: number; rowsPerFile: number },
): Promise<Day[]> {
  const rows = await store.ask<{ site: string; from: Micros }[]>(
    { operation: 'crowdedDays', table: 'archive_file' },
    (sql) => sql`
      /* archive.crowdedDays */
      select distinct site_id as site, starts_at as "from" from (
        select site_id, starts_at, kind from archive_file
        where ends_at - starts_at = interval '24 hours'
        group by 1, 2, 3
        having count(*) > ${maxFiles} and count(*) >= 2 * ceil(sum(rows) / ${rowsPerFile}::numeric)) crowded
      order by 2, 1`,
  )
  return rows.map(({ site, from }) => toDay(site, from))
}
