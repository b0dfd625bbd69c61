import type { Logger } from 'pino'
import type { Metrics } from '../platform/metrics.ts'
import { agedKinds, type KeepRule } from '../store/archive/aged.ts'
import {
  type FailingFile,
  readFailing,
  type SampleState,
  sampleState,
} from '../store/archive/checks.ts'
import { type DiskTrend, noteRoom, readTrends } from '../store/disk-room.ts'
import type { Lease } from '../store/lease.ts'
import type { Place } from './places/place.ts'
import { checkSample } from './sample.ts'

/*
 * What the archive needs besides its days: a sample is read, the room is measured. Once a round, after the days.
 */

export type Upkeep = {
  /** Files that did not read back when they were last read. */
  failing: { count: number; first: readonly FailingFile[] }
  sample: SampleState | undefined
  disks: readonly DiskTrend[]
  /** Days of which `wafermon archive expire` would delete something, unless it is held. */
  agedDays: number
}

export const nothingKept: Upkeep = {
  ...{ failing: { count: 0, first: [] }, sample: undefined, disks: [], agedDays: 0 },
}

export type UpkeepOptions = {
  lease: Lease
  place: Place
  keep: readonly KeepRule[]
  log: Logger
  metrics: Metrics
  signal: AbortSignal
}

/** @throws what concerns the archive or the database as a whole */
export async function keepUp(options: UpkeepOptions): Promise<Upkeep> {
  const { lease, place, keep, metrics } = options
  await checkSample(options)
  const room = await place.room?.()
  if (room) await noteRoom(lease.store, 'archive', room)
  const failing = await readFailing(lease.reader)
  const disks = await readTrends(lease.reader)
  metrics.archiveFailing.set(failing.count)
  showDisks(metrics, disks)
  const aged = await agedKinds(lease.reader, keep)
  return {
    ...{ failing, disks, sample: await sampleState(lease.reader) },
    agedDays: new Set(aged.map(({ site, from }) => `${site} ${from}`)).size,
  }
}

/** Of a disk whose days are not known there is no number. */
function showDisks(metrics: Metrics, disks: readonly DiskTrend[]): void {
  metrics.diskDaysLeft.reset()
  for (const { disk, free_bytes, days_left } of disks) {
    metrics.diskFree.set({ disk }, free_bytes)
    if (days_left !== null) metrics.diskDaysLeft.set({ disk }, days_left)
  }
}
