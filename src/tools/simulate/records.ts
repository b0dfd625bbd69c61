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

/** Beginning of the recorded fab: fixed, so that a seed gives the same file on every day. */
const startMs = Date.UTC(2026, 0, 5, 6)

/**
 * The jobs of the fab up to a moment, as it would find them in its books then: what ended, what
 * still runs or is never heard of again, and lots that wait. Not in the order of time, and
 * subjobs come before their job, as in the books of real fabs.
 */
export function* recordJobs(
  { seed, jobsPerMinute }: Omit<PlanOptions, 'startMs'>,
  durationMs: number,
): Generator<SimulatedRecord> {
  const book = { trace: `fab-seed${seed}-rate${jobsPerMinute}`, endMs: durationMs }
  for (const job of planJobs({ seed, startMs, jobsPerMinute })) {
    // Later ones wait less and less likely: after so long nothing more is missed that matters.
    if (job.atMs > durationMs + lookAheadMs) return
    if (job.readyMs > durationMs) continue
    for (const part of job.parts) yield recordOfPart(job, part, book)
    yield recordOfJob(job, book)
  }
}

/** How far to look for lots that wait. */
const lookAheadMs = 60_000

type Book = { trace: string; endMs: number }

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

/** What the books say at their end: nothing of what is yet to come. */
function spanOf(
  { atMs, durationMs, outcome }: Pick<PlannedPart, 'atMs' | 'durationMs' | 'outcome'>,
  submitMs: number,
  { endMs }: Book,
): Pick<SimulatedRecord, 'submit_ts' | 'start_ts' | 'end_ts' | 'status'> {
  const begun = atMs <= endMs
  const ended = begun && atMs + durationMs <= endMs && outcome !== 'silent'
  const status = outcome === 'succeeded' ? 'completed' : outcome
  return {
    submit_ts: timeOf(submitMs),
    start_ts: begun ? timeOf(atMs) : null,
    end_ts: ended ? timeOf(atMs + durationMs) : null,
    status: ended ? (status as 'completed') : begun ? 'running' : 'waiting',
  }
}

const timeOf = (ms: number) => Math.round(startMs + ms)
