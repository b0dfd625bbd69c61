import { join } from 'node:path'
import { fromMicros, fromMs, type Micros } from '../core/time.ts'
import {
  type ArchivedFile,
  type ArchiveKind,
  type ArchiveRow,
  archiveColumns,
  archiveKinds,
  type Hour,
  type HourFacts,
  timeColumn,
} from '../store/archive.ts'
import {
  clearTemporary,
  fingerprint,
  HourFailure,
  ourFilesIn,
  publish,
  removeFile,
  sizeOf,
  type Temporary,
  writeTemporary,
} from './folder.ts'
import { fileName, manifestPath, partitionOf, schemaVersion } from './layout.ts'
import { filesOf, makeManifest, readManifest, writeManifest } from './manifest.ts'
import { parquetBytes, readBack } from './parquet.ts'

/*
 * One closed hour of one site. The order is what makes it safe:
 *
 *   write -> read back -> name the files -> manifest -> the rows of archive_file (the caller's)
 *
 * Whatever a crash leaves before the manifest counts for nothing, and the next attempt takes it away
 * once it has its own; after the manifest the hour is complete and is never written again.
 */

/** Where the rows of an hour come from. */
export type HourSource = {
  facts(): Promise<HourFacts>
  /** Hands the rows of one kind over, in the order of time, and how many there are. */
  read<T>(
    kind: ArchiveKind,
    consume: (batches: AsyncGenerator<ArchiveRow[]>, count: number) => Promise<T>,
  ): Promise<T>
}

export type ExportOptions = {
  dir: string
  hour: Hour
  source: HourSource
  /** Raw events of the hour that the hot store has now; 0 when they were dropped. */
  events: number
  /** Paths that the database has on record: read back and matched before. */
  noted: ReadonlySet<string>
  signal: AbortSignal
  /** Asked before anything of the hour becomes visible. @throws when another archiver is at work */
  assertOurs: () => Promise<void>
  /** Most rows in one file; 600,000. */
  maxRows?: number
  /** Told of leftovers of a crash that were removed. */
  onLeftovers?: (paths: string[]) => void
}

/** Bounds what writing a file and reading it back need in memory. */
const rowsPerFile = 600_000

/**
 * Makes the hour complete.
 *
 * @returns its files, also when an earlier attempt had finished it; none when it has no rows
 * @throws HourFailure when a file does not read back as it was written, or when what is there
 * already contradicts; nothing of the hour counts then that did not before
 */
export async function exportHour(options: ExportOptions): Promise<ArchivedFile[]> {
  const { dir, hour, source, assertOurs } = options
  const done = await finishedFiles(options)
  if (done) return done
  await clearTemporary(dir, hour.site)
  // Before the rows, so that an event that is late by now is counted and never claimed.
  const facts = await source.facts()
  const ready: Ready[] = []
  for (const kind of archiveKinds) ready.push(...(await exportKind(kind, options)))
  if (ready.length === 0) return []

  await assertOurs()
  const files = ready.map(({ file }) => file)
  const left = await leftovers(options, files)
  for (const { file, temporary } of ready) await publish(dir, temporary, file.path)
  await writeManifest(dir, hour, makeManifest(hour, facts, files, fromMs(Date.now())))
  await clearLeftovers(options, left)
  return files
}

/**
 * The files of an hour that has its manifest; those that are not on record yet are read back, for
 * then it was a crash that ended the attempt, or another database that it came from.
 *
 * @throws HourFailure when one is not as the manifest says, or the events are not those of the hour
 */
async function finishedFiles(options: ExportOptions): Promise<ArchivedFile[] | undefined> {
  const { dir, hour, events, noted } = options
  const manifest = await readManifest(dir, hour)
  if (!manifest) return undefined
  const archived = manifest.rows.event ?? 0
  if (events > 0 && archived !== events) {
    throw new HourFailure(
      `${manifestPath(hour)} has ${archived} events, the database has ${events}; is it another archive?`,
    )
  }
  const files = filesOf(manifest)
  for (const file of files) {
    await assertThere(dir, file)
    if (!noted.has(file.path)) await assertReadsBack(join(dir, file.path), file)
  }
  if (files.some(({ path }) => !noted.has(path))) await clearTemporary(dir, hour.site)
  await clearLeftovers(options, await leftovers(options, files))
  return files
}

/** @throws HourFailure when a file is not there as long as it was */
export async function assertThere(dir: string, { path, bytes }: ArchivedFile): Promise<void> {
  const found = await sizeOf(dir, path)
  if (found === bytes) return
  const what = found === undefined ? 'is missing' : `has ${found} bytes, not ${bytes}`
  throw new HourFailure(`${path} ${what}, although a manifest names it; restore it from a copy`)
}

