import { setImmediate as nextTurn } from 'node:timers/promises'
import type { LiveEvent, LiveFeed, LiveSites } from '../core/live.ts'
import type { PushBody } from '../platform/push-body.ts'
import {
  type Batch,
  type Entry,
  filterKey,
  frame,
  frameAll,
  positionAfter,
  type StreamFilter,
  toEntries,
} from './stream-frames.ts'

/*
 * One subscription to a feed, written to many readers. Invariants:
 *
 * - An event is made into text once, and a piece of text into bytes once for all readers with the same
 *   filter. Their cost is one write per turn, whatever the number of events in it.
 * - A reader gets every event after it joined, in order, each once. One that comes back with a position
 *   goes on from there: where that is not here, on a subscription of its own until an event in it is among
 *   the recent ones here.
 * - A subscription that breaks off is taken up again from the last event, as long as each brings some.
 * - No reader is waited for. What waits for one is bounded by its PushBody, which cuts it off.
 * - The more readers, the longer the pause between two writes: one reader is written to immediately, a
 *   thousand ten times a second. A write costs the same whatever the number of events in it.
 */

export type Reader = {
  push: PushBody
  filter: StreamFilter
  /** The last event that was written or left out by the filter. */
  position: string | undefined
  /** When something was last written, as `performance.now()`. */
  writtenAt: number
}

/** Characters that may wait for the next write before the feed is made to wait. */
const maxPending = 256 * 1024
/** The pause between two writes, for each reader written to and at most, in milliseconds. */
const pausePerReaderMs = 0.1
const mostPauseMs = 100
/** Events kept for readers that catch up, by number and by characters. */
const maxRecent = 2000
const maxRecentChars = 2e6

export class StreamHub {
  readonly #groups = new Map<string, Set<Reader>>()
  readonly #stop = new AbortController()
  #pending: Entry[] = []
  #pendingChars = 0
  #recent: LiveEvent[] = []
  #recentChars = 0
  #sites: LiveSites | undefined
  #position: string | undefined
  /** The same, if it is exactly where the hub is: events were missed after it otherwise. */
  #place: string | undefined
  /** Resolved by the next write; undefined while none is due. */
  #due: Promise<void> | undefined
  #pauseUntil = 0
  /** Why there will be no more; `undefined` within it when the feed ended by itself. */
  #over: { failure: unknown } | undefined

