import type { Logger } from 'pino'
import type { Micros } from '../../core/time.ts'
import { sleep } from '../../platform/backoff.ts'
import { clock } from '../../platform/clock.ts'
import { isUnreachable } from '../database-error.ts'
import { readEdition } from '../edition.ts'
import { askAgainMs, type Lease, openLease } from '../lease.ts'
import { applyLicensed } from '../licensed.ts'
import { compressFrozen } from './compress.ts'
import { addEventCounts } from './count-events.ts'
import { makeHours } from './make-hours.ts'
import { refreshLevels } from './refresh-levels.ts'

export type RollupsOptions = {
  log: Logger
  signal: AbortSignal
  /** Between two rounds, in milliseconds; a minute. */
  everyMs?: number
}

/** Shown by health. */
export type RollupsState = {
  /** True on the replica that makes rollups. */
  here: boolean
  /** End of the last round that this replica did. */
  lastRunAt: Micros | null
  /** Why the last round failed. */
  failed: string | undefined
}

export type Rollups = { state(): RollupsState; done: Promise<void> }

/**
 * Makes the rollups once at start and then every minute, on the replica that holds their lease, and does what else the
 * Timescale licence lets it: compresses events that are frozen. The lease is one of its own: a history that is imported
 * keeps them busy for minutes, and the freeze horizon must not wait. They delete nothing by age, so they continue while
 * the time is in doubt.
 */
export function runRollups(url: string, options: RollupsOptions): Rollups {
  const { log, signal, everyMs = 60_000 } = options
  const state: RollupsState = { here: false, lastRunAt: null, failed: undefined }
  const lease = openLease(url, 'rollups', { role: 'rollups', timeoutS: 300 })
  let isPrepared = false

  async function round(): Promise<void> {
    state.here = (await lease.hold()) !== undefined
    if (!state.here) {
      state.failed = undefined
      isPrepared = false
      return
    }
    const { licence } = await lease.reader.run(op, readEdition)
    if (licence === 'tsl' && !isPrepared) await applyLicensed(lease.store)
    isPrepared = true
    await makeRollups(lease, signal)
    if (licence === 'tsl') await compressFrozen(lease.store, signal)
    state.failed = undefined
    state.lastRunAt = clock.now()
  }

  async function loop(): Promise<void> {
    while (!signal.aborted) {
      await round().catch((error: unknown) => {
        if (signal.aborted) return
        if (isUnreachable(error)) state.here = false
        else state.failed = error instanceof Error ? error.message : String(error)
        log.warn({ error }, 'rollups could not be made; will retry')
      })
      await sleep(state.here ? everyMs : Math.min(everyMs, askAgainMs), signal)
    }
    await lease.close()
  }

  return { state: () => ({ ...state }), done: loop() }
}

const op = { operation: 'rollups', table: 'none' }

/** Makes everything that is due. */
export async function makeRollups(lease: Lease, signal: AbortSignal): Promise<void> {
  while ((await makeHours(lease.store)) > 0) signal.throwIfAborted()
  while ((await addEventCounts(lease.store)) > 0) signal.throwIfAborted()
  await refreshLevels(lease, signal)
}
