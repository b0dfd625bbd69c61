import type { Micros } from '../../core/time.ts'
import type { Store } from '../connect.ts'
import type { TransactionSql } from '../driver.ts'
import { type Day, toDate } from './days.ts'

/*
 * The table "archive_removal": files that a manifest has taken out of its day. They leave "archive_file" in the
 * transaction that notes the manifest, and wait here until the archive has deleted them.
 */

/** A file to be deleted, and the number of the manifest that took it out. */
export type PendingRemoval = { path: string; number: number }
/** The files to be deleted of one day. */
export type PendingDay = { site: string; from: Micros; files: PendingRemoval[] }

/** Takes files off the record of a day, and notes that they are to be deleted. */
export async function noteRemovals(
  tx: TransactionSql,
  day: Day,
  { number, paths }: { number: number; paths: readonly string[] },
): Promise<void> {
  const { site, from, to } = day
  await tx`
    /* archive.noteRemovals */
    insert into archive_removal (site_id, day, path, number)
    select ${site}, ${toDate(day)}::date, path, ${number} from unnest(${[...paths]}::text[]) as p (path)
    on conflict (site_id, day, path) do update set number = excluded.number`
  await tx`
    /* archive.forgetFiles */
    delete from archive_file where site_id = ${site} and starts_at >= ${from} and starts_at < ${to}
      and path = any(${[...paths]}::text[])`
}

/** Files that are on record again, or gone: they are not to be deleted any more. */
export async function forgetRemovals(
  tx: TransactionSql,
  day: Pick<Day, 'site' | 'from'>,
  paths: readonly string[],
): Promise<void> {
  await tx`
    /* archive.forgetRemovals */
    delete from archive_removal
    where site_id = ${day.site} and day = ${toDate(day)}::date and path = any(${[...paths]}::text[])`
}

/** What is to be deleted, the oldest day first; of one day, or of all. */
export async function pendingRemovals(
  store: Store,
  only?: Pick<Day, 'site' | 'from'>,
): Promise<PendingDay[]> {
  const rows = await store.ask<
    { site: string; date: string; paths: string[]; numbers: number[] }[]
  >(
    { operation: 'pendingRemovals', table: 'archive_removal' },
    (sql) => sql`
      /* archive.pendingRemovals */
      select site_id as site, day::text as date, array_agg(path order by path) as paths,
        array_agg(number order by path) as numbers
      from archive_removal
      where ${only ? sql`site_id = ${only.site} and day = ${toDate(only)}::date` : sql`true`}
      group by 1, 2 order by 2, 1`,
  )
  return rows.map(({ site, date, paths, numbers }) => ({
    ...{ site, from: `${date}T00:00:00.000000Z` },
    files: paths.map((path, i) => ({ path, number: numbers[i] ?? 0 })),
  }))
}
