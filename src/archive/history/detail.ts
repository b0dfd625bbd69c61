import { listAttemptsShown } from '../../core/attempts.ts'
import { AppError } from '../../core/errors.ts'
import type {
  ArchiveGap,
  Completeness,
  JobDetail,
  SearchArchive,
  SubjobCounts,
} from '../../core/job.ts'
import { must } from '../../core/must.ts'
import {
  type ArchivedPlace,
  countArchivedSubjobs,
  findArchived,
} from '../../store/archive/archived-jobs.ts'
import { countSubjobs } from '../../store/store-reader.ts'
import { type History, mayAsk, toContext, toUnreachable, toWhyUnreachable } from './context.ts'
import { type HistoricJob, toJobs } from './rows.ts'
import { rangeOf } from './walk.ts'

/* One job: from the hot store, or the file of the day where it lies. */

/** @throws AppError unavailable when only the archive has the job, and cannot be read */
export async function findHistoricJob(
  history: History,
  id: string,
  archive: SearchArchive,
  signal: AbortSignal,
): Promise<JobDetail | undefined> {
  const found = await history.hot.getJob(id, signal, archive)
  if (!mayAsk(history, archive)) return found
  if (found) return withSubjobs(history, found, archive === true, signal)
  const historic = await readHistoricJob(history, id, signal)
  if (!historic) return undefined
  const { job, attempts } = historic
  const [subjobs, completeness] = await Promise.all([
    countSubjobs(history.store, id, signal),
    history.hot.readCompleteness(),
  ])
  const detail = { job, subjobs, attempts: listAttemptsShown(job, attempts) }
  const used = { archive: 'used' as const }
  return withSubjobs(
    history,
    { ...detail, completeness: { ...completeness, ...used } },
    true,
    signal,
  )
}

/** A job that only the archive has; undefined when there is none. @throws as {@link findHistoricJob} */
export async function readHistoricJob(
  history: History,
  id: string,
  signal: AbortSignal,
): Promise<HistoricJob | undefined> {
  const [place] = await findArchived(history.store, undefined, [id], signal)
  if (!place || !history.source) return undefined
  const found = await readPlace(history, place, signal).catch((error: unknown) => ({
    why: toWhyUnreachable(error, signal),
  }))
  if ('job' in found) return found
  throw new AppError(
    'unavailable',
    `${place.kind} ${id} is in the archive, and cannot be read: ${found.why}`,
  )
}

async function readPlace(
  history: History,
  place: ArchivedPlace,
  signal: AbortSignal,
): Promise<HistoricJob | { why: string }> {
  const { kind, day, site, id } = place
  const context = await toContext(history, signal)
  const source = must(history.source, 'the archive is asked where there is one')
  const missing: ArchiveGap[] = []
  await source.open(signal)
  const endsAt = performance.now() + history.bounds.lastMs
  for await (const batch of source.readDay({ kind, day, site, ids: [id] }, endsAt, signal)) {
    const [found] = await toJobs(context, kind, place, batch.rows)
    if (found) return found
    missing.push(...batch.missing)
  }
  return missing[0] ?? { why: `the archive lacks it on ${day}, where it was written` }
}

/** With the subjobs that only the archive has: counted, or named as not looked at. */
async function withSubjobs(
  history: History,
  detail: JobDetail,
  isAsked: boolean,
  signal: AbortSignal,
): Promise<JobDetail> {
  const { id } = detail.job
  const days = await countArchivedSubjobs(history.store, id, signal)
  const known = detail.completeness
  if (days.length === 0 || !known) return detail
  const spanned = spanOf(days.map(({ day }) => day))
  const count = days.reduce((sum, { n }) => sum + n, 0)
  if (!isAsked) {
    const why = `${count} of its subjobs are in the archive alone; add archive=true`
    return { ...detail, completeness: { ...known, archiveMissing: [{ ...spanned, why }] } }
  }
  const counted = { ...detail.subjobs }
  const missing: ArchiveGap[] = []
  const use = await addCounts(history, { id, days, counted, missing }, signal)
  return { ...detail, subjobs: counted, completeness: { ...known, ...use } }
}

type Counting = {
  id: string
  days: Awaited<ReturnType<typeof countArchivedSubjobs>>
  counted: SubjobCounts
  missing: ArchiveGap[]
}

/** Reads days up to the bounds of a page. */
async function addCounts(
  history: History,
  { id, days, counted, missing }: Counting,
  signal: AbortSignal,
): Promise<Partial<Completeness>> {
  const context = await toContext(history, signal)
  const source = must(history.source, 'the archive is asked where there is one')
  let startedAt = performance.now()
  const { bounds } = history
  let files = 0
  let read = 0
  const from = () => rangeOf(must(days[0], 'there are days').day).from
  try {
    await source.open(signal)
    startedAt = performance.now()
    for (const { day, site } of days) {
      const isLate = performance.now() - startedAt >= bounds.ms
      if (read > 0 && (files >= bounds.files || isLate)) break
      const filter = { time: 'active', order: 'asc', limit: 1, jobId: id } as const
      const question = { kind: 'subjob', day, site, filter } as const
      for await (const batch of source.readDay(question, startedAt + bounds.lastMs, signal)) {
        const jobs = await toJobs(context, 'subjob', { day, site }, batch.rows)
        for (const { job } of jobs) {
          if (job.parentId !== id) continue
          counted[job.status]++
          counted.total++
        }
        missing.push(...batch.missing)
        files = Math.max(files, batch.files)
      }
      read++
    }
  } catch (error) {
    const why = toWhyUnreachable(error, signal)
    const left = spanOf(days.slice(read).map(({ day }) => day))
    return toUnreachable([...missing, { ...left, why }])
  }
  const left = days.slice(read)
  if (left.length > 0) {
    const why = 'its subjobs of these days were not counted: too many files; list them'
    missing.push({ ...spanOf(left.map(({ day }) => day)), why })
  }
  return { archive: 'used', archiveSearchedFrom: from(), archiveMissing: missing }
}

/** From the first of some days, which are in order, to the end of the last. */
export function spanOf(days: readonly string[]) {
  const first = must(days[0], 'there is a day')
  return { from: rangeOf(first).from, to: rangeOf(days.at(-1) ?? first).to }
}
