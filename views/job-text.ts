import { ExactNumber } from '../src/core/exact-number.ts'
import type { Job } from '../src/core/job.ts'
import { type Micros, secondsBetween } from '../src/core/time.ts'
import { cut, duration, isVisible, plain, running, when, whenZoned } from './format.ts'

type Named = Pick<Job, 'id' | 'jobKey' | 'subKey' | 'entityType'>

/**
 * The name of a job: its business key, of a subjob its sub key; the start of its id when that is
 * missing or cannot be seen, because the name is the link to the job.
 */
export function jobName({ id, jobKey, subKey, entityType }: Named, max: number): string {
  const key = (entityType === 'subjob' ? (subKey ?? jobKey) : jobKey) ?? ''
  return isVisible(key) ? cut(key, max) : id.slice(0, 13)
}

/** Seconds from start to end; of a running job, to now. */
export const elapsedS = (job: Job, now: Micros): number | null =>
  job.status === 'running' ? Math.max(0, secondsBetween(job.startedAt, now)) : job.durationS

/** The same as text; of a running job to the second, so that it only counts up. */
export const elapsedText = (job: Job, now: Micros): string =>
  job.status === 'running' ? running(elapsedS(job, now)) : duration(job.durationS)

/** False where a job was queued and no event tells its start: `startedAt` is then its first event. */
export const isStartKnown = ({ queuedAt, queueS }: Pick<Job, 'queuedAt' | 'queueS'>): boolean =>
  queuedAt === null || queueS !== null

/** True of a job that was queued again after its start, as a held lot. */
export const waitsAgain = ({ status, queueS }: Pick<Job, 'status' | 'queueS'>): boolean =>
  status === 'queued' && queueS !== null

/**
 * How long it has waited since it was last queued; empty at a site of an earlier version, which does not say. It is
 * the whole wait unless the program has said again meanwhile that it waits.
 */
const sinceQueued = ({ lastQueuedAt }: Job, now: Micros): string =>
  lastQueuedAt === null ? '' : running(Math.max(0, secondsBetween(lastQueuedAt, now)))

/**
 * How long it waited before its start, or has been waiting; empty when it was never queued. `again` where it waits
 * once more: the time before its start would be taken for that of this wait.
 */
export function queueText(job: Job, now: Micros): string {
  const { status, queuedAt, queueS } = job
  if (waitsAgain(job)) return `again ${sinceQueued(job, now)}`.trim()
  if (queueS !== null) return duration(queueS)
  if (status !== 'queued' || queuedAt === null) return ''
  return running(Math.max(0, secondsBetween(queuedAt, now)))
}

/** The same of a job that waits again, in words. */
export function waitsAgainText(job: Job, now: Micros): string {
  const since = sinceQueued(job, now)
  return since === '' ? 'again, after its start' : `again, ${since} since it was last queued`
}

/** `attempt 3`; empty for the first. */
export const attemptText = ({ attempt }: Job): string => (attempt > 1 ? `attempt ${attempt}` : '')

/** User and system time together; null when neither was reported. */
export const cpuSeconds = (job: Job): number | null =>
  job.cpuUserS === null && job.cpuSystemS === null
    ? null
    : (job.cpuUserS ?? 0) + (job.cpuSystemS ?? 0)

/** A word that the program put into metadata under an agreed name; empty when it did not. */
export function metadataText(job: Job, name: string): string {
  const value = job.metadata[name]
  const isWord =
    typeof value === 'string' || typeof value === 'number' || value instanceof ExactNumber
  return isWord ? cut(plain(value), 40) : ''
}

/** Tool and chamber. */
export const toolText = (job: Job): string =>
  [metadataText(job, 'tool'), metadataText(job, 'chamber')].filter((part) => part !== '').join(' ')

type Span = { from: Micros | null; to: Micros | undefined }

/** `13:42:00 to 14:42:00 CET`, with the days unless they are today. A window without a start reaches back to the first job. */
export function windowText({ from, to }: Span, now: Micros): string {
  if (to === undefined) return from === null ? '' : `from ${whenZoned(from, now)} on`
  if (from === null) return `up to ${whenZoned(to, now)}`
  return `${when(from, now)} to ${whenZoned(to, now)}`
}
