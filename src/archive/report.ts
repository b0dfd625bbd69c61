import { stalledS } from '../platform/effect.ts'
import type { Store } from '../store/connect.ts'
import { longestLockWait } from '../store/lock-wait.ts'
import type { ArchiverState } from './archiver-state.ts'
import type { Place } from './places/place.ts'

/** Maximum failed days that are named. */
const maxNamed = 10
/** A step (a day, or retention) that takes longer is a fault, in minutes: a day takes seconds. */
const longestStepMin = 30

/**
 * The health of an archiver. Ready while the archive and the database are available, the last round was
 * finished, and none waits for a lock. Days that fail by themselves, a step that does not end, and an
 * archive that does not match what is to be dropped, only make it degraded; another archiver at work
 * is not a problem.
 */
export async function describeArchiver(state: ArchiverState, probe: Store, place: Place) {
  const trouble = (await findTrouble(probe, place)) ?? state.trouble
  const faults = stepFaults(state)
  const isDegraded = state.failed.length > 0 || state.held?.wrong || faults.length > 0
  return {
    ready: trouble === undefined,
    status: isDegraded ? ('degraded' as const) : ('ok' as const),
    archive_dir: place.address,
    here: state.here,
    days_archived: state.days,
    unsettled_days: state.unsettled,
    failed_days: state.failed.length,
    failures: state.failed.slice(0, maxNamed),
    oldest_waiting_s: Math.round(state.waiting.behindS),
    oldest_waiting_day: state.waiting.oldestDay?.slice(0, 10) ?? null,
    late_events_waiting: state.waiting.lateEvents,
    changed_jobs_waiting: state.waiting.changedJobs,
    ...(state.held ? { retention_waits: state.held.why } : {}),
    last_run_at: state.lastRunAt,
    ...(faults.length > 0 ? { faults } : {}),
    ...(trouble === undefined ? {} : { trouble }),
  }
}

/** @param now on the clock of `performance`, in milliseconds */
export function stepFaults({ step }: ArchiverState, now = performance.now()): string[] {
  const minutes = step ? (now - step.sinceMs) / 60_000 : 0
  if (!step || minutes < longestStepMin) return []
  return [`${step.name} has not ended for ${Math.floor(minutes)} min: is a disk stuck?`]
}

/** Looks by itself: the next round may be an hour away. */
async function findTrouble(probe: Store, place: Place): Promise<string | undefined> {
  try {
    await place.check('write')
    const waitedS = await longestLockWait(probe, 'archiver', AbortSignal.timeout(3000))
    if (waitedS < stalledS) return undefined
    return `the archiver has waited for a lock in the database for ${Math.floor(waitedS)} s; see pg_locks for who holds it`
  } catch (error) {
    return (error as Error).message
  }
}
