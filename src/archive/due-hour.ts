import type { Logger } from 'pino'
import { type ArchivedFile, noteArchived, notedFiles } from '../store/archive/files.ts'
import { hourFacts, type SiteHour } from '../store/archive/hours.ts'
import { readHour } from '../store/archive/rows.ts'
import type { Lease } from '../store/lease.ts'
import { exportHour } from './hour.ts'
import { HourFailure } from './hour-failure.ts'
import { readManifest } from './manifest.ts'
import type { Place } from './places/place.ts'

/*
 * One hour of one site, if it is due: it ends at or below the freeze horizon, has rows, and has no
 * manifest. Below the horizon raw events are frozen, but jobs are not: a replay may still be
 * bringing those that ended then. So an hour waits until none of its jobs has changed for an hour;
 * one that holds raw events waits half a day at most, because retention waits for it.
 */

/** Seconds without a change after which the jobs of an hour count as settled. */
const settleS = 3600
/** Hours that raw events wait for their jobs to settle. */
export const overdueHours = 12

export type DueHourOptions = {
  lease: Lease
  place: Place
  log: Logger
  signal: AbortSignal
  /** Called before anything of the hour gets a name. @throws when another archiver is at work */
  assertOurs: () => Promise<void>
}

/** `files` are those that this call has archived; none when the hour was complete before. */
export type Outcome = { unsettled: true } | { unsettled: false; files: readonly ArchivedFile[] }

/**
 * Archives the hour and notes its files, or finishes what an earlier attempt began.
 *
 * @throws HourFailure when it cannot be archived as things are
 */
export async function archiveDueHour(hour: SiteHour, options: DueHourOptions): Promise<Outcome> {
  const { place, lease } = options
  const noted = await notedFiles(lease.reader, hour)
  const isDue = (await readManifest(place, hour)) === undefined
  if (isDue) {
    assertNotNoted(noted)
    if (!isSettled(hour)) return { unsettled: true }
  }
  const known = new Set(noted)
  const files = await runExport(hour, known, options)
  const fresh = files.filter(({ path }) => !known.has(path))
  if (fresh.length > 0) await noteArchived(lease.store, hour, fresh)
  return { unsettled: false, files: isDue ? files : [] }
}

function runExport(hour: SiteHour, noted: ReadonlySet<string>, options: DueHourOptions) {
  const { place, lease, signal, log, assertOurs } = options
  return exportHour({
    place,
    hour,
    events: hour.events,
    noted,
    signal,
    source: {
      facts: () => hourFacts(lease.reader, hour),
      read: (kind, consume) => readHour(lease.reader, kind, hour, consume),
    },
    assertOurs,
    protect: lease.protect,
    onLeftovers: (paths) =>
      log.warn({ site: hour.site, hour: hour.from, paths }, 'leftovers of a crash removed'),
  })
}

/**
 * An hour on record without its manifest: this is another archive, or part of it is lost. The hot
 * store may have less by now than was archived, so the hour is not written again.
 */
function assertNotNoted([path]: readonly string[]): void {
  if (path === undefined) return
  throw new HourFailure(
    `the archive lacks the manifest of an hour that was archived (${path}); mount the right folder or restore it from a copy`,
  )
}

const isSettled = ({ quietS, overdue, events }: SiteHour) =>
  quietS === null || quietS >= settleS || (overdue && events > 0)
