import type { Logger } from 'pino'
import type { BatchLimits, Delivery, Failure, Outgoing, Sink } from '../core/delivery.ts'
import { ContractError, must } from '../core/must.ts'
import { sleep } from '../platform/backoff.ts'
import type { EventCounts } from '../platform/effect.ts'
import type { Metrics } from '../platform/metrics.ts'
import { RecentCounts } from '../platform/recent-counts.ts'
import { logSparsely } from '../platform/sparse-log.ts'
import { askSink, internalError } from './ask-sink.ts'
import { type ClosedPrefix, laneNumbers } from './lanes.ts'
import { type DrainState, Outcome } from './outcome.ts'
import { RetryDrain } from './retry-drain.ts'
import type { Spool } from './spool.ts'
import { type Way, Ways } from './ways.ts'

export type DrainOptions = {
  spool: Spool
  sink: string
  deliver: Sink['deliver']
  limits: BatchLimits
  /** False for a sink whose readers do not depend on order: it takes new events before a long backlog. */
  ordered?: boolean
  /** True for a sink that may keep a text with its position: it is offered one batch at a time. */
  keepsState?: boolean
  /** True for an event that the sink is to be offered. */
  wants?: (event: Outgoing) => boolean
  /** How often an idle drain looks for events, in milliseconds. */
  idleMs: number
  log: Logger
  metrics: Metrics
  /** Waits after a failure; for tests. */
  pause?: typeof sleep
}

/** The failure of a batch. */
type Trouble = Exclude<Delivery, { kind: 'judged' }>

/**
 * Empties the spool towards one sink, batch by batch: one batch at a time, or, while there is a
 * backlog and nothing fails, one at a time in each lane. Each sink has a drain of its own and waits
 * for no other. core/delivery.ts has the contract between the two, lanes.ts what is offered when.
 */
export class Drain {
  readonly sink: string
  /** What the sink settled in the last minutes, for health. */
  readonly recent: EventCounts = new RecentCounts()
  readonly #options: DrainOptions
  /** When the sink last settled events, or none waited. */
  #progressMs = performance.now()
  readonly #outcome: Outcome
  readonly #ways: Ways
  /** Of the sink's own, until what it says is in the closed prefix. */
  #text: string | undefined
  readonly #retries: RetryDrain
  #batchSize: number
  #cut: AbortSignal | undefined

  constructor(options: DrainOptions) {
    const { spool, sink, limits } = options
    this.#options = options
    this.sink = sink
    this.#batchSize = limits.events
    this.#ways = new Ways(options)
    this.#outcome = new Outcome(options)
    this.#retries = new RetryDrain(spool.rejects, { sink, limits })
  }

  get state(): DrainState {
    return this.#outcome.state
  }

  /** How long the sink has settled nothing although events wait, in milliseconds. */
  get stalledMs(): number {
    const { spool, sink } = this.#options
    return spool.lag(sink) > 0 && !this.#isPaused ? performance.now() - this.#progressMs : 0
  }

