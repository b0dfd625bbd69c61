import { sleep } from '../../platform/backoff.ts'
import { clock } from '../../platform/clock.ts'
import { printLine } from '../../platform/stdout.ts'
import { SidecarEmitter } from '../../sdk/index.ts'
import type { Sidecar } from '../sidecar.ts'
import { planJobs } from './plan.ts'
import { playJob } from './play.ts'

export type SimulateOptions = {
  sidecar: Sidecar
  siteId: string
  jobsPerMinute: number
  seed: number
  /** How long the fab runs, in seconds; unlimited unless set. */
  durationS?: number | undefined
  quiet: boolean
}

/** Runs the fab until the signal aborts or its time is over, then delivers what is queued. */
export async function runSimulate(options: SimulateOptions, signal: AbortSignal): Promise<void> {
  const { sidecar, siteId, jobsPerMinute, seed, durationS, quiet } = options
  const { url, token } = sidecar
  const emitter = new SidecarEmitter({ baseUrl: url, token })
  const over =
    durationS === undefined
      ? signal
      : AbortSignal.any([signal, AbortSignal.timeout(durationS * 1000)])
  const startMs = clock.nowMs()
  const from = performance.now()
  if (!quiet)
    await printLine(`fab ${siteId}, seed ${seed}, ${jobsPerMinute} jobs per minute, to ${url}`)
  for (const planned of planJobs({ seed, startMs, jobsPerMinute })) {
    await sleep(Math.max(0, from + planned.atMs - performance.now()), over)
    if (over.aborted) break
    void playJob(planned, { emitter, siteId, signal: over })
  }
  await emitter.close(3000)
  if (!quiet) await printLine(JSON.stringify(emitter.stats))
}
