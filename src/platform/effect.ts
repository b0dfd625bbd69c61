import type { RecentCounts } from './recent-counts.ts'

/*
 * Health by effect: a role that answers, and whose database answers, may still get nothing done. So
 * health says what was done last, how long the oldest has waited, and which share went wrong.
 */

/** The outcomes of events. `late` are those filed below the freeze horizon, without replayed history. */
export type EventCounts = RecentCounts<'events' | 'late' | 'rejected' | 'failed'>

/** Fewer events than this in five minutes are no share of anything. */
const fewest = 20
/** The share from which on each outcome is a fault. A plant always has a few wrong programs. */
const faultShares = { failed: 0.05, rejected: 0.1, late: 0.5 }

const words = {
  failed: 'could not be stored; their senders have to send them again',
  rejected: 'were rejected',
  late: 'were older than the freeze horizon: is a clock wrong?',
}

/** The counts of the last five minutes for health, and the faults that they show. */
export function describeCounts(counts: EventCounts) {
  const events = counts.of('events')
  const faults: string[] = []
  const shown = { events, late: 0, rejected: 0, failed: 0 }
  for (const kind of ['failed', 'rejected', 'late'] as const) {
    const count = counts.of(kind)
    shown[kind] = count
    if (events >= fewest && count >= events * faultShares[kind]) {
      faults.push(`${count} of the last ${events} events ${words[kind]}`)
    }
  }
  return { shown, faults }
}

/** Nothing was done for this long although something waits: the role does not work, in seconds. */
export const stalledS = 10
