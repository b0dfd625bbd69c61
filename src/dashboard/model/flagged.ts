import { count } from '../../../views/format.ts'
import type { Flag, JobsQuery } from '../../../views/jobs-query.ts'
import type { Notice } from '../../../views/page.ts'
import type { Cursor, Job, JobFilter, JobPage } from '../../core/job.ts'
import type { Micros } from '../../core/time.ts'
import type { Backend } from './backend.ts'
import { filterOf, pageSize } from './query.ts'

/** Running jobs looked through for flags, and how many are asked for at once. */
const mostLookedAt = 1500
const step = 300

/** The jobs of a list that have a flag, and how far it was looked. */
export type Flagged = { page: JobPage; notices: Notice[] }

/**
 * Stuck, lost and late are found out about a job when it is read, and no store can be asked for
 * them: the running jobs of the list are looked through, up to a bound that the page tells.
 */
export async function findFlagged(
  backend: Backend,
  query: JobsQuery,
  now: Micros,
  signal: AbortSignal,
): Promise<Flagged> {
  const { filter } = filterOf({ ...query, after: undefined, before: undefined }, now)
  const found: Job[] = []
  let looked = 0
  let cursor: Cursor | undefined
  for (;;) {
    const asked: JobFilter = { ...filter, status: ['running'], limit: step, cursor }
    const page = await backend.findJobs(asked, signal)
    looked += page.items.length
    found.push(...page.items.filter((job) => hasOne(job, query.flags)))
    const over = page.nextCursor !== null && looked >= mostLookedAt
    if (page.nextCursor === null || over || found.length > pageSize) {
      const notices = noticesOf({ looked, over, found: found.length })
      return { page: { ...page, items: found.slice(0, pageSize), nextCursor: null }, notices }
    }
    cursor = page.nextCursor
  }
}

const hasOne = (job: Job, flags: readonly Flag[]) => flags.some((flag) => job[flag])

type Looked = { looked: number; over: boolean; found: number }

function noticesOf({ looked, over, found }: Looked): Notice[] {
  if (found > pageSize) {
    const title = `The first ${count(pageSize, 'job')} are shown`
    return [{ kind: 'stale', title, detail: 'There are more. Narrow the list to see them.' }]
  }
  if (!over) return []
  const title = `${count(looked, 'running job')} were looked through`
  return [{ kind: 'stale', title, detail: 'There are more. Narrow the list, or turn its order.' }]
}
