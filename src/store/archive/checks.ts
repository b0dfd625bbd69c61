import { must } from '../../core/must.ts'
import type { Micros } from '../../core/time.ts'
import type { Store } from '../connect.ts'
import type { ArchivedFile } from './files.ts'

/*
 * The sample: a hundredth of the archive's files is read whole each month. Which was read when, and what was wrong with
 * it, is kept with the file in "archive_file": so the pace survives a restart, and a fault stays known until the file
 * reads back again.
 */

/** Where the sample stands. */
export type SampleState = {
  /** Files of the archive on record. */
  files: number
  /** Of them, those that were read in the last 30 days. */
  checked: number
  /** Seconds since the last one was read; null before the first. */
  sinceS: number | null
  lastAt: Micros | null
}

/** A file on record. */
export type SampledFile = ArchivedFile & { site: string }
/** A file that did not read back when it was last read. */
export type FailingFile = { path: string; problem: string }

const op = (operation: string) => ({ operation, table: 'archive_file' })

export async function sampleState(store: Store): Promise<SampleState> {
  const [row] = await store.ask<SampleState[]>(
    op('sampleState'),
    (sql) => sql`
      /* archive.sampleState */
      with now as (select least(trusted_at, clock_timestamp()) as at from horizon)
      select (select count(*) from archive_file)::int as files,
        (select count(*) from archive_file where checked_at > (select at - interval '30 days' from now))::int as checked,
        (select extract(epoch from (select at from now) - max(checked_at)) from archive_file
          where checked_at is not null)::float8 as since_s,
        (select max(checked_at) from archive_file where checked_at is not null) as last_at`,
  )
  return must(row, 'a select without a table answers one row')
}

/** Any files that were not read in the last 30 days: each is as likely as another. */
export const chooseSample = (store: Store, most: number): Promise<SampledFile[]> =>
  readFiles(
    store,
    (sql) => sql`
      where (checked_at is null or checked_at < (select trusted_at - interval '30 days' from horizon))
      order by random() limit ${most}`,
  )

/** Files that did not read back: read again, for they may have been restored. */
export const chooseFailing = (store: Store, most: number): Promise<SampledFile[]> =>
  readFiles(store, (sql) => sql`where problem is not null order by checked_at limit ${most}`)

type Sql = Parameters<Parameters<Store['ask']>[1]>[0]

async function readFiles(
  store: Store,
  which: (sql: Sql) => ReturnType<Sql>,
): Promise<SampledFile[]> {
  const rows = await store.ask<SampledFile[]>(
    op('chooseSample'),
    (sql) => sql`
      /* archive.chooseSample */
      select kind, site_id as site, path, rows, bytes, sha256, at_min, at_max from archive_file ${which(sql)}`,
  )
  return [...rows]
}

/** Notes that a file was read whole. @param problem what was wrong with it; null when nothing was */
export async function noteChecked(
  store: Store,
  { kind, site, path }: SampledFile,
  problem: string | null,
): Promise<void> {
  await store.ask(
    op('noteChecked'),
    (sql) => sql`
      /* archive.noteChecked */
      update archive_file set problem = ${problem},
        checked_at = (select least(trusted_at, clock_timestamp()) from horizon)
      where kind = ${kind} and site_id = ${site} and path = ${path}`,
  )
}

/** How many files did not read back when they were last read, and the first of them. */
export async function readFailing(
  store: Store,
  most = 10,
): Promise<{ count: number; first: FailingFile[] }> {
  const rows = await store.ask<(FailingFile & { n: number })[]>(
    op('readFailing'),
    (sql) => sql`
      /* archive.failing */
      select path, problem, (count(*) over ())::int as n from archive_file
      where problem is not null order by path limit ${most}`,
  )
  const first = rows.map(({ path, problem }) => ({ path, problem }))
  return { count: rows[0]?.n ?? 0, first }
}
