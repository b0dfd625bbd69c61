import { fromMicros, type Micros } from '../core/time.ts'
import { timeColumn } from '../store/archive/columns.ts'
import type { ArchivedFile } from '../store/archive/files.ts'
import { HourFailure } from './hour-failure.ts'
import { readParquet } from './parquet-read.ts'
import { readFingerprint } from './places/content.ts'
import type { Content, Place } from './places/place.ts'

/* Compares what is in the archive with what is claimed of it. */

const missing = ({ path }: ArchivedFile) =>
  new HourFailure(`${path} is missing, although a manifest names it; restore it from a copy`)

/** @throws HourFailure when the archive does not have the file with its size */
export async function assertThere(place: Place, file: ArchivedFile): Promise<void> {
  const { path, bytes } = file
  const found = await place.stat(path)
  if (!found) throw missing(file)
  if (found.bytes === bytes) return
  const what = `has ${found.bytes} bytes, not ${bytes}`
  throw new HourFailure(`${path} ${what}, although a manifest names it; restore it from a copy`)
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
 * @throws HourFailure naming the first difference
 */
export async function assertReadsBack(
  content: Content,
  file: ArchivedFile,
  deep = false,
): Promise<void> {
  const assertSame = (what: string, found: unknown, expected: unknown) => {
    if (found === expected) return
    throw new HourFailure(
      `${file.path} reads back differently: ${what} is ${found}, not ${expected}`,
    )
  }
  const { bytes, sha256 } = await readFingerprint(content)
  assertSame('its size', bytes, file.bytes)
  assertSame('its SHA-256', sha256, file.sha256)
  const found = await readParquet(content, timeColumn(file.kind), deep)
  assertSame('its row count', found.claimed, file.rows)
  assertSame('the count of its rows', found.rows, file.rows)
  assertSame('its first time', toTime(found.min), file.atMin)
  assertSame('its last time', toTime(found.max), file.atMax)
}

const toTime = (us: bigint | undefined): Micros | undefined =>
  us === undefined ? undefined : fromMicros(us)
