import { firstPage, type JobsQuery, jobsUrl, sortOrder } from '../../../views/jobs-query.ts'
import { cursorToWire } from '../../core/cursor-wire.ts'
import type { Job, JobFilter, JobPage } from '../../core/job.ts'
import { sortTime } from '../../core/job-filter.ts'
import { firstTime, flip, toFilter } from './query.ts'

type Neighbors = { older: string | undefined; newer: string | undefined }

/** Links to the pages next to this one: after its last row, and before its first. */
export function linkNeighbors(
  query: JobsQuery,
  list: JobPage | undefined,
  site: string | undefined,
): Neighbors {
  const none = { older: undefined, newer: undefined }
  if (list === undefined) return none
  const { filter, flipped } = toFilter(query, firstTime)
  const rows = flipped ? list.items.toReversed() : list.items
  const [first, last] = [rows[0], rows.at(-1)]
  if (first === undefined || last === undefined) return linkOn(query, list, site)
  const order = sortOrder(query.sort)
  const more = list.nextCursor !== null
  const hasNext = flipped || more
  const hasPrevious = flipped ? more : query.after !== undefined
  const link = (change: Partial<JobsQuery>) => jobsUrl({ ...firstPage(query), ...change }, site)
  const after =
    list.nextCursor !== null && !flipped
      ? cursorToWire(list.nextCursor, filter)
      : cursorAt(last, { time: filter.time, order })
  const before =
    list.nextCursor !== null && flipped
      ? cursorToWire(list.nextCursor, filter)
      : cursorAt(first, { time: filter.time, order: flip(order) })
  return {
    older: hasNext ? link({ after }) : undefined,
    newer: hasPrevious ? link({ before }) : undefined,
  }
}

/** A page of the archive may have no rows, and others follow. */
function linkOn(query: JobsQuery, { nextCursor }: JobPage, site: string | undefined): Neighbors {
  const { filter, flipped } = toFilter(query, firstTime)
  if (nextCursor === null) return { older: undefined, newer: undefined }
  const cursor = cursorToWire(nextCursor, filter)
  const href = jobsUrl({ ...firstPage(query), [flipped ? 'before' : 'after']: cursor }, site)
  return flipped ? { older: undefined, newer: href } : { older: href, newer: undefined }
}

const cursorAt = (job: Job, list: Pick<JobFilter, 'time' | 'order'>) =>
  cursorToWire({ at: sortTime(job, list.time) ?? job.startedAt, id: job.id }, list)
