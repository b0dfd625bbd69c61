import { type ArchiveKind, archiveKinds } from '../store/archive/columns.ts'
import type { DayFacts } from '../store/archive/days.ts'
import type { ArchivedFile } from '../store/archive/files.ts'
import type { DayRows, EventKey, Wanted } from '../store/archive/rows.ts'
import { filesOfHours, type HourManifest } from './hour-manifest.ts'
import { findKnown } from './known-events.ts'
import { siteFolder } from './layout.ts'
import type { Found } from './manifest.ts'
import { toArchivedFiles } from './manifest-file.ts'
import { type Part, stageParts } from './parts.ts'
import { type PublishOptions, publish } from './publish.ts'
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

export type ExportOptions = PublishOptions & {
  source: DaySource
  /** The manifest of the day that counts until now. */
  previous: Found | undefined
  /** The manifests of its hours, while the day has none. */
  hours: readonly HourManifest[]
  signal: AbortSignal
  /** Writes a manifest also when the archive has everything. */
  always?: boolean
  /** Maximum rows in one file (default 600,000). */
  maxRows?: number
}

export type Exported = {
  /** The new manifest; undefined when there was no need for one. */
  found: Found | undefined
  /** The files that it names besides those from before. */
  fresh: ArchivedFile[]
  /** Late events that the archive had already. */
  repeats: EventKey[]
}

/** Rows of a file: it bounds what writing one and reading it back need in memory. */
export const rowsPerFile = 600_000

/**
 * Archives what the day has besides its files.
 *
 * @throws DayFailure when a file does not read back as it was written, or when what is there already contradicts; nothing
 * of the day counts then that did not before
 */
export async function exportDay(options: ExportOptions): Promise<Exported> {
  const { place, day, source, previous, hours, always = false } = options
  const kept = previous ? toArchivedFiles(previous.manifest.files) : filesOfHours(hours)
  for (const file of kept) await assertThere(place, file)
  await place.clearStaged(siteFolder(day.site))
  // Before the rows, so that what is frozen by then is in them.
  const facts = await source.facts()
  const { parts, late, repeats } = await stageKinds(kept, options)
  if (parts.length === 0 && !always) return { found: undefined, fresh: [], repeats }
  const said = {
    frozenBefore: facts.frozenBefore,
    lateEvents: late + (previous?.manifest.late_events ?? 0),
    eventsDropped: previous
      ? previous.manifest.events_dropped
      : facts.eventsDropped && !hours.some(({ rows }) => rows.event !== null),
  }
  const found = await publish(parts, kept, said, options)
  return { found, fresh: parts.map(({ file }) => file), repeats }
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
