import type { Job, JobFilter } from './job.ts'

/**
 * True when a job belongs to the list of this filter. The rules are those by which the store selects,
 * for jobs that arrive while the list is on a screen.
 */
export function matchesFilter(job: Job, filter: JobFilter): boolean {
  const at = sortTime(job, filter.time)
  if (at === null) return false
  if (filter.from !== undefined && at < filter.from) return false
  if (filter.to !== undefined && at >= filter.to) return false
  if (filter.status !== undefined && !filter.status.includes(job.status)) return false
  if (filter.appName !== undefined && !contains(job.appName, filter.appName)) return false
  const { q } = filter
  if (q !== undefined && !textsOf(job).some((text) => contains(text, q))) return false
  return withinDuration(job, filter)
}

/** The time that a list is ordered by. */
export function sortTime(job: Job, time: JobFilter['time']) {
  if (time === 'started') return job.startedAt
  return time === 'ended' ? job.endedAt : job.lastEventAt
}

const textsOf = (job: Job) => [job.jobKey ?? '', job.subKey ?? '', job.appName, job.lastError ?? '']
const contains = (text: string, part: string) => text.toLowerCase().includes(part.toLowerCase())

function withinDuration({ durationS }: Job, { minDurationS, maxDurationS }: JobFilter): boolean {
  if (minDurationS === undefined && maxDurationS === undefined) return true
  if (durationS === null) return false
  return durationS >= (minDurationS ?? 0) && durationS <= (maxDurationS ?? Number.POSITIVE_INFINITY)
}
