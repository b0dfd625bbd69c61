import type { ArchiveGap, Completeness, JobFilter, JobPage, Position } from '../../core/job.ts'
import { mergeParts, type Part } from '../../core/merge-parts.ts'
import { countArchivedSubjobs, findArchived } from '../../store/archive/archived-jobs.ts'
import type { JobKind } from '../../store/archive/jobs-sql.ts'
import { type History, toContext, toUnreachable, toWhyUnreachable } from './context.ts'
import { type ListedJob, sizeOfListed, toListedJob } from './pending.ts'
import { leftOf, searchedFrom, Walk } from './walk.ts'

/** A page of a list: of the hot store, and of the archive where that is asked for. */
export async function findPage(
  history: History,
  kind: JobKind,
  filter: JobFilter,
  signal: AbortSignal,
): Promise<JobPage> {
  const { hot, source, now } = history
  const find = kind === 'job' ? hot.findJobs : hot.findSubjobs
  const page = await find(filter, signal)
  if (!source || !(await isWanted(history, filter, page.completeness, signal))) return page
  const walk = new Walk(await toContext(history, signal), source, { kind, filter })
  try {
    const part = await walk.read(page.nextCursor)
    const use = toUse(filter, part.missing, part.end)
    return mergePage({ ...page, completeness: { ...page.completeness, ...use } }, part, filter)
  } catch (error) {
    const gap = { ...leftOf(filter, walk.reached, now()), why: toWhyUnreachable(error, signal) }
    return { ...page, completeness: { ...page.completeness, ...toUnreachable([gap]) } }
  }
}

/** The rows of both; what the hot store has counts. */
function mergePage(
  page: JobPage,
  { rows: archived, end }: Part<ListedJob>,
  filter: JobFilter,
): JobPage {
  const { order, limit } = filter
  const known = new Set(page.items.map(({ id }) => id))
  const hot = { rows: page.items.map((job) => toListedJob(job, filter)), end: page.nextCursor }
  const others = { rows: archived.filter(({ id }) => !known.has(id)), end }
  const merged = mergeParts([hot, others], { order, limit, sizeOf: sizeOfListed })
  return {
    ...page,
    items: merged.rows.map(({ job }) => job),
    nextCursor: merged.end && { at: merged.end.at, id: merged.end.id },
  }
}

/** Lists of what happens now are of the hot store alone. */
async function isWanted(
  { store }: History,
  { archive, flags, parent, from, jobId }: JobFilter,
  { hotFrom }: Completeness,
  signal: AbortSignal,
): Promise<boolean> {
  if (archive === false || flags !== undefined || parent !== undefined) return false
  if (archive === true) return true
  if (from !== undefined) return hotFrom !== null && from < hotFrom
  // The subjobs of a job that only the archive has, and those that it lost while it runs for longer than jobs are kept.
  if (jobId === undefined) return false
  if ((await findArchived(store, undefined, [jobId], signal)).length > 0) return true
  return (await countArchivedSubjobs(store, jobId, signal)).length > 0
}

const toUse = (filter: JobFilter, archiveMissing: ArchiveGap[], end: Position | null) =>
  ({ archive: 'used', archiveSearchedFrom: searchedFrom(filter, end), archiveMissing }) as const
