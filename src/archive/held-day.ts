import type { ArchiveKind } from '../store/archive/columns.ts'
import type { ArchivedFile } from '../store/archive/files.ts'
import { DayFailure } from './day-failure.ts'
import { describeHold, type Hold, type KnownHolds, mayHold, readHolds } from './hold.ts'
import type { DayKey } from './layout.ts'
import { readColumns } from './parquet-read.ts'
import type { Place } from './places/place.ts'

/*
 * Whether a day is held. A hold of a key holds each day of its range that has something of that key, in any file of
 * the day, and all of the day. So the files themselves are read: the database's record may be lost, and has no events.
 */

/** The columns of a key, by kind. */
const keyColumns: Record<ArchiveKind, readonly string[]> = {
  event: ['business_key', 'sub_key'],
  job: ['job_key', 'sub_key'],
  subjob: ['job_key', 'sub_key'],
}

/**
 * The reason why a day is held, by the holds as they are now; undefined when nothing holds it.
 *
 * @param files all that the day has
 * @param known holds that were read before
 * @throws DayFailure when a hold, or a file that may have a held key, cannot be read
 */
export async function findHeld(
  place: Place,
  day: DayKey,
  files: readonly ArchivedFile[],
  known?: KnownHolds,
): Promise<string | undefined> {
  const [hold] = await holdsOf(place, await readHolds(place, known), day, files)
  return hold && describeHold(hold)
}

/** The holds that hold a day. */
export async function holdsOf(
  place: Place,
  holds: readonly Hold[],
  day: DayKey,
  files: readonly ArchivedFile[],
): Promise<Hold[]> {
  const possible = holds.filter((hold) => mayHold(hold, day))
  const keys = new Set(possible.flatMap(({ key }) => (key === null ? [] : [key])))
  const found = keys.size === 0 ? keys : await keysIn(place, files, keys)
  return possible.filter(({ key }) => key === null || found.has(key))
}

/** Those of some keys that files have. */
async function keysIn(
  place: Place,
  files: readonly ArchivedFile[],
  keys: ReadonlySet<string>,
): Promise<Set<string>> {
  const found = new Set<string>()
  for (const { kind, path } of files) {
    if (found.size === keys.size) break
    const content = await place.read(path)
    if (!content) throw unknown(path, 'is missing, although a manifest names it')
    try {
      await readColumns(content, keyColumns[kind], (columns) => {
        for (const value of columns.flat()) {
          if (keys.has(value as string)) found.add(value as string)
        }
      })
    } catch (error) {
      throw unknown(path, `cannot be read (${(error as Error).message})`)
    }
  }
  return found
}

const unknown = (path: string, what: string) =>
  new DayFailure(`${path} ${what}, so it may have a key that is held; restore it from a copy`)
