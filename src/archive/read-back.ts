import { fromMicros, type Micros } from '../core/time.ts'
import { timeColumn } from '../store/archive/columns.ts'
import type { ArchivedFile } from '../store/archive/files.ts'
import { DayFailure } from './day-failure.ts'
import { readParquet } from './parquet-read.ts'
import { readFingerprint } from './places/content.ts'
import type { Content, Place } from './places/place.ts'

/* Compares what is in the archive with what is claimed of it. */

const missing = ({ path }: ArchivedFile) =>
  new DayFailure(`${path} is missing, although a manifest names it; restore it from a copy`)

/** @throws DayFailure when the archive does not have the file with its size */
export async function assertThere(place: Place, file: ArchivedFile): Promise<void> {
  const { path, bytes } = file
  const found = await place.stat(path)
  if (!found) throw missing(file)
  if (found.bytes === bytes) return
  const what = `has ${found.bytes} bytes, not ${bytes}`
  throw new DayFailure(`${path} ${what}, although a manifest names it; restore it from a copy`)
}

/** Reads a file of the archive and compares it, as {@link assertReadsBack}. */
export async function assertFileReadsBack(
  place: Place,
  file: ArchivedFile,
  deep = false,
): Promise<void> {
  const content = await place.read(file.path)
  if (!content) throw missing(file)
  await assertReadsBack(content, file, deep)
}

/**
 * Compares bytes with what is claimed of them. `deep` decodes every column.
 *
 * @throws DayFailure naming the first difference
 */
export async function assertReadsBack(
  content: Content,
  file: ArchivedFile,
  deep = false,
): Promise<void> {
  const assertSame = (what: string, found: unknown, expected: unknown) => {
    if (found === expected) return
    throw new DayFailure(
      `${file.path} reads back differently: ${what} is ${found}, not ${expected}`,
    )
  }
  const { bytes, sha256 } = await readFingerprint(content)
  assertSame('its size', bytes, file.bytes)
  assertSame('its SHA-256', sha256, file.sha256)
  const found = await readParquet(content, timeColumnOf(file), deep)
  assertSame('its row count', found.claimed, file.rows)
  assertSame('the count of its rows', found.rows, file.rows)
  assertSame('its first time', toTime(found.min, file), file.atMin)
  assertSame('its last time', toTime(found.max, file), file.atMax)
}

/** The time column of a file; in those of hours, which earlier versions wrote, that of events was called `at`. */
export const timeColumnOf = ({ kind, path }: ArchivedFile): string =>
  kind === 'event' && path.includes('/hour=') ? 'at' : timeColumn(kind)

/** A file of jobs without a time counts from the start of its day. */
function toTime(us: bigint | undefined, { kind, path }: ArchivedFile): Micros | undefined {
  if (us !== undefined) return fromMicros(us)
  const date = /\/dt=([0-9-]+)\//.exec(path)?.[1]
  return kind === 'event' ? undefined : `${date}T00:00:00.000000Z`
}
