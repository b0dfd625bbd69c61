import { count } from '../../../views/format.ts'
import { type Flag, firstPage, type JobsQuery } from '../../../views/jobs-query.ts'
import type { Notice } from '../../../views/page.ts'
import type { Cursor, Job, JobFilter, JobPage } from '../../core/job.ts'
import type { Micros } from '../../core/time.ts'
import type { Backend } from './backend.ts'
import { pageSize, toFilter } from './query.ts'

/** Maximum running jobs checked for flags, and how many one question asks for. */
const mostChecked = 1500
const step = 300

/** The rows of a page, and what the reader has to know about them. */
export type Rows = { page: JobPage; notices: Notice[] }

/** The rows of a page as they are now. */
export async function loadRows(
  backend: Backend,
  query: JobsQuery,
  now: Micros,
  signal: AbortSignal,
): Promise<Rows> {
  if (query.flags.length > 0) return findFlagged(backend, query, now, signal)
  return { page: await backend.findJobs(toFilter(query, now).filter, signal), notices: [] }
}

/**
 * Stuck, lost and late are judged when a job is read, so no store can be asked for them: the running
 * jobs of the list are checked one by one, up to a limit that the page states.
 */
async function findFlagged(
  backend: Backend,
  query: JobsQuery,
  now: Micros,
  signal: AbortSignal,
): Promise<Rows> {
  const { filter } = toFilter(firstPage(query), now)
  const found: Job[] = []
  let checked = 0
  let cursor: Cursor | undefined
  for (;;) {
    const asked: JobFilter = { ...filter, status: ['running'], limit: step, cursor }
    const page = await backend.findJobs(asked, signal)
    checked += page.items.length
    found.push(...page.items.filter((job) => hasOne(job, query.flags)))
    const over = page.nextCursor !== null && checked >= mostChecked
    if (page.nextCursor === null || over || found.length > pageSize) {
      const notices = limitNotices({ checked, over, found: found.length })
      return { page: { ...page, items: found.slice(0, pageSize), nextCursor: null }, notices }
    }
    cursor = page.nextCursor
  }
}

const hasOne = (job: Job, flags: readonly Flag[]) => flags.some((flag) => job[flag])

type Checked = { checked: number; over: boolean; found: number }

function limitNotices({ checked, over, found }: Checked): Notice[] {
  if (found > pageSize) {
    const title = `Only the first ${count(pageSize, 'job')} are shown`
    return [{ kind: 'stale', title, detail: 'There are more. Narrow the filters to see them.' }]
  }
  if (!over) return []
  const title = `Only ${count(checked, 'running job')} were checked`
  return [
    { kind: 'stale', title, detail: 'There are more. Narrow the filters, or reverse the order.' },
  ]
}
