import type { Logger } from 'pino'
import { Backoff, sleep } from '../platform/backoff.ts'
import type { Metrics } from '../platform/metrics.ts'
import { type Dealt, Lanes } from './lanes.ts'
import type { Spool, Spooled } from './spool.ts'

/** What a destination made of a batch; the same shape as a sink's answer. */
export type DrainResult =
  | {
      kind: 'taken'
      upTo: number
      refused: readonly { seq: number; field: string; detail: string }[]
    }
  | { kind: 'failed'; reason: string; retryAfterMs?: number }
  | { kind: 'too_large' }

export type DrainOptions = {
  spool: Spool
  sink: string
  deliver: (batch: readonly Spooled[], signal: AbortSignal) => Promise<DrainResult>
  /** Most events in one delivery. */
  batchSize: number
  /** How often an idle drain looks whether there is something to do, in milliseconds. */
  idleMs: number
  log: Logger
  metrics: Metrics
}

/** Most bytes of events in one delivery; well under what the other side accepts. */
const maxBatchBytes = 4 * 2 ** 20

export type DrainState = { failures: number; reason: string | undefined; lastDeliveryMs: number }

/**
 * Empties the spool towards one sink, batch by batch, so that events of a job arrive in the order in
 * which they came: one batch at a time, or, while there is a backlog and all goes well, one at a time
 * in each of a few lanes. Each sink has a drain of its own and waits for nobody.
 */
export class Drain {
  /** Name of the sink. */
  readonly sink: string
  readonly state: DrainState = { failures: 0, reason: undefined, lastDeliveryMs: 0 }
  readonly #options: DrainOptions
  readonly #backoff = new Backoff({ firstMs: 200, maxMs: 30_000 })
  #batchSize: number

  constructor(options: DrainOptions) {
    this.#options = options
    this.sink = options.sink
    this.#batchSize = options.batchSize
  }

  /** Runs until the signal aborts. */
  async run(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      const { spool, sink } = this.#options
      const batch = spool.peek(sink, this.#batchSize, maxBatchBytes)
      if (batch.length === 0) await this.#untilAppend(signal)
      else if (this.#mayHurry(batch)) await this.#deliverInLanes(signal)
      else await this.#deliver(batch, signal)
    }
  }

  /** Several batches wait and nothing is wrong; one batch more or less is not worth it. */
  #mayHurry(batch: readonly Spooled[]): boolean {
    const { spool, sink, batchSize } = this.#options
    const healthy = this.state.failures === 0 && this.#batchSize === batchSize
    return healthy && batch.length > 1 && spool.lag(sink) >= 2 * batchSize
  }

  async #deliver(batch: readonly Spooled[], signal: AbortSignal): Promise<void> {
    const result = await this.#offer(batch, signal, (taken) => this.#acknowledge(taken))
    await this.#settle(result, batch, signal)
  }

  /** Until the backlog is gone or something is wrong, which is then seen to at the usual pace. */
  async #deliverInLanes(signal: AbortSignal): Promise<void> {
    const { spool, sink, batchSize } = this.#options
    const lanes = new Lanes({
      read: (after, limit) => spool.peek(sink, limit, maxBatchBytes, after),
      after: spool.acked(sink),
      batchSize,
      maxBytes: maxBatchBytes,
    })
    let wrong: { result: DrainResult; batch: readonly Spooled[] } | undefined
    const underWay = new Map<number, Promise<void>>()
    const offer = async (batch: readonly Spooled[]) => {
      const result = await this.#offer(batch, signal, (taken) => {
        const dealt = lanes.deal(batch, taken)
        if (!dealt) return
        this.#acknowledge(dealt)
        lanes.confirm(dealt)
      })
      const whole = result.kind === 'taken' && result.upTo >= batch.at(-1)!.seq
      if (!whole) wrong ??= { result, batch }
    }
    const run = async (lane: number) => {
      while (!wrong && !signal.aborted) {
        const batch = lanes.take(lane)
        if (batch.length > 0) {
          underWay.set(lane, offer(batch))
          await underWay.get(lane)
          underWay.delete(lane)
        } else if (underWay.size > 0) await Promise.race(underWay.values())
        else return
      }
    }
    await Promise.all(lanes.lanes.map(run))
    if (wrong) await this.#settle(wrong.result, wrong.batch, signal)
  }

  /** Hands a batch to the sink. Never throws. */
  async #offer(
    batch: readonly Spooled[],
    signal: AbortSignal,
    onTaken: (taken: Dealt) => void,
  ): Promise<DrainResult> {
    try {
      const result = await this.#options.deliver(batch, signal)
      if (result.kind === 'taken') {
        onTaken(result)
        this.#delivered()
      }
      return result
    } catch (error) {
      // Our own disk or a bug of ours; either way the events are still there.
      this.#options.log.error({ error, sink: this.#options.sink }, 'delivery broke')
      return { kind: 'failed', reason: 'an internal failure, see the log' }
    }
  }

  async #settle(
    result: DrainResult,
    batch: readonly Spooled[],
    signal: AbortSignal,
  ): Promise<void> {
    if (signal.aborted || result.kind === 'taken') return
    if (result.kind === 'too_large') this.#batchSize = Math.max(1, Math.floor(batch.length / 2))
    else await this.#failed(result, signal)
  }

  #acknowledge({ upTo, refused }: Dealt): void {
    const { spool, sink, log } = this.#options
    spool.ack(sink, upTo, refused)
    for (const { seq, field, detail } of refused) {
      log.error({ sink, seq, field, detail }, 'event refused for good, kept as a reject')
    }
  }

  #delivered(): void {
    const { sink, metrics, log, batchSize } = this.#options
    metrics.sinkDeliveries.inc({ sink, result: 'delivered' })
    if (this.state.failures > 0)
      log.info({ sink, failures: this.state.failures }, 'delivering again')
    this.#backoff.reset()
    this.state.failures = 0
    this.state.reason = undefined
    this.state.lastDeliveryMs = Date.now()
    // After a batch that was too large, find the way back to full size step by step.
    this.#batchSize = Math.min(batchSize, this.#batchSize * 2)
  }

  async #failed({ reason, retryAfterMs }: DrainResult & { kind: 'failed' }, signal: AbortSignal) {
    const { sink, metrics, log, spool } = this.#options
    metrics.sinkDeliveries.inc({ sink, result: 'failed' })
    const waitMs = Math.max(this.#backoff.next(), retryAfterMs ?? 0)
    this.state.failures++
    this.state.reason = reason
    const fields = {
      sink,
      reason,
      failures: this.state.failures,
      retry_ms: Math.round(waitMs),
      waiting: spool.lag(sink),
    }
    // Louder the longer it lasts: a blip is no news, an outage is.
    if (this.state.failures >= 10) log.error(fields, 'delivery keeps failing')
    else if (this.state.failures >= 3) log.warn(fields, 'delivery fails')
    else log.info(fields, 'delivery failed, will be repeated')
    await sleep(waitMs, signal)
  }

  /** An append wakes at once; the interval is only a second look. */
  #untilAppend(signal: AbortSignal): Promise<void> {
    const woken = new AbortController()
    const stop = this.#options.spool.onAppend(() => woken.abort())
    return sleep(this.#options.idleMs, AbortSignal.any([signal, woken.signal])).finally(stop)
  }
}
