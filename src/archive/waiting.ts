import { type Micros, secondsBetween } from '../core/time.ts'
import { clock } from '../platform/clock.ts'
import type { Metrics } from '../platform/metrics.ts'
import type { DueDay } from '../store/archive/days.ts'

/** What waits to be archived, of closed days. */
export type Waiting = {
  /** Rows of `event_late`. */
  lateEvents: number
  /** Jobs and subjobs that the archive lacks as they are. */
  changedJobs: number
  /** Start of the oldest day that is not archived. */
  oldestDay: Micros | null
  /** Seconds since the end of that day; 0 when all are archived. */
  behindS: number
}

export const nothingWaits: Waiting = {
  ...{ lateEvents: 0, changedJobs: 0, oldestDay: null, behindS: 0 },
}

/** Sums up the days with something to archive, the oldest first, and shows it in the metrics. */
export function toWaiting(days: readonly DueDay[], metrics: Metrics): Waiting {
  const sum = (what: 'late' | 'changed') => days.reduce((n, day) => n + day[what], 0)
  const oldest = days.find(({ archived }) => !archived)
  const waiting: Waiting = {
    lateEvents: sum('late'),
    changedJobs: sum('changed'),
    oldestDay: oldest?.from ?? null,
    // Never negative, whatever the clock says.
    behindS: oldest ? Math.max(0, secondsBetween(oldest.to, clock.now())) : 0,
  }
  metrics.archiveBehind.set(waiting.behindS)
  metrics.archiveLateEvents.set(waiting.lateEvents)
  metrics.archiveChangedJobs.set(waiting.changedJobs)
  return waiting
}
