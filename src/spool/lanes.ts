import type { BatchLimits, Outgoing, Refusal, Refused, Verdict } from '../core/delivery.ts'
import { ensure, must } from '../core/must.ts'

/*
 * The events between a spool and one sink: read, and not acknowledged yet. Each of them waits, is
 * offered, or is closed (taken or refused). So events that were answered with `later` can be offered
 * again without those that were taken, and no more than the closed prefix is acknowledged.
 *
 * For a backlog the events fall into lanes that are worked off side by side, each in order: all
 * events of a job and of its subjobs are in one lane.
 */

/** Batches under way at the same time while a backlog is worked off. */
const laneCount = 2
/** How much may be read and not acknowledged, in full batches. */
const aheadBatches = 4
/**
 * Maximum events of that: two lanes leave about half as many ranges of numbers open at the receiver, which keeps
 * a bounded number of them (`maxRanges` in store/source-ranges.ts).
 */
export const aheadEvents = 4000

export const laneNumbers: readonly number[] = Array.from({ length: laneCount }, (_, lane) => lane)

/** Bytes that are read and not acknowledged, of all sinks of a spool together. */
const aheadBytes = 64 * 2 ** 20

/** A refused event as it was sent, so that nobody has to read it again. */
export type RefusedEvent = Refused & Pick<Outgoing, 'body' | 'bytes'>

/**
 * Events to acknowledge: everything up to a number, the refused among them, and the numbers of those that
 * the sink does not want.
 */
export type ClosedPrefix = {
  upTo: number
  refused: readonly RefusedEvent[]
  filtered: readonly number[]
}

export type LanesOptions = {
  limits: BatchLimits
  /** Events after a number, up to that many and about so many bytes, in their order. */
  read: (after: number, limit: number, maxBytes: number) => readonly Outgoing[]
  /** True for an event that the sink is to be offered. */
  wants?: (event: Outgoing) => boolean
  /** How many lanes there are at the same time, those of other sinks among them: they share the memory. */
  sharedBy?: () => number
  /** Number of the last event there is. */
  last: () => number
  /** Everything up to here is acknowledged. */
  acked: number
}

type Entry = {
  event: Outgoing
  state: 'waiting' | 'offered' | 'closed'
  /** Was answered with `later`. A failure after that does not change it: it still goes first. */
  later: boolean
  refusal?: Refusal
  filtered?: true
}

export class Lanes {
  readonly #options: LanesOptions
  /** By number, in the order of the spool. */
  readonly #entries = new Map<number, Entry>()
  #bytes = 0
  #read: number
  /** Up to here the sink does without its events, whatever it answers. */
  #skipped = -Infinity
  /** Events that were answered with `later` were just offered again, and none was closed. */
  #isStuck = false

  constructor(options: LanesOptions) {
    this.#options = options
    this.#read = options.acked
  }

