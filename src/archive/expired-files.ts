import { ensure } from '../core/must.ts'
import { clock } from '../platform/clock.ts'
import type { ArchiveKind } from '../store/archive/columns.ts'
import { type Day, dayFacts } from '../store/archive/days.ts'
import type { ArchivedFile } from '../store/archive/files.ts'
import { chainEnd } from './chain.ts'
import type { DueDayOptions } from './due-day.ts'
import { filesOfHours, type HourManifest } from './hour-manifest.ts'
import {
  type Expiries,
  type Found,
  makeManifest,
  manifestNumbers,
  writeManifest,
} from './manifest.ts'
import { toArchivedFiles, toManifestFile } from './manifest-file.ts'
import { noteDay } from './note.ts'

/*
 * How files leave a day for their age, and how they come back. The order is what makes it safe:
 *
 *   a manifest that does not name them, and says who deletes them, when and why -> the records of the database, where
 *   they wait for their deletion -> one more look at the holds -> they are deleted (replaced.ts)
 *
 * - Whoever is killed: before the manifest nothing has happened; after it the manifest is taken up (chain.ts), and the
 *   next round of the archiver goes on with the deletion.
 * - A hold that was placed since the day was chosen brings it back, by a manifest that names its files again.
 */

export type Expiry = {
  day: Day
  /** The manifest of the day that counts until now, as the record has it. */
  previous: Found | undefined
  /** The manifests of its hours, while the day has none. */
  hours: readonly HourManifest[]
  kinds: ReadonlySet<ArchiveKind>
  by: string
  why: string
}

/**
 * Writes and notes the manifest by which all files of some kinds leave a day; they are still there then. The site's
 * chain has been caught up with.
 */
export async function writeExpiry(expiry: Expiry, options: DueDayOptions): Promise<Found> {
  const { previous, hours, kinds, by, why } = expiry
  const before = previous ? toArchivedFiles(previous.manifest.files) : filesOfHours(hours)
  const leaving = before.filter(({ kind }) => kinds.has(kind))
  ensure(leaving.length > 0, 'a day has the files that leave it')
  const late = previous?.manifest.late_events ?? 0
  return writeNext(
    {
      ...expiry,
      files: before.filter(({ kind }) => !kinds.has(kind)),
      fresh: [],
      lateEvents: kinds.has('event') ? 0 : late,
      toExpired: (number) => {
        const expired: Expiries = { ...previous?.manifest.expired }
        for (const kind of new Set(leaving.map((file) => file.kind))) {
          expired[kind] = {
            ...{ number, at: clock.now(), by, why, late_events: kind === 'event' ? late : 0 },
            files: leaving.filter((file) => file.kind === kind).map(toManifestFile),
          }
        }
        return expired
      },
    },
    options,
  )
}

/** Files that a manifest has deleted for their age, by what it says of each kind. */
export const expiredFiles = ({ manifest }: Found): ArchivedFile[] =>
  Object.values(manifest.expired ?? {}).flatMap(({ files }) => toArchivedFiles(files))

/** Names files of a day again that were to be deleted, and are all that is left of them. */
export async function bringBack(
  day: Day,
  newest: Found,
  back: readonly ArchivedFile[],
  options: DueDayOptions,
): Promise<void> {
  const { files, late_events, expired = {} } = newest.manifest
  const kinds = new Set<string>(back.map(({ kind }) => kind))
  const events = back.reduce((sum, { kind, rows }) => sum + (kind === 'event' ? rows : 0), 0)
  const late = kinds.has('event') ? Math.min(events, expired.event?.late_events ?? 0) : 0
  await writeNext(
    {
      ...{ day, previous: newest, fresh: back, lateEvents: late_events + late },
      files: [...toArchivedFiles(files), ...back],
      toExpired: () =>
        Object.fromEntries(Object.entries(expired).filter(([kind]) => !kinds.has(kind))),
    },
    options,
  )
}

type Next = {
  day: Day
  previous: Found | undefined
  files: readonly ArchivedFile[]
  /** Those that are not on record. */
  fresh: readonly ArchivedFile[]
  lateEvents: number
  toExpired: (number: number) => Expiries
}

/** The next manifest of a day: in the archive, and on record. */
async function writeNext(
  { day, previous, files, fresh, lateEvents, toExpired }: Next,
  { lease, place, assertOurs }: DueDayOptions,
): Promise<Found> {
  const { frozenBefore, eventsDropped } = await dayFacts(lease.reader, day)
  const end = await chainEnd({ lease }, day.site)
  const number = ((await manifestNumbers(place, day)).at(-1) ?? 0) + 1
  await assertOurs()
  const found = await lease.protect((held) =>
    writeManifest(
      place,
      day,
      makeManifest({
        ...{ day, number, end, lease: held, files, frozenBefore, lateEvents },
        archivedAt: clock.now(),
        eventsDropped: previous?.manifest.events_dropped ?? eventsDropped,
        expired: toExpired(number),
      }),
    ),
  )
  await noteDay(lease.store, place, day, found, fresh)
  return found
}
