import { ensure, must } from '../core/must.ts'
import { fromMicros } from '../core/time.ts'
import { type ArchiveKind, type ArchiveRow, archiveColumns } from '../store/archive/columns.ts'
import { type Day, toDate } from '../store/archive/days.ts'
import type { ArchivedFile } from '../store/archive/files.ts'
import { DayFailure } from './day-failure.ts'
import { fileName, schemaVersion, siteFolder, toPartition } from './layout.ts'
import { parquetBytes } from './parquet-write.ts'
import type { Place, Staged } from './places/place.ts'
import { assertReadsBack } from './read-back.ts'

/*
 * One kind of a day as Parquet files: staged and read back, and none of them has its name yet.
 * Every row that the database counted is in exactly one of them.
 */

/** A file that has passed, and its bytes. */
export type Part = { file: ArchivedFile; staged: Staged }

export type PartOptions = {
  place: Place
  day: Day
  kind: ArchiveKind
  /** After how many rows a file ends. */
  maxRows: number
  signal: AbortSignal
}

/**
 * Stages the rows as files and reads each back.
 *
 * @param batches in the order of time
 * @param count of the rows, as the database says
 * @throws DayFailure when a file does not read back, or the rows are not as many
 */
export async function stageParts(
  batches: AsyncGenerator<ArchiveRow[]>,
  count: number,
  options: PartOptions,
): Promise<Part[]> {
  const { kind, signal } = options
  const parts: Part[] = []
  const rest = unlessAborted(batches, signal)
  let head = await rest.next()
  while (!head.done) {
    parts.push(await stagePart(parts.length, head.value, rest, options))
    head = await rest.next()
  }
  // An independent count: whatever ended the rows early is seen here.
  const written = parts.reduce((sum, { file }) => sum + file.rows, 0)
  if (written !== count) {
    throw new DayFailure(`the database has ${count} rows of ${kind}, but ${written} were written`)
  }
  return parts
}

async function* unlessAborted<T>(batches: AsyncGenerator<T>, signal: AbortSignal) {
  for await (const batch of batches) {
    signal.throwIfAborted()
    yield batch
  }
}

async function stagePart(
  number: number,
  head: ArchiveRow[],
  rest: AsyncGenerator<ArchiveRow[]>,
  { place, day, kind, maxRows }: PartOptions,
): Promise<Part> {
  const { site, from } = day
  // One entry: the order of several changes from file to file, and with it the hash.
  const about = { schema: schemaVersion, table: kind, site, day: toDate(day) }
  const metadata = new Map([['wafermon', JSON.stringify(about)]])
  const taken: Taken = { rows: 0 }
  const rows = takeRows(taken, head, rest, maxRows)
  const chunks = parquetBytes(archiveColumns[kind], rows, metadata)
  const staged = await place.stage(`${siteFolder(site)}/${kind}-${number}.parquet`, chunks)
  const { bytes, sha256 } = staged
  // Jobs that never ended, or have left the day, have no time.
  const atMin = taken.first === undefined ? from : fromMicros(taken.first)
  const atMax = taken.last === undefined ? from : fromMicros(taken.last)
  const path = `${kind}/${toPartition(day)}/${fileName(atMin, atMax, sha256)}`
  const file = { kind, path, rows: taken.rows, bytes, sha256, atMin, atMax }
  await assertReadsBack(staged, file)
  return { file, staged }
}

/** The rows of one file so far. Times are microseconds since 1970; undefined when no row has one. */
type Taken = { rows: number; first?: bigint; last?: bigint }

/** Takes batches while another one of the same size would fit; notes what it has taken. */
async function* takeRows(
  taken: Taken,
  head: ArchiveRow[],
  rest: AsyncGenerator<ArchiveRow[]>,
  maxRows: number,
) {
  let next: IteratorResult<ArchiveRow[]> = { done: false, value: head }
  while (!next.done) {
    const rows = next.value
    noteTimes(taken, rows)
    taken.rows += rows.length
    yield rows
    if (taken.rows + rows.length > maxRows) return
    next = await rest.next()
  }
}

/** The time is the first column of every kind; rows without one come first. */
function noteTimes(taken: Taken, rows: readonly ArchiveRow[]): void {
  const timed = rows.findIndex(([time]) => time !== null)
  ensure(timed >= 0 || taken.first === undefined, 'rows without a time come first')
  if (timed < 0) return
  const [first, last] = [readTime(rows[timed]), readTime(rows.at(-1))]
  const inOrder = (taken.last ?? first) <= first && first <= last
  ensure(inOrder, 'rows come in the order of time')
  taken.first ??= first
  taken.last = last
}

function readTime(row: ArchiveRow | undefined): bigint {
  const time = must(row, 'a batch has a row')[0]
  return BigInt(must(time as number | null | undefined, 'rows without a time come first'))
}
