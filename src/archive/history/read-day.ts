import { clock } from '../../platform/clock.ts'
import { jobFromRow } from '../../store/job-rows.ts'
import type { Place } from '../places/place.ts'
import { type ArchivedRow, toArchivedJob, toEventRow } from '../read/archived-rows.ts'
import { ArchiveReading } from '../read/reading.ts'
import { startOf } from './frontier.ts'
import { matchesEvent, mayMatchArchived } from './matches.ts'
import type { DayBatch, DayGap, DayQuestion } from './source.ts'

/**
 * The rows of a day that may be wanted. What the files can tell by their statistics is not decoded.
 *
 * @throws AppError unavailable when the place cannot be reached
 */
export async function* readDay(
  place: Place,
  question: DayQuestion,
  signal: AbortSignal,
): AsyncGenerator<DayBatch> {
  const missing: DayGap[] = []
  const onMissing = ({ from, to, why }: DayGap) => missing.push({ from, to, why })
  const reading = new ArchiveReading(place, toQuery(question), { signal, onMissing })
  const mayMatch = toTest(question)
  for await (const batch of reading.batches()) {
    const rows = batch.filter(mayMatch)
    if (rows.length > 0) yield { rows, missing: missing.splice(0), files: reading.files }
  }
  yield { rows: [], missing, files: reading.files }
}

function toQuery({ day, site, ...question }: DayQuestion) {
  const days = { days: [{ site, from: startOf(day) }] }
  if (question.kind === 'event') {
    const { kind, ids, filter } = question
    return { ...days, kind, ids, statuses: filter.status }
  }
  const { kind, ids, filter } = question
  return {
    ...{ ...days, kind, ids },
    apps: filter?.exactApp === undefined ? undefined : [filter.exactApp],
    statuses: filter?.status,
    parents: filter?.jobId === undefined ? undefined : [filter.jobId],
    // A subjob may have the key of its job.
    keys: kind === 'job' && filter?.businessKey !== undefined ? [filter.businessKey] : undefined,
  }
}

function toTest(question: DayQuestion): (row: ArchivedRow) => boolean {
  if (question.kind === 'event') {
    const { filter } = question
    return (row) => matchesEvent(toEventRow(row), filter)
  }
  const { kind, filter } = question
  if (filter === undefined) return () => true
  const now = clock.now()
  // What depends on the time and on usual durations is no part of what is asked of the archive.
  const toJob = (row: ArchivedRow) => jobFromRow(toArchivedJob(kind, row).row, noBaselines, now)
  return (row) => mayMatchArchived(toJob(row), filter)
}

const noBaselines = { of: () => undefined } as never
