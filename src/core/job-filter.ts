import { factNames, readFact, searchedFacts } from './facts.ts'
import {
  flaggedStatuses,
  isOpen,
  type Job,
  type JobFilter,
  type JobStatus,
  type TimeField,
} from './job.ts'

/**
 * The time of a list that names none, for the API, pages, exports and central alike: lists of ended
 * jobs go by the end, so that what fails now is in the newest window however long ago it began; all
 * others show what was active in the window.
 */
export const defaultTime = (status: readonly JobStatus[] | undefined): TimeField =>
  status === undefined || status.length === 0 || status.some(isOpen) ? 'active' : 'ended'

/**
 * The states that a list names, or that its flags leave: each has an index, and whoever asks for flags asks
 * for no others. Undefined: every state.
 */
export function toStatuses({ status, flags }: Pick<JobFilter, 'status' | 'flags'>) {
  if (flags === undefined) return status
  const some = flaggedStatuses(flags)
  return status === undefined ? some : some.filter((one) => status.includes(one))
}

/**
 * True when a job belongs to the list of this filter: the rules, said once and plainly. The store selects
 * by them in SQL (store/job-walks.ts), which tests hold against this.
 */
export function matchesFilter(job: Job, filter: JobFilter): boolean {
  const at = sortTime(job, filter.time)
  if (at === null) return false
  if (!isInWindow(job, at, filter) && !isExactly(job, filter.q)) return false
  return isOfThose(job, filter) && hasFacts(job, filter) && withinDuration(job, filter)
}

/** The time that a list is ordered by. */
export function sortTime(job: Job, time: TimeField) {
  if (time === 'ended') return job.endedAt
  return time === 'seen' ? job.lastEventAt : job.startedAt
}

function isInWindow(job: Job, at: string, { from, to, time }: JobFilter): boolean {
  if (to !== undefined && at >= to) return false
  if (from === undefined || at >= from) return true
  if (time !== 'active') return false
  const { endedAt } = job
  return endedAt === null || (endedAt >= from && (to === undefined || endedAt < to))
}

const isExactly = ({ id, jobKey }: Job, q: string | undefined) =>
  q !== undefined && (jobKey === q || id === q.toLowerCase())

function isOfThose(job: Job, filter: JobFilter): boolean {
  const { status, flags, appName, exactApp, appVersion, appId, site, businessKey, jobId } = filter
  const { minAttempts = 1, q } = filter
  if (status !== undefined && !status.includes(job.status)) return false
  if (flags && !(isOpen(job.status) && flags.some((flag) => job[flag]))) return false
  if (appName !== undefined && !contains(job.appName, appName)) return false
  if (exactApp !== undefined && job.appName !== exactApp) return false
  if (appVersion !== undefined && job.appVersion !== appVersion) return false
  if (appId !== undefined && job.appId !== appId) return false
  if (site !== undefined && job.siteId !== site) return false
  if (businessKey !== undefined && job.jobKey !== businessKey) return false
  if (jobId !== undefined && job.parentId !== jobId) return false
  if (job.attempt < minAttempts) return false
  return q === undefined || isExactly(job, q) || textsOf(job).some((text) => contains(text, q))
}

const hasFacts = ({ metadata }: Job, { facts = {} }: JobFilter) =>
  factNames.every((name) => facts[name] === undefined || readFact(metadata[name]) === facts[name])

const textsOf = ({ jobKey, subKey, appName, lastError, metadata }: Job): string[] => [
  ...[jobKey ?? '', subKey ?? '', appName, lastError ?? ''],
  ...searchedFacts.map((name) => readFact(metadata[name]) ?? ''),
]
const contains = (text: string, part: string) => text.toLowerCase().includes(part.toLowerCase())

function withinDuration({ durationS }: Job, { minDurationS, maxDurationS }: JobFilter): boolean {
  if (minDurationS === undefined && maxDurationS === undefined) return true
  if (durationS === null) return false
  return durationS >= (minDurationS ?? 0) && durationS <= (maxDurationS ?? Number.POSITIVE_INFINITY)
}
