import type { EventFilter, Job, JobFilter, JobStatus, StoredEvent } from '../../core/job.ts'
import { impliedStatus } from '../../core/job.ts'
import { matchesFilter, sortTime } from '../../core/job-filter.ts'
import type { Kind } from '../../core/kinds.ts'
import { comparePositions } from '../../core/merge-parts.ts'
import type { EventRow } from '../../store/events.ts'

/* Which rows of the archive belong to a list: by the rules of core/job-filter.ts, as in the hot store. */

/**
 * True when a job of the archive belongs to a list. One that never ended is active until its last event: nothing is known of it
 * after that.
 */
export function matchesArchived(job: Job, filter: JobFilter): boolean {
  if (!matchesFilter(job, filter)) return false
  const { from, time, q } = filter
  const isOpen = time === 'active' && job.endedAt === null && from !== undefined
  if (!isOpen || job.startedAt >= from || job.lastEventAt >= from) return true
  return q !== undefined && (job.jobKey === q || job.id === q.toLowerCase())
}

/** False only for a job that does not belong to a list. That of a subjob without a business key may do by that of its job. */
export function mayMatchArchived(job: Job, filter: JobFilter): boolean {
  if (!isAfterCursor(job, filter)) return false
  const isLotKnown = job.entityType === 'job' || job.jobKey !== null
  if (isLotKnown) return matchesArchived(job, filter)
  const { q, businessKey, ...others } = filter
  const isAnywhere = q !== undefined
  return matchesFilter(job, isAnywhere ? { ...others, from: undefined, to: undefined } : others)
}

/** True for a row that comes after the last one of the page before. */
export function isAfterCursor(job: Job, { cursor, time, order }: JobFilter): boolean {
  if (cursor === undefined) return true
  const at = sortTime(job, time)
  return at !== null && comparePositions(order)({ at, id: job.id }, cursor) > 0
}

/** True when an event of the archive belongs to a list, and comes after its last page. */
export function matchesEvent(
  event: EventRow,
  { kinds, status, after, order }: EventFilter,
): boolean {
  if (kinds && !kinds.includes(event.kind as Kind)) return false
  const said = (event.status ?? impliedStatus(event.kind as Kind)) as JobStatus
  if (status && !status.includes(said)) return false
  if (after === undefined) return true
  const place = { at: event.at, id: event.idempotencyKey }
  return comparePositions(order)(place, { at: after.at, id: after.key }) > 0
}

/** The identity of an event that is shown. */
export const placeOfEvent = (event: StoredEvent): { at: string; id: string } => ({
  at: (event.event as { at: string }).at,
  id: event.idempotency_key as string,
})
