import { isOpen, type Job, type JobStatus } from '../../src/core/job.ts'

/** The words of a badge: the stored status, or a judgment on a job that has not ended. */
export type Shown = JobStatus | 'stuck' | 'lost' | 'late'

const classes: Record<Shown, string> = {
  queued: 'wait',
  running: 'run',
  succeeded: 'ok',
  failed: 'fail',
  canceled: 'can',
  unknown: 'unk',
  stuck: 'stuck',
  lost: 'lost',
  late: 'late',
}

/** The most telling word about a job: silent before slow, slow before late. */
export function shownStatus(job: Pick<Job, 'status' | 'stuck' | 'lost' | 'late'>): Shown {
  if (!isOpen(job.status)) return job.status
  if (job.lost) return 'lost'
  if (job.stuck) return 'stuck'
  return job.late ? 'late' : job.status
}

/** A status as shape and word, never by color alone. */
export function Status({ of }: { of: Shown }) {
  return <span class={`st ${classes[of]}`}>{of}</span>
}

/** The class of a bar or a wafer of this state; see wafermon.css. */
export const fillClass = (shown: Shown): string =>
  shown === 'late' || shown === 'lost' ? 'f-stuck' : `f-${classes[shown]}`

/** The class of a wafer on the map. */
export const waferClass = (shown: Shown): string =>
  shown === 'late' || shown === 'lost' ? 'stuck' : classes[shown]
