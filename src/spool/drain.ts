import type { Logger } from 'pino'
import {
  assertDelivery,
  type BatchLimits,
  type Delivery,
  type Failure,
  type Outgoing,
  type Sink,
} from '../core/delivery.ts'
import { ContractError } from '../core/must.ts'
import { Backoff, sleep } from '../platform/backoff.ts'
import { clock } from '../platform/clock.ts'
import type { EventCounts } from '../platform/effect.ts'
import type { Metrics } from '../platform/metrics.ts'
import { RecentCounts } from '../platform/recent-counts.ts'
import { logSparsely } from '../platform/sparse-log.ts'
import { type ClosedPrefix, Lanes, laneNumbers } from './lanes.ts'
import type { Spool } from './spool.ts'

export type DrainOptions = {
  spool: Spool
  /** Name of the sink. */
  sink: string
  deliver: Sink['deliver']
  limits: BatchLimits
  /** How often an idle drain looks for events, in milliseconds. */
  idleMs: number
  log: Logger
  metrics: Metrics
  /** Waits after a failure; for tests. */
  pause?: typeof sleep
}

/** Maximum wait that a sink may ask for. */
const maxRetryAfterMs = 3_600_000

export type DrainState = { failures: number; reason: string | undefined; lastDeliveryMs: number }

/** The failure of a batch. */
type Trouble = Exclude<Delivery, { kind: 'judged' }>

/**
 * Empties the spool towards one sink, batch by batch: one batch at a time, or, while there is a
 * backlog and nothing fails, one at a time in each lane. Each sink has a drain of its own and waits
 * for no other. core/delivery.ts has the contract between the two, lanes.ts what is offered when.
 */
export class Drain {
  /** Name of the sink. */
  readonly sink: string
  readonly state: DrainState = { failures: 0, reason: undefined, lastDeliveryMs: 0 }
  /** What the sink settled in the last minutes, for health. */
  readonly recent: EventCounts = new RecentCounts()
  readonly #options: DrainOptions
  /** When the sink last settled events, or none waited. */
  #progressMs = performance.now()
  readonly #backoff = new Backoff({ firstMs: 200, maxMs: 30_000 })
  readonly #lanes: Lanes
  #batchSize: number