  /** Less when there are more sinks, which may come while this one is at work. */
  get #maxBytes(): number {
    const { limits, sharedBy = () => 1 } = this.#options
    return Math.min(aheadBatches * limits.bytes, Math.floor(aheadBytes / sharedBy()))
  }

  /**
   * The next events to offer: those that were answered with `later`, or else new ones. When the former were just
   * offered in vain, new ones of other jobs have a turn.
   *
   * @param limit maximum number of events
   * @param lane of this lane only; of all unless given
   * @returns an empty list when there is nothing to offer at the moment
   */
  take(limit: number, lane?: number): Outgoing[] {
    if (this.#isStuck) {
      this.#isStuck = false
      const others = this.#takeNew(limit, lane, this.#heldJobs())
      if (others.length > 0) return others
    }
    const again = this.#pick(true, limit, lane)
    return again.length > 0 ? again : this.#takeNew(limit, lane)
  }

  #takeNew(limit: number, lane?: number, held?: ReadonlySet<string>): Outgoing[] {
    while (!this.#hasBatch(limit, lane, held) && this.#readMore()) {}
    return this.#pick(false, limit, lane, held)
  }

  /** Jobs of which nothing newer is offered, because an event of theirs comes later. */
  #heldJobs(): ReadonlySet<string> {
    const jobs = new Set<string>()
    for (const { later, state, event } of this.#entries.values()) {
      if (later && state !== 'closed') jobs.add(event.job)
    }
    return jobs
  }

  #pick(later: boolean, limit: number, lane?: number, held?: ReadonlySet<string>): Outgoing[] {
    const batch: Outgoing[] = []
    let bytes = 0
    for (const entry of this.#findWaiting(later, lane, held)) {
      bytes += entry.event.bytes
      if (batch.length === limit || (batch.length > 0 && bytes > this.#options.limits.bytes)) break
      entry.state = 'offered'
      batch.push(entry.event)
    }
    return batch
  }

  #hasBatch(limit: number, lane?: number, held?: ReadonlySet<string>): boolean {
    let events = 0
    let bytes = 0
    for (const { event } of this.#findWaiting(false, lane, held)) {
      events++
      bytes += event.bytes
      if (events >= limit || bytes >= this.#options.limits.bytes) return true
    }
    return false
  }

  *#findWaiting(
    later: boolean,
    lane: number | undefined,
    held?: ReadonlySet<string>,
  ): Generator<Entry> {
    for (const entry of this.#entries.values()) {
      if (entry.state !== 'waiting' || entry.later !== later) continue
      if (held?.has(entry.event.job)) continue
      if (lane === undefined || entry.event.lane % laneCount === lane) yield entry
    }
  }

  /** @returns false when there is nothing more, or no room for it */
  #readMore(): boolean {
    const { limits, read, last, wants = () => true } = this.#options
    const room = Math.min(aheadBatches * limits.events, aheadEvents) - this.#entries.size
    const full = room <= 0 || (this.#bytes >= this.#maxBytes && this.#entries.size > 0)
    if (full || this.#read >= last()) return false
    const bytes = Math.max(1, Math.min(limits.bytes, this.#maxBytes - this.#bytes))
    const found = read(this.#read, Math.min(room, limits.events), bytes)
    for (const event of found) {
      if (event.seq > last()) return false
      ensure(event.seq > this.#read, 'the spool hands out events in their order')
      const isWanted = wants(event)
      const rest = isWanted ? {} : { filtered: true as const }
      const state = isWanted ? 'waiting' : 'closed'
      this.#entries.set(event.seq, { event, state, later: false, ...rest })
      this.#bytes += event.bytes
      this.#read = event.seq
    }
    return found.length > 0
  }

  /**
   * Notes the verdicts on a batch that was taken from here.
   *
   * @returns how many events they closed
   */
  settle(batch: readonly Outgoing[], verdicts: readonly Verdict[]): number {
    let closed = 0
    let again = false
    for (const [i, { seq }] of batch.entries()) {
      const verdict = must(verdicts[i], 'there is a verdict on each event')
      if (seq <= this.#skipped) {
        closed++
        continue
      }
      const entry = must(this.#entries.get(seq), 'an offered event is kept until it is closed')
      ensure(entry.state === 'offered', 'a verdict is about an event that was offered')
      again ||= entry.later
      entry.later = verdict === 'later'
      entry.state = entry.later ? 'waiting' : 'closed'
      if (typeof verdict === 'object') entry.refusal = verdict
      if (!entry.later) closed++
    }
    this.#isStuck = again && closed === 0
    return closed
  }

  /** Notes that nothing is known about a batch: its events wait again. */
  putBack(batch: readonly Outgoing[]): void {
    for (const { seq } of batch) {
      if (seq <= this.#skipped) continue
      const entry = must(this.#entries.get(seq), 'an offered event is kept until it is closed')
      if (entry.state === 'offered') entry.state = 'waiting'
      this.#isStuck ||= entry.later
    }
  }

  /** The events to acknowledge, or undefined. The same again until {@link forget}. */
  closedPrefix(): ClosedPrefix | undefined {
    const refused: RefusedEvent[] = []
    let upTo: number | undefined
    const filtered: number[] = []
    for (const [seq, { state, refusal, event, filtered: isFiltered }] of this.#entries) {
      if (state !== 'closed') break
      upTo = seq
      if (isFiltered) filtered.push(seq)
      if (!refusal) continue
      const { field, detail } = refusal
      refused.push({ seq, field, detail, body: event.body, bytes: event.bytes })
    }
    return upTo === undefined ? undefined : { upTo, refused, filtered }
  }

  /** True when all that was offered is in the closed prefix. */
  get isSettled(): boolean {
    let open = false
    for (const { state } of this.#entries.values()) {
      if (state === 'offered' || (open && state === 'closed')) return false
      open ||= state !== 'closed'
    }
    return true
  }

  /** Gives up the events up to a number: the sink does without them. */
  skipTo(upTo: number): void {
    for (const [seq, { event }] of this.#entries) {
      if (seq > upTo) break
      this.#drop(seq, event)
    }
    this.#skipped = Math.max(this.#skipped, upTo)
    this.#read = Math.max(this.#read, upTo)
  }

  /** Drops what was acknowledged. */
  forget({ upTo }: ClosedPrefix): void {
    for (const [seq, { event, state }] of this.#entries) {
      if (seq > upTo) return
      ensure(state === 'closed', 'only closed events are acknowledged')
      this.#drop(seq, event)
    }
  }

  /** Gives up what was read ahead, so that an outage does not hold it in memory: it is read again. */
  releaseWaiting(): void {
    for (const [seq, { event, state, later, filtered }] of [...this.#entries].reverse()) {
      if ((state !== 'waiting' && !filtered) || later) return
      this.#drop(seq, event)
      this.#read = seq - 1
    }
  }

  #drop(seq: number, event: Outgoing): void {
    this.#entries.delete(seq)
    this.#bytes -= event.bytes
  }
}
