import type { Store } from '../connect.ts'
import type { TransactionSql } from '../driver.ts'
import type { ArchiveKind } from './columns.ts'
import { type Day, toDate, toDay } from './days.ts'

/*
 * The table "archive_replaced": files that have left their day, until they are deleted. Neither it nor "archive_file" has
 * a file of both.
 */

const op = (operation: string, table: string) => ({ operation, table })

/** Takes files of a day off the record, once a manifest in the archive has replaced them. */
export async function noteReplaced(
  tx: TransactionSql,
  day: Day,
  files: readonly { kind: ArchiveKind; path: string }[],
): Promise<void> {
  if (files.length === 0) return
  const { site, from, to } = day
  const paths = files.map(({ path }) => path)
  await tx`
    /* archive.noteReplaced */
    with gone as (
      delete from archive_file where site_id = ${site} and starts_at >= ${from} and starts_at < ${to}
        and path = any(${paths}))
    insert into archive_replaced (site_id, day, path)
    select ${site}, ${toDate(day)}::date, path from unnest(${paths}::text[]) path
    on conflict do nothing`
}

/** Files that a manifest names again are not to be deleted any more. */
export async function unnoteReplaced(
  tx: TransactionSql,
  day: Day,
  paths: readonly string[],
): Promise<void> {
  await tx`
    /* archive.unnoteReplaced */
    delete from archive_replaced
    where site_id = ${day.site} and day = ${toDate(day)}::date and path = any(${[...paths]})`
}

/** Files to be deleted, by day; of one day, or of all. */
export async function replacedFiles(
  store: Store,
  only?: Day,
): Promise<{ day: Day; paths: string[] }[]> {
  const rows = await store.ask<{ site: string; date: string; paths: string[] }[]>(
    op('replacedFiles', 'archive_replaced'),
    (sql) => sql`
      /* archive.replaced */
      select site_id as site, day::text as date, array_agg(path order by path) as paths from archive_replaced
      ${only ? sql`where site_id = ${only.site} and day = ${toDate(only)}::date` : sql``}
      group by 1, 2 order by 2, 1`,
  )
  return rows.map(({ site, date, paths }) => ({
    day: toDay(site, `${date}T00:00:00.000000Z`),
    paths,
  }))
}

/** Notes that files of a day are deleted. */
export async function forgetReplaced(
  store: Store,
  day: Day,
  paths: readonly string[],
): Promise<void> {
  await store.ask(
    op('forgetReplaced', 'archive_replaced'),
    (sql) => sql`
      /* archive.forgetReplaced */
      delete from archive_replaced
      where site_id = ${day.site} and day = ${toDate(day)}::date and path = any(${[...paths]})`,
  )
}
