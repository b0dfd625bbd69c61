import { must } from '../core/must.ts'
import { toMicros } from '../core/time.ts'
import {
  type ArchiveKind,
  type ArchiveRow,
  archiveColumns,
  timeColumn,
} from '../store/archive/columns.ts'
import type { ArchivedFile } from '../store/archive/files.ts'
import { DayFailure } from './day-failure.ts'
import { readParquetRows } from './parquet-read.ts'
import type { Content, Place } from './places/place.ts'

/* Rows of files of the archive, as they were written: in the order of the columns, and of time. */

/** A file whose bytes are at hand, with a name in the archive or not yet. */
export type StoredFile = { file: ArchivedFile; content: Content }

/** @throws DayFailure when one of them is missing */
export async function openFiles(
  place: Place,
  files: readonly ArchivedFile[],
): Promise<StoredFile[]> {
  const opened: StoredFile[] = []
  for (const file of files) {
    const content = await place.read(file.path)
    if (!content) throw new DayFailure(`${file.path} is missing, although a manifest names it`)
    opened.push({ file, content })
  }
  return opened
}

/** The place of a column among those of its kind. */
export function columnAt(kind: ArchiveKind, name: string): number {
  const at = archiveColumns[kind].findIndex((column) => column.name === name)
  return must(at >= 0 ? at : undefined, `there is a column ${name} of ${kind}`)
}

/** The column by which rows of the same time are in order. */
export const idColumn = (kind: ArchiveKind) => (kind === 'event' ? 'idempotency_key' : `${kind}_id`)

/**
 * All rows of a file, in batches.
 *
 * @throws DayFailure when it does not read as its kind, or has a column that this version does not know
 */
export async function* readRows({ file, content }: StoredFile): AsyncGenerator<ArchiveRow[]> {
  const names = archiveColumns[file.kind].map(({ name }) => name)
  let rows = 0
  try {
    for await (const batch of readParquetRows(content, names, file.bytes / file.rows)) {
      rows += batch.length
      yield batch
    }
  } catch (error) {
    throw new DayFailure(`${file.path} cannot be read: ${(error as Error).message}`)
  }
  if (rows === file.rows) return
  throw new DayFailure(`${file.path} has ${rows} rows, its manifest says ${file.rows}`)
}

/** A file that is being merged; its first rows are read when they may be the next. */
type Source = {
  stored: StoredFile
  /** No row of it comes before this time; undefined when it is the first to be read. */
  opensAt: bigint | undefined
  batches: AsyncGenerator<ArchiveRow[]>
  rows: ArchiveRow[]
  next: number
}

/** The maximum of rows in a batch of merged ones, and about how much text. */
const maxBatch = { rows: 5000, characters: 4 * 2 ** 20 }

/**
 * The rows of files of one kind in the order of time and id, in batches. Of files that do not overlap in time one at a
 * time is open.
 *
 * @param read the rows of a file; those that are wanted
 */
export async function* mergeRows(
  files: readonly StoredFile[],
  read: (stored: StoredFile) => AsyncGenerator<ArchiveRow[]> = readRows,
): AsyncGenerator<ArchiveRow[]> {
  const [first] = files
  if (!first) return
  const before = compareRows(first.file.kind)
  const closed = files.map((stored) => toSource(stored, read)).sort(byOpening)
  const open: Source[] = []
  let [batch, characters]: [ArchiveRow[], number] = [[], 0]
  try {
    for (;;) {
      while (closed[0] && isNeeded(closed[0], leastOf(open, before))) await openNext(closed, open)
      const source = leastOf(open, before)
      if (!source) break
      const row = must(source.rows[source.next++], 'an open source has a row')
      batch.push(row)
      characters += sizeOf(row)
      if (source.next === source.rows.length) await refill(source, open)
      if (batch.length < maxBatch.rows && characters < maxBatch.characters) continue
      yield batch
      ;[batch, characters] = [[], 0]
    }
    if (batch.length > 0) yield batch
  } finally {
    for (const { batches } of open) await batches.return(undefined)
  }
}

const toSource = (
  stored: StoredFile,
  read: (stored: StoredFile) => AsyncGenerator<ArchiveRow[]>,
): Source => ({
  stored,
  // Jobs without a time come first, whatever the file says of the others.
  opensAt: stored.file.kind === 'event' ? toMicros(stored.file.atMin) : undefined,
  batches: read(stored),
  rows: [],
  next: 0,
})

function byOpening({ opensAt: a }: Source, { opensAt: b }: Source): number {
  if (a === undefined || b === undefined) return 0
  return a < b ? -1 : a > b ? 1 : 0
}

/** True when a closed file may have the next row. */
function isNeeded({ opensAt }: Source, least: Source | undefined): boolean {
  if (!least || opensAt === undefined) return true
  const time = rowOf(least)[0] as bigint | null
  return time !== null && opensAt <= time
}

async function openNext(closed: Source[], open: Source[]): Promise<void> {
  const source = must(closed.shift(), 'one is closed')
  open.push(source)
  await refill(source, open)
}

/** Reads the next rows of a source; one that has no more is left out. */
async function refill(source: Source, open: Source[]): Promise<void> {
  do {
    const { done, value } = await source.batches.next()
    if (done) {
      open.splice(open.indexOf(source), 1)
      return
    }
    Object.assign(source, { rows: value, next: 0 })
  } while (source.rows.length === 0)
}

const rowOf = ({ rows, next }: Source) => must(rows[next], 'an open source has a row')

function leastOf(
  open: readonly Source[],
  compare: (a: ArchiveRow, b: ArchiveRow) => number,
): Source | undefined {
  let least: Source | undefined
  for (const source of open) {
    if (!least || compare(rowOf(source), rowOf(least)) < 0) least = source
  }
  return least
}

/** By time, those without one first, then by id. */
function compareRows(kind: ArchiveKind): (a: ArchiveRow, b: ArchiveRow) => number {
  const [time, id] = [columnAt(kind, timeColumn(kind)), columnAt(kind, idColumn(kind))]
  return (a, b) => {
    const [first, second] = [a[time] as bigint | null, b[time] as bigint | null]
    if (first !== second) {
      if (first === null || second === null) return first === null ? -1 : 1
      return first < second ? -1 : 1
    }
    const [one, other] = [String(a[id]), String(b[id])]
    return one < other ? -1 : one > other ? 1 : 0
  }
}

function sizeOf(row: ArchiveRow): number {
  let characters = 0
  for (const value of row) characters += typeof value === 'string' ? value.length : 8
  return characters
}
