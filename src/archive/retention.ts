import { AppError } from '../core/errors.ts'
import { type Micros, secondsBetween } from '../core/time.ts'
import { clock } from '../platform/clock.ts'
import type { ArchivedFile } from '../store/archive/files.ts'
import type { Store } from '../store/connect.ts'
import { dropEventsBefore, type Partition } from '../store/horizon.ts'
import {
  expiredPartitions,
  inUse,
  type NotedFile,
  notedEventFiles,
  unmatchedHour,
} from '../store/retention.ts'
import { HourFailure } from './hour-failure.ts'
import { readManifest, toArchivedFiles } from './manifest.ts'
import type { Place } from './places/place.ts'
import { assertFileReadsBack, assertThere } from './read-back.ts'

/*
 * The gate before the only place where raw events are dropped. A partition goes when its range and
 * all that it holds are past retention, and when every hour of it is in the archive: as many rows as
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
  /** End of the oldest partition that should have gone. */
  since: Micros
  /** An operator has to act: the archive does not have what it should. */
  wrong: boolean
}

/** Drops what may go. @returns why the rest waits; undefined when nothing has to wait */
export async function dropArchived(options: RetentionOptions): Promise<Held | undefined> {
  const { store, retentionHours, signal, assertOurs, onDropped } = options
  for (const partition of await expiredPartitions(store, retentionHours)) {
    signal.throwIfAborted()
    const held = await findHold(partition, options)
    if (held) return held
    await assertOurs()
    try {
      onDropped(await dropEventsBefore(store, partition.endsAt))
    } catch (error) {
      // When it is busy the next round will do; ingest never waits for a drop.
      if (!(error instanceof AppError && error.code === 'overloaded')) throw error
      return { why: 'the database is busy', since: partition.endsAt, wrong: false }
    }
  }
  return undefined
}

async function findHold(
  partition: Partition,
  options: RetentionOptions,
): Promise<Held | undefined> {
  const { store, retentionHours } = options
  const since = partition.endsAt
  const used = await inUse(store, partition, retentionHours)
  if (used !== undefined) return { why: used, since, wrong: false }
  const unmatched = await unmatchedHour(store, partition)
  if (unmatched) {
    const { site, hour, events, archived } = unmatched
    const why = `${site} ${hour}: the archive has ${archived} events, the database ${events}`
    return { why, since, wrong: true }
  }
  try {
    await assertArchived(partition, options)
    return undefined
  } catch (error) {
    if (error instanceof HourFailure) return { why: error.message, since, wrong: true }
    throw error
  }
}

/** Reads every file of the range again. @throws HourFailure naming the first that is not as noted */
async function assertArchived(partition: Partition, { store, place, signal }: RetentionOptions) {
  for (const file of await notedEventFiles(store, partition)) {
    signal.throwIfAborted()
    await assertNamed(place, file)
    await assertThere(place, file)
    await assertFileReadsBack(place, file)
  }
}

/** The facts that record, manifest and file must agree on. */
const noted = ['rows', 'bytes', 'sha256', 'atMin', 'atMax'] satisfies (keyof ArchivedFile)[]

async function assertNamed(place: Place, file: NotedFile): Promise<void> {
  const manifest = await readManifest(place, { site: file.site, from: file.hour })
  const named = manifest && toArchivedFiles(manifest).find(({ path }) => path === file.path)
  if (!named) throw new HourFailure(`${file.path} is in the database, but no manifest names it`)
  if (noted.every((key) => named[key] === file[key])) return
  throw new HourFailure(`the manifest of ${file.path} differs from the record in the database`)
}

/** Seconds by which retention is late. */
export const secondsLate = ({ since }: Held, retentionHours: number): number =>
  Math.max(0, secondsBetween(since, clock.now()) - retentionHours * 3600)
