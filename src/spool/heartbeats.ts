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
import type { SinkAccount } from './accounts.ts'
import type { Drain } from './drain.ts'
import type { GapRow } from './gaps.ts'
import { lagSeconds, toSinkState } from './integrations.ts'
import type { Spool } from './spool.ts'

/** A sink that takes heartbeats. */
export type Receiver = { name: string; report: Report }

export type HeartbeatsOptions = {
  spool: Spool
  /** Of every sink that is offered events now, whether it takes heartbeats or not. */
  drains: () => readonly Drain[]
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

  /** The last word to a receiver, once nothing is delivered to it any more and before the spool closes. */
  async sayGoodbye(receiver: Receiver): Promise<void> {
    const signal = AbortSignal.timeout(goodbyeMs)
    await this.#tell(receiver, this.describe(receiver.name, true), signal)
  }

  /** Tells a receiver until the signal aborts. */
  async keepTelling(receiver: Receiver, signal: AbortSignal): Promise<void> {
    const { everyMs = heartbeatS * 1000, log } = this.#options
    const waitUnknownMs = this.#options.againMs ?? againMs
    let before: string | undefined
    let wasKept = false
    while (!signal.aborted) {
      const startedAt = performance.now()
      const outcome = await this.#tell(receiver, this.describe(receiver.name), signal)
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

  /** What there is to say now to a receiver: what it is owed itself, whatever others are. */
  describe(receiver: string, goodbye = false): Heartbeat {
    const { spool, maxBytes } = this.#options
    const drains = this.#options.drains()
    const { seen } = clock
    const { trouble } = spool
    const waiting = spool.lag(receiver)
    const oldestMs = waiting > 0 ? spool.oldestMs(receiver) : undefined
    return {
      source: { ...spool.source, seq: spool.epochs.given },
      ...(this.#siteId === undefined ? {} : { site_id: this.#siteId }),
      at: clock.now(),
      waiting,
      oldest_at: oldestMs === undefined ? null : fromMs(oldestMs),
      rejects: drains.reduce((sum, { sink }) => sum + spool.rejects.count(sink).count, 0),
      sinks: describeSinks(spool, drains),
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

/** More would not fit in what a receiver takes, nor would more gaps with their reasons. */
const [mostSinks, mostGaps] = [100, 30]

/** Every sink that has a position: events are kept also for one that is not at work. */
const describeSinks = (spool: Spool, drains: readonly Drain[]): SinkReport[] =>
  spool.accounts
    .list()
    .slice(0, mostSinks)
    .map((account, i) => {
      const drain = drains.find(({ sink }) => sink === account.name)
      const { last_gap, ...said } = describeSink(spool, account, drain)
      return last_gap && i < mostGaps ? { ...said, last_gap } : said
    })

function describeSink(spool: Spool, account: SinkAccount, drain: Drain | undefined): SinkReport {
  const { name, required, skipped, lag, gap } = account
  const isStalled = (drain?.stalledMs ?? 0) >= stalledS * 1000
  const failures = drain?.state.failures ?? 0
  return {
    ...{ name: name.slice(0, 128), lag_events: lag, lag_s: lagSeconds(spool, name) },
    state: failures > 0 ? 'failing' : isStalled ? 'stalled' : 'ok',
    ...{ status: toSinkState(account, drain), required },
    ...{ rejects: spool.rejects.count(name).count, skipped },
    ...(gap ? { last_gap: describeGap(gap) } : {}),
  }
}

const describeGap = ({ events, at_ms, reason }: GapRow) => ({
  ...{ events, at: fromMs(at_ms), reason: reason.slice(0, 100) },
})

function tellLog(log: Logger, sink: string, outcome: Awaited<ReturnType<Report>>): void {
  if (outcome === 'kept') log.info({ sink }, 'heartbeats are kept')
  else if (outcome === 'unknown')
    log.info({ sink }, 'the receiver knows no heartbeats (an older version?)')
  else log.warn({ sink, reason: outcome.failed }, 'heartbeat not taken; will retry')
}
