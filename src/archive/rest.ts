import type { Logger } from 'pino'
import { sleep } from '../platform/backoff.ts'
import { askAgainMs, type Lease } from '../store/lease.ts'

/** How often it is looked whether a command waits for the lease, in milliseconds. */
const lookMs = 1000

export type RestOptions = {
  lease: Pick<Lease, 'isWanted' | 'release'>
  /** `here`: the lease is held. */
  state: { here: boolean }
  log: Logger
  signal: AbortSignal
}

/** Sleeps between two rounds, and lets a command have the lease that waits for it. */
export async function rest(ms: number, { lease, state, log, signal }: RestOptions): Promise<void> {
  const endMs = performance.now() + ms
  for (let left = ms; left > 0 && !signal.aborted; left = endMs - performance.now()) {
    await sleep(Math.min(left, lookMs), signal)
    if (!state.here || !lease.isWanted()) continue
    log.info('the lease is released: a command waits for it')
    state.here = false
    // When that fails the connection is lost, and the lease with it.
    await lease.release().catch(() => {})
    return sleep(askAgainMs, signal)
  }
}
