import { hostname } from 'node:os'
import type { Logger } from 'pino'
import type { Accept } from '../core/admission.ts'
import type { Report } from '../core/delivery.ts'
import type { Heartbeat, SinkReport } from '../core/heartbeat.ts'
import { heartbeatS } from '../core/source-state.ts'
import { fromMs } from '../core/time.ts'
import { sleep } from '../platform/backoff.ts'
import { clock } from '../platform/clock.ts'
import { stalledS } from '../platform/effect.ts'
import type { Metrics } from '../platform/metrics.ts'
import { version } from '../platform/version.ts'
import type { Drain } from './drain.ts'
import type { Spool } from './spool.ts'

/** A sink that takes heartbeats. */
export type Receiver = { name: string; report: Report }

export type HeartbeatsOptions = {
  spool: Spool
  /** Of every sink, whether it takes heartbeats or not. */
  drains: readonly Drain[]
  receivers: readonly Receiver[]
  /** The cap of the spool. */
  maxBytes: number
  log: Logger
  metrics: Metrics
  /** Between two heartbeats; how soon a receiver that knows none is asked again; for tests. */
  everyMs?: number
  againMs?: number
}

/** An older local API does not know heartbeats, and may be updated meanwhile. */
const againMs = 600_000
/** A stop does not wait longer for the goodbye, in milliseconds. */
const goodbyeMs = 2000

/**
 * Tells every sink that listens how the spool is: every ten seconds, whatever becomes of events meanwhile, and once more
 * at a clean stop. Each receiver on its own, so that one that hangs keeps no other waiting.
 */
export class Heartbeats {
  readonly #options: HeartbeatsOptions
  #siteId: string | undefined

  constructor(options: HeartbeatsOptions) {
    this.#options = options
  }

  /** Accepts as `accept` does, and remembers whose events these are. */
  noteSites(accept: Accept): Accept {
    return (items) => {
      this.#siteId = items.at(-1)?.event.site_id ?? this.#siteId
      return accept(items)
    }
  }

  /** Runs until the signal aborts. */
  async run(signal: AbortSignal): Promise<void> {
    await Promise.all(this.#options.receivers.map((one) => this.#keepTelling(one, signal)))
  }

  /** The last word of a clean stop, once nothing is delivered any more and before the spool closes. */
  async sayGoodbye(): Promise<void> {
    const signal = AbortSignal.timeout(goodbyeMs)
    await Promise.all(
      this.#options.receivers.map((one) => this.#tell(one, this.describe(true), signal)),
    )
  }

  async #keepTelling(receiver: Receiver, signal: AbortSignal): Promise<void> {
    const { everyMs = heartbeatS * 1000, log } = this.#options
    const waitUnknownMs = this.#options.againMs ?? againMs
    let before: string | undefined
    let wasKept = false
    while (!signal.aborted) {
      const startedAt = performance.now()
      const outcome = await this.#tell(receiver, this.describe(), signal)
      if (signal.aborted) return
      const word = typeof outcome === 'string' ? outcome : outcome.failed
      if (word !== before) tellLog(log, receiver.name, outcome)
      before = word
      wasKept ||= outcome === 'kept'
      // Once it was kept there, a 404 is from something in between, and passes.
      const waitMs = outcome === 'unknown' && !wasKept ? waitUnknownMs : everyMs
      await sleep(Math.max(0, waitMs - (performance.now() - startedAt)), signal)
    }
  }

  async #tell({ name, report }: Receiver, said: Heartbeat, signal: AbortSignal) {
    const outcome = await report(said, signal)
    const result = typeof outcome === 'string' ? outcome : 'failed'
    if (!signal.aborted) this.#options.metrics.heartbeats.inc({ sink: name, result })
    return outcome
  }

  /** What there is to say now. */
  describe(goodbye = false): Heartbeat {
    const { spool, drains, maxBytes } = this.#options
    const { seen } = clock
    const { count: waiting, trouble } = spool
    const oldestMs = waiting > 0 ? spool.oldestMs() : undefined
    return {
      source: { ...spool.source, seq: spool.epochs.given },
      ...(this.#siteId === undefined ? {} : { site_id: this.#siteId }),
      at: clock.now(),
      waiting,
      oldest_at: oldestMs === undefined ? null : fromMs(oldestMs),
      rejects: drains.reduce((sum, { sink }) => sum + spool.rejects.count(sink).count, 0),
      sinks: drains.map((drain) => describeSink(spool, drain)),
      version,
      spool: {
        ...{ bytes: spool.bytes, max_bytes: maxBytes },
        ...(trouble === undefined ? {} : { trouble: trouble.slice(0, 1000) }),
      },
      host: hostname().slice(0, 255),
      clock: { steps: seen.steps, suspends: seen.suspends },
      ...(goodbye ? { goodbye } : {}),
    }
  }
}

function describeSink(spool: Spool, { sink, state, stalledMs }: Drain): SinkReport {
  const oldestMs = spool.oldestMs(sink)
  const stalled = stalledMs >= stalledS * 1000
  return {
    name: sink.slice(0, 128),
    lag_events: spool.lag(sink),
    lag_s: oldestMs === undefined ? 0 : Math.max(0, clock.nowMs() - oldestMs) / 1000,
    state: state.failures > 0 ? 'failing' : stalled ? 'stalled' : 'ok',
  }
}

function tellLog(log: Logger, sink: string, outcome: Awaited<ReturnType<Report>>): void {
  if (outcome === 'kept') log.info({ sink }, 'heartbeats are kept')
  else if (outcome === 'unknown')
    log.info({ sink }, 'the receiver knows no heartbeats (an older version?)')
  else log.warn({ sink, reason: outcome.failed }, 'heartbeat not taken; will retry')
}
