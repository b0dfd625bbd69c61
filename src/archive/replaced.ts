import { forgetReplaced, replacedFiles } from '../store/archive/compaction.ts'
import type { Day } from '../store/archive/days.ts'
import { type ArchivedFile, lastManifest } from '../store/archive/files.ts'
import { DayFailure } from './day-failure.ts'
import type { DueDayOptions } from './due-day.ts'
import { bringBack, expiredFiles } from './expired-files.ts'
import { findHeld } from './held-day.ts'
import { type Found, readRecorded } from './manifest.ts'
import { toArchivedFiles } from './manifest-file.ts'
import type { Place } from './places/place.ts'

/**
 * Deletes the files of a day that have left it, as far as they are still there; or brings those back that left it for
 * their age and are held by now.
 *
 * @returns how many were deleted, and why the others were brought back
 * @throws DayFailure when one of them cannot be deleted, or a hold cannot be read
 */
export async function deleteReplaced(
  day: Day,
  options: DueDayOptions,
): Promise<{ deleted: number; held?: string }> {
  const { lease, place, assertOurs, log } = options
  const [waiting] = await replacedFiles(lease.reader, day)
  if (!waiting) return { deleted: 0 }
  const recorded = await lastManifest(lease.reader, day.site, day)
  if (!recorded) throw new DayFailure(`${waiting.paths[0]} was replaced, and by no manifest`)
  const newest = await readRecorded(place, recorded)
  const files = toArchivedFiles(newest.manifest.files)
  const named = new Set(files.map(({ path }) => path))
  const leaving = waiting.paths.filter((path) => !named.has(path))
  const aged = await stillThere(place, newest, leaving)
  const held = aged.length > 0 ? await findHeld(place, day, [...files, ...aged]) : undefined
  if (held !== undefined) {
    await bringBack(day, newest, aged, options)
    log.warn({ site: day.site, day: day.from, held }, 'a day is held by now, and was brought back')
    return { deleted: 0, held }
  }
  await assertOurs()
  for (const path of leaving) {
    await place.remove(path).catch((error: Error) => {
      throw new DayFailure(`${path} has left its day and cannot be deleted: ${error.message}`)
    })
  }
  await forgetReplaced(lease.store, day, waiting.paths)
  return { deleted: leaving.length }
}

/** Of the files to be deleted, those that left the day for their age and are still there. */
async function stillThere(
  place: Place,
  newest: Found,
  leaving: readonly string[],
): Promise<ArchivedFile[]> {
  const found: ArchivedFile[] = []
  for (const file of expiredFiles(newest)) {
    if (!leaving.includes(file.path)) continue
    if ((await place.stat(file.path))?.bytes === file.bytes) found.push(file)
  }
  return found
}
