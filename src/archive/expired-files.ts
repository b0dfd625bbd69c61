import { ensure } from '../core/must.ts'
import { clock } from '../platform/clock.ts'
import type { ArchiveKind } from '../store/archive/columns.ts'
import { type Day, dayFacts } from '../store/archive/days.ts'
import type { ArchivedFile } from '../store/archive/files.ts'
import { noteIntent } from '../store/archive/intent.ts'
import { chainEnd } from './chain.ts'
import { type DueDayOptions, keptPaths } from './due-day.ts'
import { filesOfHours, type HourManifest } from './hour-manifest.ts'
import { type Expiries, type Found, manifestNumbers } from './manifest.ts'
import { toArchivedFiles } from './manifest-file.ts'
import { noteDay } from './note.ts'
import { publish, type Said } from './publish.ts'

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
export async function writeExpiry(expiry: Expiry, options: DueDayOptions): Promise<void> {
  const { day, previous, hours, kinds } = expiry
  const before = previous ? toArchivedFiles(previous.manifest.files) : filesOfHours(hours)
  const leaving = before.filter(({ kind }) => kinds.has(kind))
  ensure(leaving.length > 0, 'a day has the files that leave it')
  const late = previous?.manifest.late_events ?? 0
  await publishNext({ day, previous, options }, (number) => ({
    files: before.filter(({ kind }) => !kinds.has(kind)),
    lateEvents: kinds.has('event') ? 0 : late,
    removed: { reason: 'expired', files: leaving },
    expired: { ...previous?.manifest.expired, ...toExpiries(expiry, { number, leaving, late }) },
  }))
}

function toExpiries(
  { by, why }: Expiry,
  { number, leaving, late }: { number: number; leaving: readonly ArchivedFile[]; late: number },
): Expiries {
  const expired: Expiries = {}
  for (const { kind, rows, bytes } of leaving) {
    expired[kind] ??= {
      ...{ number, at: clock.now(), by, why, files: 0, rows: 0, bytes: 0 },
      late_events: kind === 'event' ? late : 0,
    }
    expired[kind].files++
    expired[kind].rows += rows
    expired[kind].bytes += bytes
  }
  return expired
}

/** Names files of a day again that had left it for their age, and were to be deleted. */
export async function bringBack(
  day: Day,
  newest: Found,
  back: readonly ArchivedFile[],
  options: DueDayOptions,
): Promise<void> {
  const { files, late_events, expired = {} } = newest.manifest
  const kinds = new Set<string>(back.map(({ kind }) => kind))
  const events = back.reduce((sum, { kind, rows }) => sum + (kind === 'event' ? rows : 0), 0)
  const late = Math.min(events, expired.event?.late_events ?? 0)
  const still = Object.entries(expired).filter(([kind]) => !kinds.has(kind))
  await publishNext(
    { day, previous: newest, options },
    () => ({
      files: [...toArchivedFiles(files), ...back],
      lateEvents: late_events + late,
      expired: Object.fromEntries(still),
    }),
    back,
  )
}

type Next = { day: Day; previous: Found | undefined; options: DueDayOptions }

/** The next manifest of a day: in the archive, and on record. @param fresh files whose rows are not on record */
async function publishNext(
  { day, previous, options }: Next,
  toSaid: (
    number: number,
  ) => { files: readonly ArchivedFile[] } & Pick<Said, 'lateEvents' | 'removed' | 'expired'>,
  fresh: readonly ArchivedFile[] = [],
): Promise<void> {
  const { lease, place } = options
  const facts = await dayFacts(lease.reader, day)
  const number = ((await manifestNumbers(place, day)).at(-1) ?? 0) + 1
  const { files, ...said } = toSaid(number)
  const found = await publish(
    [],
    files,
    {
      ...said,
      frozenBefore: facts.frozenBefore,
      eventsDropped: previous?.manifest.events_dropped ?? facts.eventsDropped,
    },
    {
      ...options,
      ...{ day, number, protect: lease.protect, noted: await keptPaths(lease.reader, day) },
      intend: (n) => noteIntent(lease.store, day, n),
      end: await chainEnd(options, day.site),
    },
  )
  await noteDay(lease.store, place, day, found, fresh)
}
