import { clock } from '../platform/clock.ts'
import { type ArchiveKind, archiveKinds } from '../store/archive/columns.ts'
import type { Day, DayFacts } from '../store/archive/days.ts'
import type { ArchivedFile } from '../store/archive/files.ts'
import type { DayRows, EventKey, Wanted } from '../store/archive/rows.ts'
import type { Lease } from '../store/lease.ts'
import { DayFailure } from './day-failure.ts'
import { filesOfHours, type HourManifest } from './hour-manifest.ts'
import { findKnown } from './known-events.ts'
import { isOurFile, siteFolder, toPartition } from './layout.ts'
import { type Found, type Link, makeManifest, writeManifest } from './manifest.ts'
import { toArchivedFiles } from './manifest-file.ts'
import { type Part, stageParts } from './parts.ts'
import type { Place } from './places/place.ts'
import { assertThere } from './read-back.ts'

/*
 * What a closed day of a site has that the archive lacks: all of it the first time, later what came late or changed. The
 * order is what makes it safe:
 *
 *   stage -> read back -> put the files -> manifest -> the records of the database, and only with them the rows of
 *   event_late go (note.ts)
 *
 * - What a crash leaves before the manifest counts for nothing, and the next attempt removes it once it has its own
 *   manifest. What it leaves after the manifest is taken up before anything else is written for the site (chain.ts).
 * - A file is removed only when its day has a manifest that does not name it, and only if it is named as ours are. So of
 *   two archivers at one day the one whose manifest came first wins, and the other can take nothing of it away. One that
 *   was overtaken writes none (lease.ts), unless it was stopped in the very step: the manifest tells by its lease.
 */

/** The source of a day's rows. */
export type DaySource = {
  facts(): Promise<DayFacts>
  /** Hands over the rows of one kind; see readDay. */
  read<T>(kind: ArchiveKind, wanted: Wanted, consume: (rows: DayRows) => Promise<T>): Promise<T>
}

export type ExportOptions = {
  place: Place
  day: Day
  source: DaySource
  /** The manifest of the day that counts until now. */
  previous: Found | undefined
  /** The manifests of its hours, while the day has none. */
  hours: readonly HourManifest[]
  /** The end of the site's chain. */
  end: { seq: number; link: Link } | undefined
  /** The number of the next manifest of the day. */
  number: number
  /** Paths that the database has on record for the day: never removed. */
  noted: ReadonlySet<string>
  signal: AbortSignal
  /** Called before anything of the day gets a name. @throws when another archiver is at work */
  assertOurs: () => Promise<void>
  /** Runs the step that makes the day count; see Lease. @throws when another archiver is at work */
  protect: Lease['protect']
  /** Maximum rows in one file (default 600,000). */
  maxRows?: number
  /** Called with the leftovers of a crash that were removed. */
  onLeftovers?: (paths: string[]) => void
}

export type Exported = {
  /** The new manifest; undefined when the archive had everything. */
  found: Found | undefined
  /** The files that it names besides those from before. */
  fresh: ArchivedFile[]
  /** Late events that the archive had already. */
  repeats: EventKey[]
}

/** Bounds what writing a file and reading it back need in memory. */
const rowsPerFile = 600_000

/**
 * Archives what the day has besides its files.
 *
 * @throws DayFailure when a file does not read back as it was written, or when what is there already contradicts; nothing
 * of the day counts then that did not before
 */
export async function exportDay(options: ExportOptions): Promise<Exported> {
  const { place, day, source, previous, hours, assertOurs, protect, end, number } = options
  const kept = previous ? toArchivedFiles(previous.manifest.files) : filesOfHours(hours)
  for (const file of kept) await assertThere(place, file)
  await place.clearStaged(siteFolder(day.site))
  // Before the rows, so that what is frozen by then is in them.
  const facts = await source.facts()
  const staged = await stageKinds(kept, options)
  const { parts, repeats } = staged
  if (parts.length === 0) return { found: undefined, fresh: [], repeats }

  await assertOurs()
  const fresh = parts.map(({ file }) => file)
  const files = [...kept, ...fresh]
  const left = await findLeftovers(options, files)
  for (const { file, staged } of parts) await place.putOnce(file.path, staged)
  for (const file of fresh) await assertPut(place, file)
  const found = await protect((lease) => {
    const manifest = makeManifest({
      ...{ day, number, end, lease, files, archivedAt: clock.now() },
      frozenBefore: facts.frozenBefore,
      lateEvents: staged.late + (previous?.manifest.late_events ?? 0),
      eventsDropped: previous
        ? previous.manifest.events_dropped
        : facts.eventsDropped && !hours.some(({ rows }) => rows.event !== null),
      expired: previous?.manifest.expired,
    })
    return writeManifest(place, day, manifest)
  })
  await clearLeftovers(options, left)
  return { found, fresh, repeats }
}

/** Stages all kinds, and reads each file back. */
async function stageKinds(kept: readonly ArchivedFile[], options: ExportOptions) {
  const { place, day, source, previous, hours, signal, maxRows = rowsPerFile } = options
  const staged: { parts: Part[]; late: number; repeats: EventKey[] } = {
    ...{ parts: [], late: 0, repeats: [] },
  }
  // The hot table is whole: what the files of the hours have of it is not written again.
  const exceptHours = hours.flatMap(({ hour, rows }) => (rows.event === null ? [] : [hour]))
  const wanted: Wanted = {
    events: previous ? undefined : { exceptHours },
    findKnown: (late) => findKnown(place, kept, late),
  }
  for (const kind of archiveKinds) {
    await source.read(kind, wanted, async ({ batches, count, late, repeats }) => {
      staged.parts.push(
        ...(await stageParts(batches, count, { place, day, kind, maxRows, signal })),
      )
      staged.late += late
      staged.repeats.push(...repeats)
    })
  }
  return staged
}

/** Checks a file that the manifest is about to name. @throws DayFailure when the place lacks it */
async function assertPut(place: Place, { path, bytes }: ArchivedFile): Promise<void> {
  const found = await place.stat(path)
  if (found?.bytes === bytes) return
  throw new DayFailure(
    `${path} was written, but ${place.address} does not have all its ${bytes} bytes`,
  )
}

/** Our files in the folders of the day that are neither among `files` nor on record. */
async function findLeftovers({ place, day, noted }: ExportOptions, files: readonly ArchivedFile[]) {
  const named = new Set(files.map(({ path }) => path))
  const left: string[] = []
  for (const kind of archiveKinds) {
    for await (const path of place.list(`${kind}/${toPartition(day)}`)) {
      if (isOurFile(path) && !named.has(path) && !noted.has(path)) left.push(path)
    }
  }
  return left
}

async function clearLeftovers({ place, onLeftovers }: ExportOptions, left: string[]) {
  for (const path of left) await place.remove(path)
  if (left.length > 0) onLeftovers?.(left)
}
