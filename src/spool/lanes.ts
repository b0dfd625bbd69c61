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

/** A refused event as it was sent, so that nobody has to read it again. */
export type RefusedEvent = Refused & Pick<Outgoing, 'body' | 'bytes'>

/** Events to acknowledge: everything up to a number, and the refused among them. */
export type ClosedPrefix = { upTo: number; refused: readonly RefusedEvent[] }

export type LanesOptions = {
  limits: BatchLimits
  /** Events after a number, up to that many, in their order. */
  read: (after: number, limit: number) => readonly Outgoing[]
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
  lane?: number
}

export class Lanes {
  readonly #options: LanesOptions
  /** By number, in the order of the spool. */
  readonly #entries = new Map<number, Entry>()
  #bytes = 0
  #read: number

  constructor(options: LanesOptions) {
    this.#options = options
    this.#read = options.acked
  }

  /**
   * The next events to offer: those that were answered with `later`, or else new ones.
   *
   * @param limit maximum number of events
   * @param lane of this lane only; of all unless given
   * @returns an empty list when there is nothing to offer at the moment
   */
  take(limit: number, lane?: number): Outgoing[] {
    const again = this.#pick(true, limit, lane)
    if (again.length > 0) return again
    while (!this.#hasBatch(limit, lane) && this.#readMore()) {}
    return this.#pick(false, limit, lane)
  }

  #pick(later: boolean, limit: number, lane?: number): Outgoing[] {
    const batch: Outgoing[] = []
    let bytes = 0
    for (const entry of this.#findWaiting(later, lane)) {
      bytes += entry.event.bytes
      if (batch.length === limit || (batch.length > 0 && bytes > this.#options.limits.bytes)) break
      entry.state = 'offered'
      batch.push(entry.event)
    }
    return batch
  }

  #hasBatch(limit: number, lane?: number): boolean {
    let events = 0
    let bytes = 0
    for (const { event } of this.#findWaiting(false, lane)) {
      events++
      bytes += event.bytes
      if (events >= limit || bytes >= this.#options.limits.bytes) return true
    }
    return false
  }

  *#findWaiting(later: boolean, lane: number | undefined): Generator<Entry> {
    for (const entry of this.#entries.values()) {
      if (entry.state !== 'waiting' || entry.later !== later) continue
      if (lane !== undefined) entry.lane ??= toLane(entry.event)
      if (lane === undefined || entry.lane === lane) yield entry
    }
  }

  /** @returns false when there is nothing more, or no room for it */
  #readMore(): boolean {
    const { limits, read, last } = this.#options
    const room = Math.min(aheadBatches * limits.events, aheadEvents) - this.#entries.size
    const full = room <= 0 || this.#bytes >= aheadBatches * limits.bytes
    if (full || this.#read >= last()) return false
    const found = read(this.#read, Math.min(room, limits.events))
    for (const event of found) {
      ensure(event.seq > this.#read, 'the spool hands out events in their order')
      this.#entries.set(event.seq, { event, state: 'waiting', later: false })
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
    for (const [i, { seq }] of batch.entries()) {
      const verdict = must(verdicts[i], 'there is a verdict on each event')
      const entry = must(this.#entries.get(seq), 'an offered event is kept until it is closed')
      ensure(entry.state === 'offered', 'a verdict is about an event that was offered')
      entry.later = verdict === 'later'
      entry.state = entry.later ? 'waiting' : 'closed'
      if (typeof verdict === 'object') entry.refusal = verdict
      if (!entry.later) closed++
    }
    return closed
  }

  /** Notes that nothing is known about a batch: its events wait again. */
  putBack(batch: readonly Outgoing[]): void {
    for (const { seq } of batch) {
      const entry = must(this.#entries.get(seq), 'an offered event is kept until it is closed')
      if (entry.state === 'offered') entry.state = 'waiting'
    }
  }

  /** The events to acknowledge, or undefined. The same again until {@link forget}. */
  closedPrefix(): ClosedPrefix | undefined {
    const refused: RefusedEvent[] = []
    let upTo: number | undefined
    for (const [seq, { state, refusal, event }] of this.#entries) {
      if (state !== 'closed') break
      upTo = seq
      if (!refusal) continue
      const { field, detail } = refusal
      refused.push({ seq, field, detail, body: event.body, bytes: event.bytes })
    }
    return upTo === undefined ? undefined : { upTo, refused }
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
    for (const [seq, { event, state, later }] of [...this.#entries].reverse()) {
      if (state !== 'waiting' || later) return
      this.#drop(seq, event)
      this.#read = seq - 1
    }
  }

  #drop(seq: number, event: Outgoing): void {
    this.#entries.delete(seq)
    this.#bytes -= event.bytes
  }
}

/** By the id of the job, or of the job above. Ids end in random digits. */
function toLane({ event }: Outgoing): number {
  const entity = event?.entity
  const id = (entity?.type === 'subjob' ? entity.parent_id : undefined) ?? entity?.id
  return typeof id === 'string' && id !== '' ? id.charCodeAt(id.length - 1) % laneCount : 0
}
