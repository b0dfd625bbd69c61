import { clock } from '../platform/clock.ts'
import { archiveKinds } from '../store/archive/columns.ts'
import type { Day } from '../store/archive/days.ts'
import type { ArchivedFile } from '../store/archive/files.ts'
import type { Lease } from '../store/lease.ts'
import { DayFailure } from './day-failure.ts'
import { isOurFile, toPartition } from './layout.ts'
import { type Found, type Link, makeManifest, type NewManifest, writeManifest } from './manifest.ts'
import type { Part } from './parts.ts'
import type { Place } from './places/place.ts'

/* The step that makes staged files of a day count: their names, and then the manifest that names them. */

export type PublishOptions = {
  place: Place
  day: Day
  /** The end of the site's chain. */
  end: { seq: number; link: Link } | undefined
  /** The number of the next manifest of the day. */
  number: number
  /** Paths that the database has on record for the day: never removed. */
  noted: ReadonlySet<string>
  /** Called before anything of the day gets a name. @throws when another archiver is at work */
  assertOurs: () => Promise<void>
  /** Called before the manifest is written, with its number; see intent.ts. */
  intend: (number: number) => Promise<void>
  /** Runs the step that makes the day count; see Lease. @throws when another archiver is at work */
  protect: Lease['protect']
  /** Called with the leftovers of a crash that were removed. */
  onLeftovers?: (paths: string[]) => void
}

/** What the manifest says besides. */
export type Said = Pick<NewManifest, 'frozenBefore' | 'lateEvents' | 'eventsDropped' | 'removed'>

/**
 * Puts files of a day into the archive, and the manifest that names them and `kept`.
 *
 * @throws DayFailure when the place lacks one; AppError conflict when the day has another manifest of this number
 */
export async function publish(
  parts: readonly Part[],
  kept: readonly ArchivedFile[],
  said: Said,
  options: PublishOptions,
): Promise<Found> {
  const { place, day, number, end, assertOurs, intend, protect, onLeftovers } = options
  await assertOurs()
  const fresh = parts.map(({ file }) => file)
  const files = [...kept, ...fresh]
  const left = await findLeftovers(options, files)
  for (const { file, staged } of parts) await place.putOnce(file.path, staged)
  for (const file of fresh) await assertPut(place, file)
  await intend(number)
  const found = await protect((lease) => {
    const about = { day, number, end, lease, files, archivedAt: clock.now() }
    return writeManifest(place, day, makeManifest({ ...about, ...said }))
  })
  for (const path of left) await place.remove(path)
  if (left.length > 0) onLeftovers?.(left)
  return found
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
async function findLeftovers(
  { place, day, noted }: PublishOptions,
  files: readonly ArchivedFile[],
): Promise<string[]> {
  const named = new Set(files.map(({ path }) => path))
  const left: string[] = []
  for (const kind of archiveKinds) {
    for await (const path of place.list(`${kind}/${toPartition(day)}`)) {
      if (isOurFile(path) && !named.has(path) && !noted.has(path)) left.push(path)
    }
  }
  return left
}
