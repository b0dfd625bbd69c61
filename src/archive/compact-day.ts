import { type ArchiveKind, archiveKinds } from '../store/archive/columns.ts'
import { crowdedDays } from '../store/archive/compaction.ts'
import { type Day, toDay } from '../store/archive/days.ts'
import { type ArchivedFile, lastManifest } from '../store/archive/files.ts'
import { noteIntent } from '../store/archive/intent.ts'
import { pendingRemovals } from '../store/archive/removals.ts'
import type { Store } from '../store/connect.ts'
import { mergeRows, openFiles, readRows } from './archive-rows.ts'
import { chainEnd } from './chain.ts'
import { rowsPerFile } from './day.ts'
import { type DueDayOptions, keptPaths } from './due-day.ts'
import { findHeld } from './held-day.ts'
import { siteFolder } from './layout.ts'
import { manifestNumbers, readRecorded } from './manifest.ts'
import { toArchivedFiles } from './manifest-file.ts'
import { noteDay } from './note.ts'
import { type Part, stageParts } from './parts.ts'
import { publish } from './publish.ts'
import { assertThere } from './read-back.ts'
import { proveRows } from './row-proof.ts'
import { findSuperseded } from './superseded.ts'

/*
 * A day that came in many parts is rewritten: the rows of a kind in as few files as they need, of jobs the last versions
 * only. The order is that of day.ts, and nothing is deleted before its end:
 *
 *   stage -> read back -> prove -> put the files -> manifest, which names what it replaces -> the records of the database,
 *   and only with them the replaced files go (replaced.ts)
 *
 * The proof is that every row of the replaced files is in the new ones as they read back, or a later version of it
 * (row-proof.ts). The bytes that it has read are those that count: a file is read back again, by its hash, before one that
 * it replaces is deleted.
 */

/** A kind of a day with more files is rewritten. */
export const maxFiles = 8

/** Days with many files, and those of which replaced files are left. */
export async function daysToCompact(reader: Store): Promise<Day[]> {
  const crowded = await crowdedDays(reader, { maxFiles, rowsPerFile })
  const left = (await pendingRemovals(reader)).map(({ site, from }) => toDay(site, from))
  const isCrowded = ({ site, from }: Day) =>
    crowded.some((day) => day.site === site && day.from === from)
  return [...left.filter((day) => !isCrowded(day)), ...crowded]
}

/** A kind of a day that was rewritten. */
export type Compacted = {
  kind: ArchiveKind
  before: { files: number; rows: number; bytes: number }
  after: { files: number; rows: number; bytes: number }
}

/** Files that count: the hours of earlier versions have other columns, and stay. */
const isOfDay = ({ path }: ArchivedFile) => !path.includes('/hour=')

type Rewritten = { old: ArchivedFile[]; parts: Part[]; kind: ArchiveKind }

/**
 * Rewrites the kinds of a day that have many files, and notes it. The site's chain has been caught up with. What was
 * replaced is still there; see deleteReplaced.
 *
 * @throws DayFailure when it cannot be done as things are; then the day is as it was
 */
export async function compactDay(day: Day, options: DueDayOptions): Promise<Compacted[]> {
  const { place, lease } = options
  const recorded = await lastManifest(lease.reader, day.site, day)
  const previous = recorded && (await readRecorded(place, recorded))
  if (!previous) return []
  const files = toArchivedFiles(previous.manifest.files)
  const kinds = archiveKinds.filter((kind) => isCrowded(files, kind, options.maxRows))
  if (kinds.length === 0) return []
  // A hold keeps the files as they are, and earlier versions of jobs with them.
  if ((await findHeld(place, day, files)) !== undefined) return []
  for (const file of files) await assertThere(place, file)
  await place.clearStaged(siteFolder(day.site))
  const rewritten: Rewritten[] = []
  for (const kind of kinds) rewritten.push(await rewrite(kind, files, day, options))
  // Rewriting takes minutes: it may have been placed meanwhile.
  if ((await findHeld(place, day, files)) !== undefined) return []

  const parts = rewritten.flatMap((one) => one.parts)
  const old = new Set(rewritten.flatMap((one) => one.old))
  const fresh = new Set(parts.map(({ file }) => file.path))
  // One with the same rows as a new one has the same name, and stays.
  const gone = [...old].filter(({ path }) => !fresh.has(path))
  const found = await publish(
    parts,
    files.filter((file) => !old.has(file)),
    {
      frozenBefore: previous.manifest.frozen_before,
      lateEvents: previous.manifest.late_events,
      eventsDropped: previous.manifest.events_dropped,
      removed: { reason: 'compacted', files: gone },
      expired: previous.manifest.expired,
    },
    {
      ...options,
      ...{ day, protect: lease.protect, noted: await keptPaths(lease.reader, day) },
      intend: (number) => noteIntent(lease.store, day, number),
      end: await chainEnd(options, day.site),
      number: ((await manifestNumbers(place, day)).at(-1) ?? 0) + 1,
    },
  )
  await noteDay(lease.store, place, day, found, [])
  return rewritten.map(toCompacted)
}

/** True when a kind of a day has many files, and more than its rows need. */
function isCrowded(all: readonly ArchivedFile[], kind: ArchiveKind, maxRows = rowsPerFile) {
  const files = all.filter((file) => file.kind === kind && isOfDay(file))
  const rows = files.reduce((sum, file) => sum + file.rows, 0)
  return files.length > maxFiles && files.length >= 2 * Math.ceil(rows / maxRows)
}

async function rewrite(
  kind: ArchiveKind,
  all: readonly ArchivedFile[],
  day: Day,
  { place, signal, maxRows = rowsPerFile }: DueDayOptions,
): Promise<Rewritten> {
  const ofKind = all.filter((file) => file.kind === kind)
  const old = ofKind.filter(isOfDay)
  const keepsMoves = old.length < ofKind.length
  const stored = await openFiles(place, old)
  const superseded =
    kind === 'event' ? { rows: 0, read: readRows } : await findSuperseded(stored, kind, keepsMoves)
  const count = old.reduce((sum, { rows }) => sum + rows, 0) - superseded.rows
  const rows = mergeRows(stored, superseded.read)
  const parts = await stageParts(rows, count, { place, day, kind, maxRows, signal })
  signal.throwIfAborted()
  const fresh = parts.map(({ file, staged }) => ({ file, content: staged }))
  await proveRows(kind, stored, fresh, keepsMoves)
  return { kind, old, parts }
}

const toCompacted = ({ kind, old, parts }: Rewritten): Compacted => ({
  kind,
  before: sumOf(old),
  after: sumOf(parts.map(({ file }) => file)),
})

const sumOf = (files: readonly ArchivedFile[]) => ({
  files: files.length,
  rows: files.reduce((sum, { rows }) => sum + rows, 0),
  bytes: files.reduce((sum, { bytes }) => sum + bytes, 0),
})