  constructor(options: DrainOptions) {
    const { spool, sink, limits } = options
    this.#options = options
    this.sink = sink
    this.#batchSize = limits.events
    this.#lanes = new Lanes({
      limits,
      read: (after, limit) => spool.peek(sink, limit, limits.bytes, after),
      last: () => spool.lastOut,
      acked: spool.acked(sink),
    })
  }

  /** How long the sink has settled nothing although events wait, in milliseconds. */
  get stalledMs(): number {
    const { spool, sink } = this.#options
    return spool.lag(sink) > 0 ? performance.now() - this.#progressMs : 0
  }

  /** Runs until the signal aborts. */
  async run(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      try {
        await this.#round(signal)
      } catch (error) {
        // A bug of ours ends the process, and a clean one is started.
        if (error instanceof ContractError) throw error
        this.#options.log.error({ error, sink: this.sink }, 'spool cannot be read')
        await this.#waitAfter({ kind: 'failed', reason: 'the spool cannot be read' }, signal)
      }
    }
  }

  /** @throws when the disk does not give what is in the spool */
  async #round(signal: AbortSignal): Promise<void> {
    this.#options.spool.recover()
    // Left over when it could not be recorded.
    const leftOver = this.#lanes.closedPrefix() !== undefined
    const unrecorded = this.#acknowledge()
    if (leftOver && !unrecorded) this.#delivered()
    if (unrecorded) await this.#waitAfter(unrecorded, signal)
    else if (!this.#mayHurry() || !(await this.#deliverInLanes(signal))) {
      await this.#deliverNext(signal)
    }
  }

  /** Several batches wait and nothing is wrong; one batch more or less is not worth it. */
  #mayHurry(): boolean {
    const { spool, sink, limits } = this.#options
    const healthy = this.state.failures === 0 && this.#batchSize === limits.events
    return healthy && limits.events > 1 && spool.lag(sink) >= 2 * limits.events
  }

  async #deliverNext(signal: AbortSignal): Promise<void> {
    const batch = this.#lanes.take(this.#batchSize)
    if (batch.length === 0) return this.#untilAppend(signal)
    const trouble = await this.#offer(batch, signal)
    if (trouble) await this.#react(trouble, batch, signal)
  }

  /**
   * Until the backlog is gone or something is wrong, which is then handled one batch at a time.
   *
   * @returns false when there was nothing to offer
   */
  async #deliverInLanes(signal: AbortSignal): Promise<boolean> {
    let wrong: { trouble: Trouble; batch: readonly Outgoing[] } | undefined
    let failed: { error: unknown } | undefined
    let offered = false
    const underWay = new Map<number, Promise<void>>()
    const offer = async (batch: readonly Outgoing[]) => {
      const trouble = await this.#offer(batch, signal)
      if (trouble) wrong ??= { trouble, batch }
    }
    const run = async (lane: number) => {
      while (!wrong && !failed && !signal.aborted) {
        const batch = this.#lanes.take(this.#batchSize, lane)
        if (batch.length > 0) {
          offered = true
          underWay.set(lane, offer(batch))
          await underWay.get(lane)
          underWay.delete(lane)
        } else if (underWay.size > 0) await Promise.race(underWay.values())
        else return
      }
    }
    // When one cannot go on the others end first: none may run beside those of the next round.
    const noting = (error: unknown) => {
      failed ??= { error }
    }
    await Promise.all(laneNumbers.map((lane) => run(lane).catch(noting)))
    if (failed) throw (failed as { error: unknown }).error
    if (wrong) await this.#react(wrong.trouble, wrong.batch, signal)
    return offered
  }

  /** Hands a batch to the sink and notes the verdicts. Never throws. @returns what went wrong */
  async #offer(batch: readonly Outgoing[], signal: AbortSignal): Promise<Trouble | undefined> {
    const delivery = await this.#ask(batch, signal)
    if (delivery.kind !== 'judged') {
      this.#lanes.putBack(batch)
      return delivery
    }
    if (this.#lanes.settle(batch, delivery.verdicts) === 0) {
      return { kind: 'failed', reason: 'it cannot take more events at the moment' }
    }
    const unrecorded = this.#acknowledge()
    if (!unrecorded) this.#delivered()
    return unrecorded
  }

  /** The sink's answer, or a failure when it breaks the contract. */
  async #ask(batch: readonly Outgoing[], signal: AbortSignal): Promise<Delivery> {
    try {
      const answer: unknown = await this.#options.deliver(batch, signal)
      assertDelivery(answer, batch.length)
      return answer
    } catch (error) {
      this.#options.log.error({ error, sink: this.sink }, 'delivery failed unexpectedly')
      const reason =
        error instanceof ContractError
          ? `the sink gave an invalid answer: ${error.message}`
          : 'internal error; see the log'
      return { kind: 'failed', reason }
    }
  }

  /** Records what is closed. Never throws. @returns why it could not: the events are still there */
  #acknowledge(): Failure | undefined {
    const { spool, sink, log } = this.#options
    const whole = this.#lanes.closedPrefix()
    if (!whole) return undefined
    let closed: ClosedPrefix
    try {
      closed = spool.rejects.cut(sink, whole)
      if (closed.upTo > spool.acked(sink)) this.#record(closed)
    } catch (error) {
      log.error({ error, sink }, 'delivery could not be recorded')
      return { kind: 'failed', reason: 'internal error; see the log' }
    }
    if (closed === whole) return undefined
    return { kind: 'failed', reason: spool.rejects.full, permanent: true }
  }

  #record(closed: ClosedPrefix): void {
    const { spool, sink, log } = this.#options
    const before = spool.lag(sink)
    spool.ack(sink, closed.upTo, closed.refused)
    this.#lanes.forget(closed)
    this.#progressMs = performance.now()
    this.recent.add('events', before - spool.lag(sink))
    this.recent.add('rejected', closed.refused.length)
    for (const { seq, field, detail } of closed.refused) {
      const fields = { sink, seq, field, detail }
      const event = 'event refused permanently, kept as a reject'
      logSparsely(log, `reject ${sink}`, { level: 'error', fields, event })
    }
  }

  async #react(trouble: Trouble, batch: readonly Outgoing[], signal: AbortSignal): Promise<void> {
    if (signal.aborted) return
    if (trouble.kind === 'failed') await this.#waitAfter(trouble, signal)
    else this.#batchSize = Math.max(1, Math.floor(batch.length / 2))
  }

  #delivered(): void {
    const { sink, metrics, log, limits } = this.#options
    metrics.sinkDeliveries.inc({ sink, result: 'delivered' })
    if (this.state.failures > 0)
      log.info({ sink, failures: this.state.failures }, 'delivery works again')
    this.#backoff.reset()
    this.state.failures = 0
    this.state.reason = undefined
    this.state.lastDeliveryMs = clock.nowMs()
    // After a batch that was too large, find the way back to full size step by step.
    this.#batchSize = Math.min(limits.events, this.#batchSize * 2)
  }

  async #waitAfter(failure: Failure, signal: AbortSignal): Promise<void> {
    const { sink, metrics, pause = sleep } = this.#options
    metrics.sinkDeliveries.inc({ sink, result: 'failed' })
    const retryAfterMs = Math.min(failure.retryAfterMs ?? 0, maxRetryAfterMs)
    const waitMs = Math.max(this.#backoff.next(), retryAfterMs)
    this.state.failures++
    this.state.reason = failure.reason
    this.#logFailure(failure, waitMs)
    this.#lanes.releaseWaiting()
    await pause(waitMs, signal)
  }

  /** Louder the longer it lasts: a blip is not news, an outage is. */
  #logFailure({ reason, permanent }: Failure, waitMs: number): void {
    const { sink, log, spool } = this.#options
    const { failures } = this.state
    const fields = {
      sink,
      reason,
      failures,
      retry_ms: Math.round(waitMs),
      waiting: spool.lag(sink),
    }
    if (failures >= 10) log.error(fields, 'delivery keeps failing')
    else if (failures >= 3 || permanent) log.warn(fields, 'delivery fails')
    else log.info(fields, 'delivery failed, will retry')
  }

  /** An append wakes it immediately; the interval is only a second look. */
  #untilAppend(signal: AbortSignal): Promise<void> {
    const woken = new AbortController()
    const stop = this.#options.spool.onAppend(() => woken.abort())
    this.#progressMs = performance.now()
    return sleep(this.#options.idleMs, AbortSignal.any([signal, woken.signal])).finally(() => {
      this.#progressMs = performance.now()
      stop()
    })
  }
}
