import { clock } from '../platform/clock.ts'
import { type ArchiveKind, type ArchiveRow, archiveKinds } from '../store/archive/columns.ts'
import type { ArchivedFile } from '../store/archive/files.ts'
import type { Hour, HourFacts } from '../store/archive/hours.ts'
import type { Lease } from '../store/lease.ts'
import { HourFailure } from './hour-failure.ts'
import { isOurFile, manifestPath, siteFolder, toPartition } from './layout.ts'
import { makeManifest, readManifest, toArchivedFiles, writeManifest } from './manifest.ts'
import { type Part, stageParts } from './parts.ts'
import type { Place } from './places/place.ts'
import { assertFileReadsBack, assertThere } from './read-back.ts'

/*
 * One closed hour of one site. The order is what makes it safe:
 *
 *   stage -> read back -> put the files -> manifest -> the rows of archive_file (the caller's)
 *
 * - What a crash leaves before the manifest counts for nothing, and the next attempt removes it once
 *   it has its own manifest. After the manifest the hour is complete and is never written again.
 * - A file is removed only when its hour has a manifest that does not name it, and only if it is
 *   named as ours are. So of two archivers at one hour the one whose manifest came first wins, and
 *   the other can take nothing of it away. One that was overtaken writes none (lease.ts), unless it
 *   was stopped in the very step: the manifest tells by its lease.
 */

/** The source of an hour's rows. */
export type HourSource = {
  facts(): Promise<HourFacts>
  /** Hands over the rows of one kind in the order of time, and their count. */
  read<T>(
    kind: ArchiveKind,
    consume: (batches: AsyncGenerator<ArchiveRow[]>, count: number) => Promise<T>,
  ): Promise<T>
}

export type ExportOptions = {
  place: Place
  hour: Hour
  source: HourSource
  /** Raw events of the hour that the hot store has now; 0 when they were dropped. */
  events: number
  /** Paths that the database has on record: read back and matched before. */
  noted: ReadonlySet<string>
  signal: AbortSignal
  /** Called before anything of the hour gets a name. @throws when another archiver is at work */
  assertOurs: () => Promise<void>
  /** Runs the step that makes the hour count; see Lease. @throws when another archiver is at work */
  protect: Lease['protect']
  /** Maximum rows in one file (default 600,000). */
  maxRows?: number
  /** Called with the leftovers of a crash that were removed. */
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
  const { place, hour, source, assertOurs, protect } = options
  const done = await finishHour(options)
  if (done) return done
  await place.clearStaged(siteFolder(hour.site))
  // Before the rows, so that an event that is late by now is counted and never claimed.
  const facts = await source.facts()
  const parts: Part[] = []
  for (const kind of archiveKinds) parts.push(...(await stageKind(kind, options)))
  if (parts.length === 0) return []

  await assertOurs()
  const files = parts.map(({ file }) => file)
  const left = await findLeftovers(options, files)
  for (const { file, staged } of parts) await place.putOnce(file.path, staged)
  for (const file of files) await assertPut(place, file)
  await protect((lease) => {
    const manifest = makeManifest(hour, facts, files, { archivedAt: clock.now(), lease })
    return writeManifest(place, hour, manifest)
  })
  await clearLeftovers(options, left)
  return files
}

/** Checks a file that the manifest is about to name. @throws HourFailure when the place lacks it */
async function assertPut(place: Place, { path, bytes }: ArchivedFile): Promise<void> {
  const found = await place.stat(path)
  if (found?.bytes === bytes) return
  throw new HourFailure(
    `${path} was written, but ${place.address} does not have all its ${bytes} bytes`,
  )
}

function stageKind(kind: ArchiveKind, options: ExportOptions): Promise<Part[]> {
  const { place, hour, source, signal, maxRows = rowsPerFile } = options
  return source.read(kind, (batches, count) =>
    stageParts(batches, count, { place, hour, kind, maxRows, signal }),
  )
}

/**
 * The files of an hour that has its manifest. Those that are not on record yet are read back, for
 * then a crash ended the attempt, or they come from another database.
 *
 * @throws HourFailure when one is not as the manifest says, or the events are not those of the hour
 */
async function finishHour(options: ExportOptions): Promise<ArchivedFile[] | undefined> {
  const { place, hour, events, noted } = options
  const manifest = await readManifest(place, hour)
  if (!manifest) return undefined
  const archived = manifest.rows.event ?? 0
  if (events > 0 && archived !== events) {
    throw new HourFailure(
      `${manifestPath(hour)} has ${archived} events, the database has ${events}; is it another archive?`,
    )
  }
  const files = toArchivedFiles(manifest)
  for (const file of files) {
    await assertThere(place, file)
    if (!noted.has(file.path)) await assertFileReadsBack(place, file)
  }
  if (files.some(({ path }) => !noted.has(path))) await place.clearStaged(siteFolder(hour.site))
  await clearLeftovers(options, await findLeftovers(options, files))
  return files
}

/** Our files in the folders of the hour that are neither among `files` nor on record. */
async function findLeftovers(
  { place, hour, noted }: ExportOptions,
  files: readonly ArchivedFile[],
) {
  const named = new Set(files.map(({ path }) => path))
  const left: string[] = []
  for (const kind of archiveKinds) {
    const folder = `${kind}/${toPartition(hour)}`
    for await (const path of place.list(folder)) {
      const isHere = path.lastIndexOf('/') === folder.length
      if (isHere && isOurFile(path) && !named.has(path) && !noted.has(path)) left.push(path)
    }
  }
  return left
}

async function clearLeftovers({ place, onLeftovers }: ExportOptions, left: string[]) {
  for (const path of left) await place.remove(path)
  if (left.length > 0) onLeftovers?.(left)
}
