import type { Logger } from 'pino'
import { type Day, type DueDay, dayFacts } from '../store/archive/days.ts'
import { type ArchivedFile, lastManifest, notedFiles } from '../store/archive/files.ts'
import { noteIntent } from '../store/archive/intent.ts'
import { dropRepeats } from '../store/archive/late.ts'
import { pendingRemovals } from '../store/archive/removals.ts'
import { readDay } from '../store/archive/rows.ts'
import type { Store } from '../store/connect.ts'
import type { Lease } from '../store/lease.ts'
import { chainEnd } from './chain.ts'
import { type DaySource, exportDay } from './day.ts'
import { DayFailure } from './day-failure.ts'
import { filesOfHours, type HourManifest, readHours } from './hour-manifest.ts'
import { manifestNumbers, readRecorded } from './manifest.ts'
import { noteDay } from './note.ts'
import type { Place } from './places/place.ts'

/*
 * One day of one site, if it is due.
 *
 * - The first time: it ends at or below the freeze horizon, and its jobs have not changed for an hour, for a replay may
 *   still be bringing those that ended then. A day that holds raw events waits for that half a day at most, because
 *   retention waits for it.
 * - Later: when late events or changed jobs have waited for ARCHIVE_LATE_HOURS, or are many; immediately when jobs have
 *   left it, since until then the archive shows them twice.
 */

/** Seconds without a change after which the jobs of a day count as settled. */
const settleS = 3600
/** Seconds that raw events wait for their jobs to settle. */
const overdueS = 12 * 3600
/** Late events or changed jobs that wait no longer. */
const manyRows = 10_000

/** True when a day has to be archived now. @param lateHours how long what comes late may wait */
export function isDue(day: DueDay, lateHours: number): boolean {
  const waited =
    Math.max(day.late, day.changed) >= manyRows ||
    Math.max(day.lateS, day.changedS) >= lateHours * 3600
  if (day.archived) return waited || day.moves > 0
  if (day.events === 0 && day.changed === 0) return waited
  return day.quietS >= settleS || (day.events > 0 && day.frozenS >= overdueS)
}

export type DueDayOptions = {
  lease: Pick<Lease, 'store' | 'reader' | 'protect'>
  place: Place
  log: Logger
  signal: AbortSignal
  /** Called before anything of the day gets a name. @throws when another archiver is at work */
  assertOurs: () => Promise<void>
  /** Writes a manifest also when the archive has everything. */
  always?: boolean
  maxRows?: number
}

export type Outcome = {
  /** The files that were archived. */
  files: readonly ArchivedFile[]
  /** Late events that the archive had already, dropped. */
  repeats: number
}

/**
 * Archives what the day has that the archive lacks, and notes it. The site's chain has been caught up with.
 *
 * @throws DayFailure when it cannot be archived as things are
 */
export async function archiveDay(day: Day, options: DueDayOptions): Promise<Outcome> {
  const { place, lease, log } = options
  const recorded = await lastManifest(lease.reader, day.site, day)
  const previous = recorded && (await readRecorded(place, recorded))
  const hours = previous ? [] : await readHours(place, day)
  const noted = await keptPaths(lease.reader, day)
  if (!previous) assertHours(hours, new Set(await notedFiles(lease.reader, day)))
  const { found, fresh, repeats } = await exportDay({
    ...options,
    ...{ day, previous, hours, noted, protect: lease.protect },
    intend: (number) => noteIntent(lease.store, day, number),
    end: await chainEnd(options, day.site),
    // One that was overtaken may have left a number that does not count.
    number: ((await manifestNumbers(place, day)).at(-1) ?? 0) + 1,
    source: sourceOf(lease.reader, day),
    onLeftovers: (paths) =>
      log.warn({ site: day.site, day: day.from, paths }, 'leftovers of a crash removed'),
  })
  if (found) await noteDay(lease.store, place, day, found, fresh)
  const dropped = await dropRepeats(lease.store, repeats)
  return { files: fresh, repeats: dropped }
}

/** Paths that are not for the cleaning after a crash: on record, or deleted by replaced.ts. */
export async function keptPaths(reader: Store, day: Day): Promise<Set<string>> {
  const removed = (await pendingRemovals(reader, day)).flatMap(({ files }) => files)
  return new Set([...(await notedFiles(reader, day)), ...removed.map(({ path }) => path)])
}

/** The rows of a day in the database. */
export const sourceOf = (reader: Store, day: Day): DaySource => ({
  facts: () => dayFacts(reader, day),
  read: (kind, wanted, consume) => readDay(reader, kind, day, wanted, consume),
})

/**
 * A file of an hour on record without its manifest: this is another archive, or part of it is lost. The hot store may have
 * less by now than was archived, so the hour is not written again.
 */
function assertHours(hours: readonly HourManifest[], noted: ReadonlySet<string>): void {
  const named = new Set(filesOfHours(hours).map(({ path }) => path))
  for (const path of noted) {
    if (named.has(path)) continue
    throw new DayFailure(
      `the archive lacks the manifest of an hour that was archived (${path}); mount the right folder or restore it from a copy`,
    )
  }
}
