import { AppError } from '../core/errors.ts'
import { type Job, type JobReader, maxJobIds, sortByIds } from '../core/job.ts'
import { jobFromWire } from '../core/job-wire.ts'
import { ensure } from '../core/must.ts'
import { itemsFromWire } from '../core/wire-table.ts'
import { type ReadAnswer, readItems } from './parse-answer.ts'

/** Questions under way at the same time, of a site that answers for one job at a time. */
const abreast = 4
/** How long a site that refused is not asked for many jobs in one question, in milliseconds. */
const refusalMs = 60_000

type Options = {
  ask: <T>(
    path: string,
    read: ReadAnswer<T>,
    signal: AbortSignal,
    query: URLSearchParams,
  ) => Promise<T>
  getJob: JobReader['getJob']
  now?: () => number
}

/**
 * `getJobs` of a remote site: `GET /v1/jobs/by-id`, or `GET /v1/jobs/{id}` for each job while the site
 * is too old to know that path (it then takes `by-id` for an id and refuses it).
 */
export function remoteJobsById({
  ask,
  getJob,
  now = () => performance.now(),
}: Options): JobReader['getJobs'] {
  let refusedUntil = -Infinity
  return async (ids, signal) => {
    ensure(ids.length <= maxJobIds, `a question about jobs is for at most ${maxJobIds} ids`)
    if (ids.length === 0) return []
    if (now() >= refusedUntil) {
      try {
        const query = new URLSearchParams({ id: ids.join(',') })
        return sortByIds(await ask('/v1/jobs/by-id', readJobs, signal, query), ids)
      } catch (error) {
        if (!isTooLarge(error)) {
          if (!isRefusal(error)) throw error
          refusedUntil = now() + refusalMs
        }
      }
    }
    return sortByIds(await oneByOne(ids, (id) => getJob(id, signal)), ids)
  }
}

const readJobs = readItems(jobFromWire, (items, rest) => {
  itemsFromWire(rest, jobFromWire)
  return items
})

/** Together: one at a time they may pass. */
const isTooLarge = (error: unknown) => error instanceof AppError && error.code === 'too_large'

const isRefusal = (error: unknown) =>
  error instanceof AppError && error.code === 'invalid' && error.field === 'id'

async function oneByOne(
  ids: readonly string[],
  getJob: (id: string) => ReturnType<JobReader['getJob']>,
): Promise<Job[]> {
  const left = [...ids]
  const jobs: Job[] = []
  const worker = async () => {
    for (let id = left.pop(); id !== undefined; id = left.pop()) {
      const found = await getJob(id)
      if (found) jobs.push(found.job)
    }
  }
  await Promise.all(Array.from({ length: abreast }, worker))
  return jobs
}
