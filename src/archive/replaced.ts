import type { Day } from '../store/archive/days.ts'
import { lastManifest } from '../store/archive/files.ts'
import { forgetRemovals, pendingRemovals } from '../store/archive/removals.ts'
import { DayFailure } from './day-failure.ts'
import type { DueDayOptions } from './due-day.ts'
import { readRecorded } from './manifest.ts'
import { toArchivedFiles } from './manifest-file.ts'
import { assertFileReadsBack } from './read-back.ts'

/*
 * The deletion of files whose rows are in others by now. A manifest on record has replaced them, and what it names was
 * proved to have their rows before it was written (compact-day.ts). Before the first is deleted, all files of those kinds
 * that the day has now are read back once more. What a crash leaves of it is on record, and the next round continues.
 */

/**
 * Deletes the replaced files of a day, as far as they are still there.
 *
 * @returns how many were waiting for it
 * @throws DayFailure when what takes their place does not read back, or one of them cannot be deleted
 */
export async function deleteReplaced(
  day: Day,
  { lease, place, assertOurs, signal }: DueDayOptions,
): Promise<number> {
  const waiting = (await pendingRemovals(lease.reader, day)).flatMap((one) => one.files)
  const [first] = waiting
  if (!first) return 0
  const recorded = await lastManifest(lease.reader, day.site, day)
  if (!recorded) throw new DayFailure(`${first.path} was replaced, and by no manifest`)
  const files = toArchivedFiles((await readRecorded(place, recorded)).manifest.files)
  const kinds = new Set(waiting.map(({ path }) => path.split('/')[0]))
  for (const file of files) {
    signal.throwIfAborted()
    if (kinds.has(file.kind)) await assertFileReadsBack(place, file)
  }
  await assertOurs()
  const named = new Set(files.map(({ path }) => path))
  for (const { path } of waiting) {
    if (named.has(path)) continue
    await place.remove(path).catch((error: Error) => {
      const message = `${path} was replaced and cannot be deleted: ${error.message}`
      throw new DayFailure(message)
    })
  }
  const paths = waiting.map(({ path }) => path)
  await lease.store.begin({ operation: 'forgetRemovals', table: 'archive_removal' }, (tx) =>
    forgetRemovals(tx, day, paths),
  )
  return waiting.length
}
