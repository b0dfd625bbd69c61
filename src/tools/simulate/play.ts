import { sleep } from '../../platform/backoff.ts'
import { type Job, type SidecarEmitter, startJob } from '../../sdk/index.ts'
import type { ErrorText } from './fab.ts'
import type { PlannedJob, PlannedPart } from './plan.ts'

export type PlayOptions = {
  emitter: SidecarEmitter
  siteId: string
  /** Stops the fab. Running jobs are left as they are, as when a fab loses power. */
  signal: AbortSignal
}

type Until = (ms: number) => Promise<void>

/** A job without parts reports progress this often. */
const tickMs = 15_000

/** Plays one planned job in real time, through the SDK like any program. */
export async function playJob(
  planned: PlannedJob,
  { emitter, siteId, signal }: PlayOptions,
): Promise<void> {
  const { app, lot, metadata, parts, durationMs, atMs, outcome } = planned
  const job = startJob({
    id: planned.id,
    app: { name: app.name, version: app.version },
    siteId,
    businessKey: lot,
    metadata,
    parent: null,
    emitter,
  })
  const from = performance.now() - atMs
  const until: Until = (ms) => sleep(Math.max(0, from + ms - performance.now()), signal)
  if (parts.length === 0) await playTicks(job, planned, until, signal)
  for (const [i, part] of parts.entries()) {
    await until(part.atMs)
    if (signal.aborted) return
    await playPart(job, part, planned, until, signal)
    if (i % 5 === 4 && !signal.aborted) job.tick({ progress: (i + 1) / parts.length })
  }
  if (outcome === 'silent') return
  await until(atMs + durationMs)
  if (!signal.aborted) end(job, planned)
}

/** Half way, or at intervals; a job that falls silent does so after that. */
async function playTicks(
  job: Job,
  { atMs, durationMs }: PlannedJob,
  until: Until,
  signal: AbortSignal,
): Promise<void> {
  const step = Math.min(durationMs / 2, tickMs)
  for (let ms = step; ms < durationMs; ms += step) {
    await until(atMs + ms)
    if (signal.aborted) return
    job.tick({ progress: ms / durationMs })
  }
}

async function playPart(
  job: Job,
  part: PlannedPart,
  { error, reason }: PlannedJob,
  until: Until,
  signal: AbortSignal,
): Promise<void> {
  const subjob = job.subjob({ id: part.id, subKey: part.key })
  await until(part.atMs + part.durationMs)
  if (signal.aborted || part.outcome === 'silent') return
  for (const [name, value] of Object.entries(part.metrics)) subjob.metric(name, value)
  if (part.outcome === 'failed') subjob.fail(thrown(error))
  else if (part.outcome === 'canceled') subjob.cancel(reason)
  else subjob.finish()
}

/** The usage of this process is not that of the simulated one: the plan's figures replace it. */
function end(job: Job, { outcome, error, reason, cpuUserS, memMb }: PlannedJob): void {
  job.metric('cpu_user_s', Math.round(cpuUserS * 1000) / 1000)
  job.metric('mem_max_mb', Math.round(memMb * 10) / 10)
  if (outcome === 'failed') job.fail(thrown(error))
  else if (outcome === 'canceled') job.cancel(reason)
  else job.finish()
}

/** The error that a program would have thrown. */
const thrown = ([name, text]: ErrorText = ['Error', 'unknown']) =>
  Object.assign(new Error(text), { name })
