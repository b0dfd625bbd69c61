import { sleep } from '../../platform/backoff.ts'
import { type Job, type SidecarEmitter, startJob } from '../../sdk/index.ts'
import type { PlannedJob, PlannedWafer } from './plan.ts'

export type PlayOptions = {
  emitter: SidecarEmitter
  siteId: string
  /** Stops the fab. What is under way is left as it is, as when a fab loses power. */
  signal: AbortSignal
}

/** Plays one planned job in real time, through the SDK like any program. */
export async function playJob(
  planned: PlannedJob,
  { emitter, siteId, signal }: PlayOptions,
): Promise<void> {
  const { app, lot, metadata, wafers, durationMs, atMs } = planned
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
  const until = (ms: number) => sleep(Math.max(0, from + ms - performance.now()), signal)
  if (wafers.length === 0) await until(atMs + durationMs / 2)
  if (wafers.length === 0 && !signal.aborted) job.tick({ progress: 0.5 })
  for (const [i, wafer] of wafers.entries()) {
    await until(wafer.atMs)
    if (signal.aborted) return
    await playWafer(job, wafer, until)
    if (signal.aborted || wafer.outcome === 'silent') return
    if (i % 5 === 4) job.tick({ progress: (i + 1) / wafers.length })
  }
  await until(atMs + durationMs)
  if (!signal.aborted) end(job, planned)
}

async function playWafer(job: Job, wafer: PlannedWafer, until: (ms: number) => Promise<void>) {
  const subjob = job.subjob({ id: wafer.id, subKey: wafer.key })
  await until(wafer.atMs + wafer.durationMs)
  if (wafer.outcome === 'silent') return
  for (const [name, value] of Object.entries(wafer.metrics)) subjob.metric(name, value)
  if (wafer.outcome === 'failed') subjob.fail('stopped with its lot')
  else if (wafer.outcome === 'canceled') subjob.cancel('lot canceled')
  else subjob.finish()
}

/** What this process used says nothing of the simulated one, so the plan's figures stand in. */
function end(job: Job, { outcome, error, cpuUserS, memMb }: PlannedJob): void {
  if (outcome === 'silent') return
  job.metric('cpu_user_s', Math.round(cpuUserS * 1000) / 1000)
  job.metric('mem_max_mb', Math.round(memMb * 10) / 10)
  if (outcome === 'failed') job.fail(error)
  else if (outcome === 'canceled') job.cancel('held by engineering')
  else job.finish()
}
