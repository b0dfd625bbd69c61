import type { Job, JobFilter } from '../../core/job.ts'
import type { Micros } from '../../core/time.ts'
import { findArchived } from '../../store/archive/archived-jobs.ts'
import type { ArchivedDay } from '../../store/archive/find-days.ts'
import type { JobKind } from '../../store/archive/jobs-sql.ts'
import { findLots } from '../../store/archive/lots.ts'
import type { Baselines } from '../../store/baselines.ts'
import type { Store } from '../../store/connect.ts'
import { jobFromRow } from '../../store/job-rows.ts'
import { type ArchivedJob, type ArchivedRow, toArchivedJob } from '../read/archived-rows.ts'
import { isAfterCursor, matchesArchived } from './matches.ts'

/* The jobs of archived rows, as the hot store would show them. */

/** What rows become jobs with. */
export type RowContext = {
  store: Store
  baselines: Baselines
  now: Micros
  bounds: Bounds
  signal: AbortSignal
}

/** What a page may cost. */
export type Bounds = {
  /** It reads about so many files at most. */
  files: number
  /** It begins no file after so many milliseconds. */
  ms: number
  /** A file that was begun is waited for until then, and then the archive counts as away. */
  lastMs: number
}

/** Less than the three seconds that a central API waits for a site. */
export const standardBounds: Bounds = { files: 200, ms: 2000, lastMs: 2500 }

/** A job, and what of it a list does not show. */
export type HistoricJob = { job: Job; attempts: ArchivedJob['attempts']; firstEventAt: Micros }

/**
 * The jobs of some rows of a day that only the archive has. The table says of each which version counts, and in which day: what
 * a file has besides is left out, as is what the hot store has.
 */
export async function toJobs(
  { store, baselines, now, signal }: RowContext,
  kind: JobKind,
  { day, site }: ArchivedDay,
  rows: readonly ArchivedRow[],
): Promise<HistoricJob[]> {
  const found = rows.map((given) => ({ given, ...toArchivedJob(kind, given) }))
  const ids = found.map(({ row: [id] }) => id)
  const places = new Map(
    (await findArchived(store, kind, ids, signal)).map((place) => [place.id, place]),
  )
  const live = found.filter(({ row: [id], version }) => {
    const place = places.get(id)
    return place?.day === day && place.site === site && place.version === version
  })
  const jobs = live.map(({ given, row, attempts }) => ({
    ...{ job: jobFromRow(row, baselines, now), attempts },
    firstEventAt: firstEventOf(given),
  }))
  return withLots(store, jobs, signal)
}

/** Files from before have no first event: then the first time that is known of the job. */
function firstEventOf({
  first_event_at,
  started_at,
  queued_at,
  last_event_at,
}: ArchivedRow): Micros {
  if (first_event_at != null) return String(first_event_at)
  const times = [started_at, queued_at, last_event_at].flatMap((time) => time ?? [])
  return times.map(String).reduce((a, b) => (b < a ? b : a))
}

/** A subjob without a business key has that of the job above it. */
async function withLots(store: Store, jobs: HistoricJob[], signal: AbortSignal) {
  const parentOf = ({ job }: HistoricJob) =>
    job.entityType === 'subjob' && job.jobKey === null ? (job.parentId ?? []) : []
  const lots = await findLots(store, [...new Set(jobs.flatMap(parentOf))], signal)
  return jobs.map((one) => {
    const key = one.job.jobKey ?? lots.get(one.job.parentId ?? '') ?? null
    return one.job.jobKey === key ? one : { ...one, job: { ...one.job, jobKey: key } }
  })
}

/** Those of a list, after the last row of the page before. */
export const ofList = (jobs: readonly HistoricJob[], filter: JobFilter): Job[] =>
  jobs.flatMap(({ job }) =>
    isAfterCursor(job, filter) && matchesArchived(job, filter) ? [job] : [],
  )
