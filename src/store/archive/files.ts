import { fromMs, type Micros, toMs } from '../../core/time.ts'
import type { Store } from '../connect.ts'
import type { TransactionSql } from '../driver.ts'
import type { ArchiveKind } from './columns.ts'
import { type Day, toDate } from './days.ts'

/* The tables "archive_file" and "archive_manifest": what of the archive the database has on record. */

/** A file that was written, read back and matched. */
export type ArchivedFile = {
  kind: ArchiveKind
  path: string
  rows: number
  bytes: number
  sha256: string
  atMin: Micros
  atMax: Micros
}

/** A manifest: its day, its place there, its place in the chain of its site, and its hash. */
export type RecordedManifest = {
  site: string
  seq: number
  /** `2026-03-01` */
  day: string
  number: number
  sha256: string
}

const op = (operation: string, table: string) => ({ operation, table })

/** Notes a manifest that is in the archive. @param lateEvents of the whole day, as it says */
export async function noteManifest(
  tx: TransactionSql,
  { site, seq, day, number, sha256 }: RecordedManifest,
  lateEvents: number,
): Promise<void> {
  await tx`
    /* archive.noteManifest */
    insert into archive_manifest (site_id, seq, day, number, sha256, late_events)
    values (${site}, ${seq}, ${day}::date, ${number}, ${sha256}, ${lateEvents})`
}

/** Notes files of a day, once a manifest in the archive names them. Those that are on record stay as they are. */
export async function noteFiles(
  tx: TransactionSql,
  day: Day,
  files: readonly ArchivedFile[],
): Promise<void> {
  for (const file of files) {
    const [from, to] = spanOf(file, day)
    await tx`
      /* archive.note */
      insert into archive_file (
        kind, site_id, starts_at, ends_at, path, rows, bytes, sha256, at_min, at_max, verified_at)
      values (${file.kind}, ${day.site}, ${from}, ${to}, ${file.path}, ${file.rows}, ${file.bytes},
        ${file.sha256}, ${file.atMin}, ${file.atMax}, (select trusted_at from horizon))
      on conflict (kind, site_id, starts_at, path) do nothing`
  }
}

/** The day, or the hour of a file that an earlier version wrote. */
function spanOf({ path }: ArchivedFile, { from, to }: Day): [Micros, Micros] {
  const hour = /\/hour=(\d\d)\//.exec(path)?.[1]
  if (hour === undefined) return [from, to]
  const start = `${from.slice(0, 11)}${hour}:00:00.000000Z`
  return [start, fromMs(toMs(start) + 3_600_000)]
}

/** Paths of a day's files that the database has on record, those of its hours among them. */
export async function notedFiles(store: Store, { site, from, to }: Day): Promise<string[]> {
  const rows = await store.ask<{ path: string }[]>(
    op('notedFiles', 'archive_file'),
    (sql) => sql`
      /* archive.noted */
      select path from archive_file
      where site_id = ${site} and starts_at >= ${from} and starts_at < ${to} order by path`,
  )
  return rows.map(({ path }) => path)
}

/** The last manifest of a site on record; with a day, the last of that day. */
export async function lastManifest(
  store: Store,
  site: string,
  day?: Day,
): Promise<RecordedManifest | undefined> {
  const [row] = await store.ask<RecordedManifest[]>(
    op('lastManifest', 'archive_manifest'),
    (sql) => sql`
      /* archive.lastManifest */
      select site_id as site, seq, day::text as day, number, sha256 from archive_manifest
      where site_id = ${site} ${day ? sql`and day = ${toDate(day)}::date` : sql``}
      order by seq desc limit 1`,
  )
  return row
}

/** The last site by name that has archived files; undefined when there is none. */
export async function notedSite(store: Store): Promise<string | undefined> {
  const [row] = await store.ask<{ siteId: string }[]>(
    op('notedSite', 'archive_file'),
    (sql) => sql`
      /* archive.notedSite */
      select site_id from archive_file order by kind desc, site_id desc limit 1`,
  )
  return row?.siteId
}

/** The manifest that counts of each archived day of which no raw events were dropped. */
export async function hotManifests(store: Store): Promise<RecordedManifest[]> {
  const rows = await store.ask<RecordedManifest[]>(
    op('hotManifests', 'archive_manifest'),
    (sql) => sql`
      /* archive.hotManifests */
      select distinct on (site_id, day) site_id as site, seq, day::text as day, number, sha256
      from archive_manifest
      where day >= (select (dropped_before at time zone 'UTC')::date from horizon)
      order by site_id, day, number desc`,
  )
  return [...rows]
}

/** A file that the database has on record. */
export type RecordedFile = { kind: ArchiveKind; site: string; startsAt: Micros; path: string }

/** Rows read at a time: ten years have some hundred thousand. */
const pageRows = 5000

/** Every file on record, in the order of the table's key. */
export async function* recordedFiles(store: Store): AsyncGenerator<RecordedFile> {
  let page: readonly RecordedFile[] = []
  do {
    page = await readRecorded(store, page.at(-1))
    yield* page
  } while (page.length === pageRows)
}

const readRecorded = (store: Store, after: RecordedFile | undefined) =>
  store.ask<RecordedFile[]>(
    op('recordedFiles', 'archive_file'),
    (sql) => sql`
      /* archive.recorded */
      select kind, site_id as site, starts_at, path from archive_file
      ${after ? sql`where (kind, site_id, starts_at, path) > (${after.kind}, ${after.site}, ${after.startsAt}, ${after.path})` : sql``}
      order by kind, site_id, starts_at, path limit ${pageRows}`,
  )

/** Every manifest on record, of one site or of all, in the order of the chains. */
export async function* recordedManifests(
  store: Store,
  site?: string,
): AsyncGenerator<RecordedManifest> {
  let page: readonly RecordedManifest[] = []
  do {
    page = await readManifests(store, site, page.at(-1))
    yield* page
  } while (page.length === pageRows)
}

const readManifests = (
  store: Store,
  site: string | undefined,
  after: RecordedManifest | undefined,
) =>
  store.ask<RecordedManifest[]>(
    op('recordedManifests', 'archive_manifest'),
    (sql) => sql`
      /* archive.recordedManifests */
      select site_id as site, seq, day::text as day, number, sha256 from archive_manifest
      where ${site === undefined ? sql`true` : sql`site_id = ${site}`}
        ${after ? sql`and (site_id, seq) > (${after.site}, ${after.seq})` : sql``}
      order by site_id, seq limit ${pageRows}`,
  )