  /**
   * Runs until the signal aborts.
   *
   * @param cut ends a delivery that is under way; unless given, the end does. Until then the answer is waited
   *   for and recorded, so that nothing that was taken is sent again
   */
  async run(signal: AbortSignal, cut = signal): Promise<void> {
    this.#cut = cut
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

  async #round(signal: AbortSignal): Promise<void> {
    this.#options.spool.recover()
    // First of all: a sink that stopped because it has too many rejects gets rid of some.
    if (!this.#isPaused) await this.#retry()
    if (signal.aborted) return
    // Left over when it could not be recorded.
    const leftOver = this.#ways.all.some(({ lanes }) => lanes.closedPrefix() !== undefined)
    const unrecorded = this.#acknowledge()
    if (leftOver && !unrecorded) this.#delivered()
    if (unrecorded) return this.#waitAfter(unrecorded, signal)
    if (this.#isPaused) return this.#untilAppend(signal)
    if (this.#goesLive) this.#ways.openLive()
    const { live } = this.#ways
    const wasLive = live !== undefined && (await this.#deliverNext(live, signal))
    if (signal.aborted || (wasLive && this.state.failures > 0)) return
    // Events may have been skipped meanwhile, and are gone then.
    if (wasLive) this.#ways.follow()
    const wasBacklog = this.#mayHurry()
      ? await this.#deliverInLanes(signal)
      : await this.#deliverNext(this.#ways.backlog, signal)
    if (!wasLive && !wasBacklog) await this.#untilAppend(signal)
  }

  /** Offers rejects again that an operator sent back. One that fails does not hold up new events. */
  async #retry(): Promise<void> {
    const { spool, sink } = this.#options
    // One commit with the rejects that leave: what they wrote is cut off at a start that knows an older state.
    const note = (state: string) => {
      this.#text = state
      if (!this.#ways.backlog.lanes.isSettled) return
      spool.ack(sink, spool.acked(sink), [], { state })
    }
    if (await this.#retries.offer((events) => this.#ask(events), note)) this.#delivered()
  }

  /** Several batches wait and nothing is wrong; one batch more or less is not worth it. */
  #mayHurry(): boolean {
    const { spool, sink, limits, keepsState } = this.#options
    const healthy = this.state.failures === 0 && this.#batchSize === limits.events
    return !keepsState && healthy && limits.events > 1 && spool.lag(sink) >= 2 * limits.events
  }

  /** @returns false when there was nothing to offer */
  async #deliverNext(way: Way, signal: AbortSignal): Promise<boolean> {
    const batch = way.lanes.take(this.#batchSize)
    // None of what was read is wanted: then that is recorded.
    if (batch.length === 0) return way.lanes.closedPrefix() !== undefined
    const trouble = await this.#offer(way, batch)
    if (trouble) await this.#react(trouble, batch, signal)
    return true
  }

  /**
   * Until the backlog is gone, new events are to go first, or something is wrong, which is then handled one
   * batch at a time.
   *
   * @returns false when there was nothing to offer
   */
  async #deliverInLanes(signal: AbortSignal): Promise<boolean> {
    let wrong: { trouble: Trouble; batch: readonly Outgoing[] } | undefined
    let failed: { error: unknown } | undefined
    let offered = false
    const underWay = new Map<number, Promise<void>>()
    const way = this.#ways.backlog
    const offer = async (batch: readonly Outgoing[]) => {
      const trouble = await this.#offer(way, batch)
      if (trouble) wrong ??= { trouble, batch }
    }
    const run = async (lane: number) => {
      for (let i = 0; !wrong && !failed && !signal.aborted; i++) {
        if (i > 0 && (way !== this.#ways.backlog || this.#mustPause)) return
        const batch = way.lanes.take(this.#batchSize, lane)
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

  /** Something else goes before the backlog: new events, a reject that is offered again, or nothing at all. */
  get #mustPause(): boolean {
    return this.#ways.hasNews || this.#goesLive || this.#retries.isDue || this.#isPaused
  }

  get #isPaused(): boolean {
    return this.#options.spool.accounts.isPaused(this.sink)
  }

  /** New events are to go before a long backlog from here on: the sink works. */
  get #goesLive(): boolean {
    const works = this.state.lastDeliveryMs > 0 && this.state.failures === 0
    return works && this.#ways.isLong
  }

  /** Hands a batch to the sink and notes the verdicts. Never throws. @returns what went wrong */
  async #offer({ lanes }: Way, batch: readonly Outgoing[]): Promise<Trouble | undefined> {
    const delivery = await this.#ask(batch)
    if (delivery.kind !== 'judged') {
      lanes.putBack(batch)
      return delivery
    }
    this.#text = delivery.state ?? this.#text
    if (lanes.settle(batch, delivery.verdicts) === 0) {
      return { kind: 'failed', reason: 'it cannot take more events at the moment' }
    }
    const unrecorded = this.#acknowledge()
    if (!unrecorded) this.#delivered()
    return unrecorded
  }

  #ask(batch: readonly Outgoing[]): Promise<Delivery> {
    return askSink(this.#options, batch, must(this.#cut, 'a drain that asks runs'))
  }

  /** Records what is closed. Never throws. @returns why it could not: the events are still there */
  #acknowledge(): Failure | undefined {
    const { spool, sink, log } = this.#options
    for (const way of this.#ways.follow()) {
      // The backlog has just reached the live lane.
      if (way.name === 'live' && !spool.accounts.isLive(sink)) break
      const whole = way.lanes.closedPrefix()
      if (!whole) continue
      let closed: ClosedPrefix
      try {
        closed = spool.rejects.cut(sink, whole)
        // A state covers all of its batch: with a part of it, the next start would lose some or write some twice.
        const isWhole = closed === whole || this.#text === undefined
        if (isWhole && closed.upTo > spool.acked(sink, way.name)) this.#record(way, closed)
      } catch (error) {
        log.error({ error, sink }, 'delivery could not be recorded')
        return { kind: 'failed', reason: internalError }
      }
      if (closed !== whole) return { kind: 'failed', reason: spool.rejects.full, permanent: true }
    }
    this.#ways.follow()
    return undefined
  }

  #record({ name, lanes }: Way, closed: ClosedPrefix): void {
    const { spool, sink, log } = this.#options
    const before = spool.lag(sink)
    const state = this.#text !== undefined && lanes.isSettled ? { state: this.#text } : {}
    const more = { lane: name, filtered: closed.filtered, ...state }
    spool.ack(sink, closed.upTo, closed.refused, more)
    lanes.forget(closed)
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
    this.#outcome.delivered()
    // After a batch that was too large, find the way back to full size step by step.
    this.#batchSize = Math.min(this.#options.limits.events, this.#batchSize * 2)
  }

  async #waitAfter(failure: Failure, signal: AbortSignal): Promise<void> {
    const { spool, sink, pause = sleep } = this.#options
    const waitMs = this.#outcome.failed(failure, spool.lag(sink))
    for (const { lanes } of this.#ways.all) lanes.releaseWaiting()
    await pause(waitMs, signal)
  }

  /** An append wakes it immediately; the interval is only a second look. What waits all the same stalls. */
  #untilAppend(signal: AbortSignal): Promise<void> {
    const { spool, sink, idleMs } = this.#options
    const woken = new AbortController()
    const stop = spool.onAppend(() => woken.abort())
    const rests = spool.lag(sink) === 0
    return sleep(idleMs, AbortSignal.any([signal, woken.signal])).finally(() => {
      if (rests) this.#progressMs = performance.now()
      stop()
    })
  }
}
