import { type PlannedJob, type PlannedPart, type PlanOptions, planJobs } from './plan.ts'

/** A job or subjob as `wafermon replay` reads it. Times in ms since 1970. */
export type SimulatedRecord = {
  trace: string
  job_id: string
  parent_id: string | null
  name: string
  app: string
  user: string
  tool: string
  submit_ts: number
  start_ts: number | null
  end_ts: number | null
  status: 'completed' | 'failed' | 'canceled' | 'running' | 'waiting'
  cpu_s: number | null
  mem_bytes: number | null
  attrs: Record<string, unknown>
}

/**
 * The jobs of the fab up to a time, as its own records would show them: jobs that ended, that still
 * run or fell silent, and lots that wait. They are not ordered by time, and subjobs come before
 * their job, as in the records of real fabs.
 */
export function* recordJobs(
  { seed, jobsPerMinute, startMs }: PlanOptions,
  durationMs: number,
): Generator<SimulatedRecord> {
  const book = { trace: `fab-seed${seed}-rate${jobsPerMinute}`, startMs, endMs: durationMs }
  for (const job of planJobs({ seed, startMs, jobsPerMinute })) {
    // The later a job starts, the less likely its lot waits already: beyond this, few are missed.
    if (job.atMs > durationMs + lookAheadMs) return
    if (job.readyMs > durationMs) continue
    for (const part of job.parts) yield recordOfPart(job, part, book)
    yield recordOfJob(job, book)
  }
}

/** How far to look for lots that wait. */
const lookAheadMs = 60_000

/** Times in ms: the start since 1970, the end from there. */
type Book = { trace: string; startMs: number; endMs: number }

function recordOfJob(job: PlannedJob, book: Book): SimulatedRecord {
  const { id, lot, metadata, error, reason, cpuUserS, memMb } = job
  const { tool, ...attrs } = metadata
  const span = spanOf(job, job.readyMs, book)
  const ended = span.end_ts !== null
  return {
    ...headOf(job, book),
    ...{ job_id: id, parent_id: null, name: lot, ...span },
    cpu_s: ended ? Math.round(cpuUserS * 1000) / 1000 : null,
    mem_bytes: ended ? Math.round(memMb * 2 ** 20) : null,
    attrs: {
      ...attrs,
      ...(ended && error ? { error_type: error[0], error: error[1] } : {}),
      ...(ended && reason ? { reason } : {}),
    },
  }
}

function recordOfPart(job: PlannedJob, part: PlannedPart, book: Book): SimulatedRecord {
  const { id, key, metrics } = part
  const span = spanOf(part, job.atMs, book)
  return {
    ...headOf(job, book),
    ...{ job_id: id, parent_id: job.id, name: key, ...span },
    ...{ cpu_s: null, mem_bytes: null, attrs: span.end_ts === null ? {} : metrics },
  }
}

const headOf = ({ app, tool }: PlannedJob, { trace }: Book) => ({
  ...{ trace, app: app.name, user: 'fab', tool },
})

/** The records at their end, without anything that is later. */
function spanOf(
  { atMs, durationMs, outcome }: Pick<PlannedPart, 'atMs' | 'durationMs' | 'outcome'>,
  submitMs: number,
  { startMs, endMs }: Book,
): Pick<SimulatedRecord, 'submit_ts' | 'start_ts' | 'end_ts' | 'status'> {
  const begun = atMs <= endMs
  const ended = begun && atMs + durationMs <= endMs && outcome !== 'silent'
  const status = outcome === 'succeeded' ? 'completed' : outcome
  const timeOf = (ms: number) => Math.round(startMs + ms)
  return {
    submit_ts: timeOf(submitMs),
    start_ts: begun ? timeOf(atMs) : null,
    end_ts: ended ? timeOf(atMs + durationMs) : null,
    status: ended ? (status as 'completed') : begun ? 'running' : 'waiting',
  }
}