/** What lies in the folders of the hour and is neither among `files` nor on record. */
async function leftovers({ dir, hour, noted }: ExportOptions, files: readonly ArchivedFile[]) {
  const named = new Set(files.map(({ path }) => path))
  const left: string[] = []
  for (const kind of archiveKinds) {
    const found = await ourFilesIn(dir, `${kind}/${partitionOf(hour)}`)
    left.push(...found.filter((path) => !named.has(path) && !noted.has(path)))
  }
  return left
}

async function clearLeftovers({ dir, onLeftovers }: ExportOptions, left: string[]) {
  for (const path of left) await removeFile(dir, path)
  if (left.length > 0) onLeftovers?.(left)
}

type Ready = { file: ArchivedFile; temporary: Temporary }

/** Writes and reads back the files of one kind; none is visible yet. */
function exportKind(kind: ArchiveKind, options: ExportOptions): Promise<Ready[]> {
  const { source, signal, maxRows = rowsPerFile } = options
  return source.read(kind, async (batches, count) => {
    const ready: Ready[] = []
    const rest = unlessAborted(batches, signal)
    let head = await rest.next()
    while (!head.done) {
      const part: Part = { kind, number: ready.length, rows: 0 }
      ready.push(await writePart(part, takeRows(part, head.value, rest, maxRows), options))
      head = await rest.next()
    }
    // An independent count, by the database: whatever ended the rows early is seen here.
    const written = ready.reduce((sum, { file }) => sum + file.rows, 0)
    if (written !== count) {
      throw new HourFailure(`the database has ${count} rows of ${kind}, ${written} were written`)
    }
    return ready
  })
}

async function* unlessAborted<T>(batches: AsyncGenerator<T>, signal: AbortSignal) {
  for await (const batch of batches) {
    signal.throwIfAborted()
    yield batch
  }
}

/** One file on its way. Times are microseconds since 1970; they are in order. */
type Part = { kind: ArchiveKind; number: number; rows: number; first?: bigint; last?: bigint }

async function* takeRows(
  part: Part,
  head: ArchiveRow[],
  rest: AsyncGenerator<ArchiveRow[]>,
  maxRows: number,
) {
  let next: IteratorResult<ArchiveRow[]> = { done: false, value: head }
  while (!next.done) {
    const rows = next.value
    part.rows += rows.length
    // The time is the first column of every kind.
    part.first ??= BigInt(rows[0]![0] as number)
    part.last = BigInt(rows.at(-1)![0] as number)
    yield rows
    if (part.rows + rows.length > maxRows) return
    next = await rest.next()
  }
}

async function writePart(
  part: Part,
  rows: AsyncGenerator<ArchiveRow[]>,
  { dir, hour }: ExportOptions,
): Promise<Ready> {
  const { kind, number } = part
  // One entry: the order of several changes from file to file, and with it the hash.
  const { site, from } = hour
  const about = { schema: schemaVersion, table: kind, site, hour: from }
  const metadata = new Map([['wafermon', JSON.stringify(about)]])
  const chunks = parquetBytes(archiveColumns[kind], rows, metadata)
  const temporary = await writeTemporary(dir, hour.site, `${kind}-${number}.parquet`, chunks)
  const { bytes, sha256 } = temporary
  const [atMin, atMax] = [fromMicros(part.first!), fromMicros(part.last!)]
  const path = `${kind}/${partitionOf(hour)}/${fileName(atMin, atMax, sha256)}`
  const file = { kind, path, rows: part.rows, bytes, sha256, atMin, atMax }
  await assertReadsBack(temporary.path, file)
  return { file, temporary }
}

/**
 * Compares a file on disk with what is claimed of it. `deep` decodes every column.
 *
 * @throws HourFailure naming the first thing that differs
 */
export async function assertReadsBack(
  path: string,
  file: ArchivedFile,
  deep = false,
): Promise<void> {
  const differs = (what: string, found: unknown, expected: unknown) =>
    new HourFailure(`${file.path} does not read back: ${what} is ${found}, not ${expected}`)
  const { bytes, sha256 } = await fingerprint(path)
  if (bytes !== file.bytes) throw differs('its size', bytes, file.bytes)
  if (sha256 !== file.sha256) throw differs('its SHA-256', sha256, file.sha256)
  const found = await readBack(path, timeColumn(file.kind), deep)
  if (found.claimed !== file.rows) throw differs('its row count', found.claimed, file.rows)
  if (found.rows !== file.rows) throw differs('the count of its rows', found.rows, file.rows)
  const [min, max] = [timeOf(found.min), timeOf(found.max)]
  if (min !== file.atMin) throw differs('its first time', min, file.atMin)
  if (max !== file.atMax) throw differs('its last time', max, file.atMax)
}

const timeOf = (us: bigint | undefined): Micros | undefined =>
  us === undefined ? undefined : fromMicros(us)
