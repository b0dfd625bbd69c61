import type { EndStatus, JobStatus } from '../../core/job.ts'
import { type Micros, secondsBetween } from '../../core/time.ts'
import { BadValue, type Metadata, type Observation, type Skipped } from './format.ts'

/** A job as accounting has it: one record that says when it waited, started and ended, and how. */
export type JobRecord = Pick<
  Observation,
  'job' | 'parent' | 'app' | 'version' | 'key' | 'attempt' | 'traceparent'
> & {
  queuedAt?: Micros | undefined
  startedAt?: Micros | undefined
  endedAt?: Micros | undefined
  status: JobStatus
  metrics?: Record<string, number> | undefined
  /** Why it waits. */
  ofWait?: Metadata | undefined
  ofStart?: Metadata | undefined
  ofEnd?: Metadata | undefined
}

/** The kind of the event that ends a job so. */
export const endKinds = {
  succeeded: 'finished',
  failed: 'error',
  canceled: 'canceled',
  unknown: 'finished',
} as const satisfies Record<EndStatus, string>

/** What a record reports, in the order of time. */
export function* observeRecord(record: JobRecord): Generator<Observation | Skipped> {
  const { queuedAt, startedAt, endedAt, status, metrics, ofWait, ofStart, ofEnd, ...who } = record
  const isOpen = status === 'queued' || status === 'running'
  if (isOpen && endedAt !== undefined) throw new BadValue(`has an end, but says ${status}`)
  if (!isOpen && endedAt === undefined) throw new BadValue(`says ${status}, but has no end`)
  if (status === 'running' && startedAt === undefined) {
    throw new BadValue('says running, but has no start')
  }
  if (queuedAt !== undefined) {
    const metadata = status === 'queued' ? { ...ofStart, ...ofWait } : ofWait
    yield { ...who, kind: 'queued', at: queuedAt, metadata }
  }
  if (startedAt !== undefined) yield { ...who, kind: 'started', at: startedAt, metadata: ofStart }
  if (endedAt !== undefined && status !== 'queued' && status !== 'running') {
    const duration =
      startedAt === undefined ? undefined : Math.max(0, secondsBetween(startedAt, endedAt))
    yield {
      ...who,
      kind: endKinds[status],
      at: endedAt,
      status,
      startedAt,
      metrics: duration === undefined ? metrics : { duration_s: duration, ...metrics },
      metadata: startedAt === undefined ? { ...ofStart, ...ofEnd } : ofEnd,
    }
  } else if (queuedAt === undefined && startedAt === undefined) yield { skipped: 'has no time yet' }
}
