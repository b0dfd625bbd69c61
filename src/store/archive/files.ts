import { ensure } from '../../core/must.ts'
import type { Micros } from '../../core/time.ts'
import type { Store } from '../connect.ts'
import type { ArchiveKind } from './columns.ts'
import type { Hour } from './hours.ts'

/* The table "archive_file": which files of the archive the database has on record. */

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

const op = (operation: string, table: string) => ({ operation, table })

/** Notes the files of an hour, once its manifest is in the archive. Repeating it changes nothing. */
export async function noteArchived(store: Store, hour: Hour, files: readonly ArchivedFile[]) {
  await store.begin(op('noteArchived', 'archive_file'), async (tx) => {
    for (const file of files) {
      const isOfHour = hour.from <= file.atMin && file.atMax < hour.to
      ensure(
        isOfHour,
        `${file.path} has rows of ${hour.from} only, for retention counts by the hour`,
      )
      await tx`
        /* archive.note */
        insert into archive_file (
          kind, site_id, hour, path, rows, bytes, sha256, at_min, at_max, verified_at)
        values (${file.kind}, ${hour.site}, ${hour.from}, ${file.path}, ${file.rows}, ${file.bytes},
          ${file.sha256}, ${file.atMin}, ${file.atMax}, (select trusted_at from horizon))
        on conflict (kind, site_id, hour, path) do nothing`
    }
  })
}

/** Paths of the hour's files that the database has on record. */
export async function notedFiles(store: Store, hour: Hour): Promise<string[]> {
  const rows = await store.ask<{ path: string }[]>(
    op('notedFiles', 'archive_file'),
    (sql) => sql`
      /* archive.noted */
      select path from archive_file where site_id = ${hour.site} and hour = ${hour.from}
      order by path`,
  )
  return rows.map(({ path }) => path)
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

/** A file that the database has on record. */
export type RecordedFile = { kind: ArchiveKind; site: string; hour: Micros; path: string }

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
      select kind, site_id as site, hour, path from archive_file
      ${after ? sql`where (kind, site_id, hour, path) > (${after.kind}, ${after.site}, ${after.hour}, ${after.path})` : sql``}
      order by kind, site_id, hour, path limit ${pageRows}`,
  )