  /** @param onOver called when the feed ended, with each reader that is left and the failure if any */
  constructor(
    feed: LiveFeed<Batch>,
    stopping: AbortSignal,
    onOver: (readers: Reader[], failure: unknown) => void,
  ) {
    const signal = AbortSignal.any([stopping, this.#stop.signal])
    void this.#run(feed, signal).then((failure) => {
      this.#flush()
      this.#over = { failure }
      onOver(
        [...this.#groups.values()].flatMap((group) => [...group]),
        failure,
      )
    })
  }

  get over(): boolean {
    return this.#over !== undefined
  }

  /** Writes to a reader what comes from now on. */
  join(reader: Reader): void {
    this.#flush()
    reader.position ??= this.#position
    if (this.#sites) this.write(reader, Buffer.from(frame(this.#sites)))
    this.#add(reader)
  }

  /**
   * Goes on for a reader with a position, from after that.
   *
   * @returns false when that is neither here nor among the recent events: the reader has to follow its own
   *   subscription until it is
   */
  takeOver(reader: Reader): boolean {
    if (this.over || reader.position === undefined) return false
    this.#flush()
    const recent = this.#recent.findLastIndex(({ id }) => id === reader.position)
    const at = reader.position === this.#place ? this.#recent.length : recent
    if (at < 0) return false
    const missed = frameAll(this.#recent.slice(at + 1), reader.filter)
    if (missed) this.write(reader, missed)
    reader.position = this.#position
    this.#add(reader)
    return true
  }

  /** The same for a reader that has no subscription of its own, and so has not heard about sites either. */
  resume(reader: Reader): boolean {
    if (!this.takeOver(reader)) return false
    if (this.#sites) this.write(reader, Buffer.from(frame(this.#sites)))
    return true
  }

  leave(reader: Reader): void {
    const key = filterKey(reader.filter)
    const group = this.#groups.get(key)
    group?.delete(reader)
    if (group?.size === 0) this.#groups.delete(key)
  }

  close(): void {
    this.#stop.abort()
  }

  write(reader: Reader, bytes: Uint8Array): void {
    reader.push.write(bytes)
    reader.writtenAt = performance.now()
  }

  #add(reader: Reader): void {
    const key = filterKey(reader.filter)
    const group = this.#groups.get(key)
    if (group) group.add(reader)
    else this.#groups.set(key, new Set([reader]))
  }

  /** @returns the failure that ended it; undefined when the feed ended by itself */
  async #run(feed: LiveFeed<Batch>, signal: AbortSignal): Promise<unknown> {
    for (let after: string | undefined; ; ) {
      try {
        for await (const batch of feed.subscribe({ after, signal })) {
          this.#take(batch)
          if (this.#pendingChars >= maxPending) await this.#due
        }
        return undefined
      } catch (failure) {
        this.#flush()
        // One subscription stands for all readers: it goes on as each of them would, once it got further.
        if (signal.aborted) return undefined
        if (this.#position === undefined || this.#position === after) return failure
        after = this.#position
      }
    }
  }

  #take(batch: Batch): void {
    for (const entry of toEntries(batch)) {
      this.#pending.push(entry)
      const chars = frame(entry).length
      this.#pendingChars += chars
      if (entry === 'reset') this.#forget()
      else if ('missing' in entry) this.#sites = entry
      else if ('event' in entry) {
        this.#recent.push(entry)
        this.#recentChars += chars
      }
    }
    if (this.#recent.length > maxRecent || this.#recentChars > maxRecentChars) this.#trim()
    this.#due ??= this.#writeSoon()
  }

  /** Over a reset no position is known. */
  #forget(): void {
    this.#recent = []
    this.#recentChars = 0
  }

  /** Makes room for a quarter more, so that not every event moves all the others. */
  #trim(): void {
    let drop = Math.max(0, this.#recent.length - maxRecent * 0.75)
    for (const entry of this.#recent.slice(0, drop)) this.#recentChars -= frame(entry).length
    while (this.#recentChars > maxRecentChars * 0.75 && drop < this.#recent.length) {
      const entry = this.#recent[drop++]
      if (entry) this.#recentChars -= frame(entry).length
    }
    this.#recent = this.#recent.slice(drop)
  }

  async #writeSoon(): Promise<void> {
    const pauseMs = this.#pauseUntil - performance.now()
    if (pauseMs > 0) await new Promise((resolve) => setTimeout(resolve, pauseMs))
    else await nextTurn()
    const written = this.#flush()
    this.#pauseUntil = performance.now() + Math.min(mostPauseMs, pausePerReaderMs * written)
    this.#due = this.#pending.length > 0 ? this.#writeSoon() : undefined
  }

  /** @returns the number of readers that were written to */
  #flush(): number {
    const entries = this.#pending
    let written = 0
    if (entries.length === 0) return written
    this.#pending = []
    this.#pendingChars = 0
    for (const entry of entries) {
      if (entry === 'reset') this.#place = undefined
      const position = positionAfter(entry)
      if (position !== undefined) this.#position = this.#place = position
    }
    for (const group of this.#groups.values()) {
      const [first] = group
      const bytes = first && frameAll(entries, first.filter)
      for (const reader of group) {
        reader.position = this.#position
        // Events of which the filter lets nothing pass are silence to the reader.
        if (bytes) this.write(reader, bytes)
      }
      if (bytes) written += group.size
    }
    return written
  }
}
