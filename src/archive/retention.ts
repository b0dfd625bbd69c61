import { AppError } from '../core/errors.ts'
import { type Micros, secondsBetween } from '../core/time.ts'
import { clock } from '../platform/clock.ts'
import { toDay } from '../store/archive/days.ts'
import type { ArchivedFile } from '../store/archive/files.ts'
import { lastManifest } from '../store/archive/files.ts'
import type { Store } from '../store/connect.ts'
import { dropEventsBefore } from '../store/horizon.ts'
import {
  expiredDays,
  inUse,
  notedEventFiles,
  type Range,
  unmatchedSite,
} from '../store/retention.ts'
import { DayFailure } from './day-failure.ts'
import { filesOfHours, readHours } from './hour-manifest.ts'
import { readRecorded } from './manifest.ts'
import { toArchivedFiles } from './manifest-file.ts'
import type { Place } from './places/place.ts'
import { assertFileReadsBack, assertThere } from './read-back.ts'

/*
 * The gate before the only place where raw events are dropped. A day goes when its range and
 * all that it holds are past retention, and when every site's part of it is in the archive: as many rows as
 * the hot store has, in files that their manifest names and that read back, just now, as they were
 * noted. Oldest first; one that has to wait holds up those after it.
 */

export type RetentionOptions = {
  store: Store
  place: Place
  retentionHours: number
  signal: AbortSignal
  /** Called before each drop. @throws when another archiver is at work */
  assertOurs: () => Promise<void>
  onDropped: (names: string[]) => void
}

/** The reason why retention waits. */
export type Held = {
  why: string
  /** End of the oldest day that should have gone. */
  since: Micros
  /** An operator has to act: the archive does not have what it should. */
  wrong: boolean
}

/** Drops what may go. @returns why the rest waits; undefined when nothing has to wait */
export async function dropArchived(options: RetentionOptions): Promise<Held | undefined> {
  const { store, retentionHours, signal, assertOurs, onDropped } = options
  for (const day of await expiredDays(store, retentionHours)) {
    signal.throwIfAborted()
    const held = await findHold(day, options)
    if (held) return held
    await assertOurs()
    try {
      onDropped(await dropEventsBefore(store, day.endsAt))
    } catch (error) {
      // When it is busy the next round will do; ingest never waits for a drop.
      if (!(error instanceof AppError && error.code === 'overloaded')) throw error
      return { why: 'the database is busy', since: day.endsAt, wrong: false }
    }
  }
  return undefined
}

async function findHold(day: Range, options: RetentionOptions): Promise<Held | undefined> {
  const { store, retentionHours } = options
  const since = day.endsAt
  const used = await inUse(store, day, retentionHours)
  if (used !== undefined) return { why: used, since, wrong: false }
  const unmatched = await unmatchedSite(store, day)
  if (unmatched) {
    const { site, events, archived } = unmatched
    const date = day.startsAt.slice(0, 10)
    const why = `${site} ${date}: the archive has ${archived} events, the database ${events}`
    return { why, since, wrong: true }
  }
  try {
    await assertArchived(day, options)
    return undefined
  } catch (error) {
    if (error instanceof DayFailure) return { why: error.message, since, wrong: true }
    throw error
  }
}

/** Reads every file of the day again. @throws DayFailure naming the first that is not as noted */
async function assertArchived(day: Range, { store, place, signal }: RetentionOptions) {
  const named = new Map<string, Map<string, ArchivedFile>>()
  for (const { site, ...file } of await notedEventFiles(store, day)) {
    signal.throwIfAborted()
    const ofSite = named.get(site) ?? (await readNamed(site, day, { store, place }))
    named.set(site, ofSite)
    assertNamed(ofSite, file)
    await assertThere(place, file)
    await assertFileReadsBack(place, file)
  }
}

/** The files that count of a site's day, by their paths: its manifest names them, or those of its hours. */
async function readNamed(
  site: string,
  { startsAt }: Range,
  { store, place }: Pick<RetentionOptions, 'store' | 'place'>,
): Promise<Map<string, ArchivedFile>> {
  const day = toDay(site, startsAt)
  const recorded = await lastManifest(store, site, day)
  const files = recorded
    ? toArchivedFiles((await readRecorded(place, recorded)).manifest.files)
    : filesOfHours(await readHours(place, day))
  return new Map(files.map((file) => [file.path, file]))
}

/** The facts that record, manifest and file must agree on. */
const noted = ['rows', 'bytes', 'sha256', 'atMin', 'atMax'] satisfies (keyof ArchivedFile)[]

function assertNamed(files: ReadonlyMap<string, ArchivedFile>, file: ArchivedFile): void {
  const named = files.get(file.path)
  if (!named) throw new DayFailure(`${file.path} is in the database, but no manifest names it`)
  if (noted.every((key) => named[key] === file[key])) return
  throw new DayFailure(`the manifest of ${file.path} differs from the record in the database`)
}

/** Seconds by which retention is late. */
export const secondsLate = ({ since }: Held, retentionHours: number): number =>
  Math.max(0, secondsBetween(since, clock.now()) - retentionHours * 3600)
