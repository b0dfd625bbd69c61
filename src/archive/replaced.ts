import type { Day } from '../store/archive/days.ts'
import { type ArchivedFile, lastManifest } from '../store/archive/files.ts'
import { forgetRemovals, type PendingRemoval, pendingRemovals } from '../store/archive/removals.ts'
import { DayFailure } from './day-failure.ts'
import type { DueDayOptions } from './due-day.ts'
import { bringBack } from './expired-files.ts'
import { findHeld } from './held-day.ts'
import type { KnownHolds } from './hold.ts'
import { type Found, readManifest, readRecorded } from './manifest.ts'
import { toArchivedFiles } from './manifest-file.ts'
import type { Place } from './places/place.ts'
import { assertFileReadsBack } from './read-back.ts'

/*
 * The deletion of files that have left their day, by a manifest that is on record. What a crash leaves of it is on record
 * too, and the next round continues.
 *
 * - Of those whose rows are in others by now, what the manifest names was proved to have their rows before it was written
 *   (compact-day.ts). Before the first is deleted, all files of those kinds that the day has now are read back once more.
 * - Of those that left for their age, the holds are looked at once more: what is held by now comes back (expired-files.ts).
 */

export type Deleted = {
  /** Files that were waiting for it. */
  files: number
  /** Why the day was brought back instead; undefined when it was not. */
  held: string | undefined
}

/**
 * Deletes the files of a day that have left it, as far as they are still there.
 *
 * @param known holds that were read before
 * @throws DayFailure when what takes their place does not read back, a hold cannot be read, or one of them cannot be
 * deleted
 */
export async function deleteReplaced(
  day: Day,
  options: DueDayOptions,
  known?: KnownHolds,
): Promise<Deleted> {
  const { lease, place, log } = options
  const waiting = (await pendingRemovals(lease.reader, day)).flatMap((one) => one.files)
  const [first] = waiting
  if (!first) return { files: 0, held: undefined }
  const recorded = await lastManifest(lease.reader, day.site, day)
  if (!recorded) throw new DayFailure(`${first.path} was replaced, and by no manifest`)
  const newest = await readRecorded(place, recorded)
  const files = toArchivedFiles(newest.manifest.files)
  const aged = await findAged(place, day, newest, waiting)
  if (aged.length > 0) {
    const held = await findHeld(place, day, [...files, ...aged], known)
    if (held !== undefined) {
      await bringBack(day, newest, aged, options)
      log.warn({ site: day.site, day: day.from, held }, 'a day that is held by now is brought back')
      return { files: 0, held }
    }
  }
  await assertReplaced(files, aged, waiting, options)
  await remove(day, new Set(files.map(({ path }) => path)), waiting, options)
  return { files: waiting.length, held: undefined }
}

/** Of the files that wait, those that left the day for their age and are still there. */
async function findAged(
  place: Place,
  day: Day,
  newest: Found,
  waiting: readonly PendingRemoval[],
): Promise<ArchivedFile[]> {
  const paths = new Set(waiting.map(({ path }) => path))
  for (const { path } of newest.manifest.files) paths.delete(path)
  const aged: ArchivedFile[] = []
  for (const number of new Set(waiting.map((one) => one.number))) {
    const removed = (await readManifest(place, day, number))?.manifest.removed
    if (removed?.reason !== 'expired') continue
    for (const file of toArchivedFiles(removed.files)) {
      const isWaiting = paths.delete(file.path)
      if (isWaiting && (await place.stat(file.path))?.bytes === file.bytes) aged.push(file)
    }
  }
  return aged
}

/** Reads back what takes the place of replaced files. */
async function assertReplaced(
  files: readonly ArchivedFile[],
  aged: readonly ArchivedFile[],
  waiting: readonly PendingRemoval[],
  { place, signal }: DueDayOptions,
): Promise<void> {
  const leaving = new Set(aged.map(({ path }) => path))
  const kinds = new Set(
    waiting.flatMap(({ path }) => (leaving.has(path) ? [] : [path.split('/')[0]])),
  )
  for (const file of files) {
    signal.throwIfAborted()
    if (kinds.has(file.kind)) await assertFileReadsBack(place, file)
  }
}

async function remove(
  day: Day,
  named: ReadonlySet<string>,
  waiting: readonly PendingRemoval[],
  { lease, place, assertOurs }: DueDayOptions,
): Promise<void> {
  await assertOurs()
  for (const { path } of waiting) {
    if (named.has(path)) continue
    // Each by itself: an archiver that was stopped among them may find that its successor has brought the day back.
    await lease.protect(() =>
      place.remove(path).catch((error: Error) => {
        throw new DayFailure(`${path} has left its day and cannot be deleted: ${error.message}`)
      }),
    )
  }
  const paths = waiting.map(({ path }) => path)
  await lease.store.begin({ operation: 'forgetRemovals', table: 'archive_removal' }, (tx) =>
    forgetRemovals(tx, day, paths),
  )
}
