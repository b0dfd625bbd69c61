import type { StoredEvent } from '../core/job.ts'
import { parseText } from '../core/json.ts'
import type { LivePosition } from '../core/live.ts'
import { fromMs, type Micros } from '../core/time.ts'
import { Backoff, sleep } from '../platform/backoff.ts'
import { clock } from '../platform/clock.ts'
import type { SseMessage } from '../platform/sse.ts'
import { type Entry, EventLog, type LogLimits } from './event-log.ts'
import type { RemoteSite } from './remote-reader.ts'

/** The outage of a site: its start and its reason. */
export type Outage = { since: Micros; error: string }

/** Undefined while there is contact with the site. */
type State = { outage: Outage | undefined }

/** An event, a gap, a change of state, or the position of a reader that had none. */
export type SiteNews = Entry | State | LivePosition

export type FollowerOptions = LogLimits & {
  reader: Pick<RemoteSite, 'follow'>
  /** Called when contact with the site begins or ends. */
  onChange?: (heard: boolean) => void
  /** First and longest pause before the site is tried again, in milliseconds. */
  firstMs?: number
  maxMs?: number
  /** Maximum readers that catch up at the same time, each on a connection of its own (default 8). */
  maxCatchingUp?: number
  now?: () => number
}

/**
 * The live stream of one site for all who read it.
 *
 *  - One connection to the site for all readers, from the first one until the last one leaves. It
 *    resumes after the last event that it heard.
 *  - A reader gets every event after its position, in order, each once, or a `reset`. A position that
 *    is not in the log is older (or newer) than the shared connection: that reader gets a connection
 *    of its own until both have seen the same event. Beyond `maxCatchingUp` such readers get a `reset`.
 *  - A reader without a position begins with what comes next on the shared connection, and is told the
 *    position of that as soon as it is known: it can then resume though the site stays silent.
 *  - The connection never waits for a reader. One that the log has overtaken is cut off with an error;
 *    it comes back with its position, and catches up at its own pace.
 */
export class SiteFollower {
  readonly #options: FollowerOptions
  #readers = 0
  #catchingUp = 0
  #log = new EventLog(undefined)
  #stop = new AbortController()
  /** Undefined until the first attempt has succeeded or failed. */
  #state: State | undefined
  #news = Promise.withResolvers<void>()

  constructor(options: FollowerOptions) {
    this.#options = options
  }

  /** News of the site from after `after`, until the signal aborts. */
  async *follow(after: string | undefined, signal: AbortSignal): AsyncGenerator<SiteNews> {
    const wake = () => this.#wake()
    signal.addEventListener('abort', wake, { once: true })
    if (this.#readers++ === 0) this.#start(after)
    try {
      const cursor = after === undefined ? this.#log.end : this.#log.after(after)
      yield* this.#tail(cursor ?? (yield* this.#catchUp(after ?? '', signal)), signal)
    } finally {
      signal.removeEventListener('abort', wake)
      if (--this.#readers === 0) this.#stop.abort()
    }
  }

  /** Entries of the shared connection, from entry `cursor` on. */
  async *#tail(cursor: number, signal: AbortSignal): AsyncGenerator<SiteNews> {
    const log = this.#log
    let told: State | undefined
    let next = cursor
    let isPlaced = false
    // The signal is looked at again after every yield: a wake-up meanwhile is gone.
    while (!signal.aborted) {
      if (next < log.first) throw new Error('the reader is too slow for the events of a site')
      const entry = log.at(next)
      if (this.#state && this.#state !== told) {
        told = this.#state
        yield told
      } else if (entry !== undefined) {
        next++
        isPlaced = entry !== 'reset'
        yield entry
      } else if (!isPlaced && log.endId !== undefined) {
        isPlaced = true
        yield { position: log.endId }
      } else await this.#news.promise
    }
  }

  /**
   * Entries of a connection of its own, until the shared one has them as well.
   *
   * @returns the number of the entry to continue with
   */
  async *#catchUp(after: string, signal: AbortSignal): AsyncGenerator<SiteNews, number> {
    const { maxCatchingUp = 8 } = this.#options
    if (this.#catchingUp >= maxCatchingUp) return yield* this.#skip()
    const own = new AbortController()
    this.#catchingUp++
    try {
      return yield* this.#untilMet(after, AbortSignal.any([signal, own.signal]))
    } finally {
      this.#catchingUp--
      own.abort()
    }
  }

  async *#untilMet(after: string, signal: AbortSignal): AsyncGenerator<SiteNews, number> {
    const { reader } = this.#options
    const backoff = this.#backoff()
    const log = this.#log
    let last = after
    let heard = false
    while (!signal.aborted) {
      try {
        for await (const message of reader.follow(last, signal)) {
          if (!heard) yield { outage: undefined }
          heard = true
          backoff.reset()
          if (message.event === 'reset') return yield* this.#skip()
          const isEvent = message.event !== 'comment'
          const met = log.after(last) ?? (isEvent ? log.find(message.id) : undefined)
          if (met !== undefined) return met
          if (message.id !== '') last = message.id
          if (isEvent) yield toEntry(message)
        }
      } catch (error) {
        if (signal.aborted) break
        if (heard || backoff.failures === 0) yield { outage: this.#outage(error) }
        heard = false
      }
      await sleep(backoff.next(), signal)
    }
    return log.end
  }

  /** Continues with the next entry; the reader must be told that it missed events. */
  async *#skip(): AsyncGenerator<SiteNews, number> {
    const { end } = this.#log
    yield 'reset'
    return end
  }

  #start(after: string | undefined): void {
    this.#stop = new AbortController()
    this.#log = new EventLog(after, this.#options)
    this.#state = undefined
    void this.#run(this.#log, after, this.#stop.signal)
  }

  /** The shared connection: fills the log until the last reader has left. */
  async #run(log: EventLog, after: string | undefined, signal: AbortSignal): Promise<void> {
    const backoff = this.#backoff()
    let position = after
    while (!signal.aborted) {
      try {
        for await (const message of this.#options.reader.follow(position, signal)) {
          if (signal.aborted) return
          this.#heard(log, position)
          backoff.reset()
          // First: an event that cannot be read now cannot be read the next time either.
          if (message.id !== '') position = message.id
          this.#append(log, message)
        }
      } catch (error) {
        if (signal.aborted) return
        this.#lost(error)
      }
      await sleep(backoff.next(), signal)
    }
  }

  #append(log: EventLog, message: SseMessage): void {
    if (message.event === 'comment') {
      if (message.id !== '' && log.mark(message.id)) this.#wake()
      return
    }
    if (message.event === 'reset') log.reset()
    else log.append(message.id, parseText(message.data) as StoredEvent, message.data.length)
    this.#wake()
  }

  #heard(log: EventLog, position: string | undefined): void {
    if (this.#state && !this.#state.outage) return
    // Events of an outage are unknown when there was no position to resume from.
    if (this.#state?.outage && position === undefined) log.reset()
    this.#setState(undefined)
  }

  #lost(error: unknown): void {
    // Once for each outage: "since" is its start, not the last attempt.
    if (!this.#state?.outage) this.#setState(this.#outage(error))
  }

  #setState(outage: Outage | undefined): void {
    this.#state = { outage }
    this.#options.onChange?.(outage === undefined)
    this.#wake()
  }

  #outage(error: unknown): Outage {
    const { now = clock.nowMs } = this.#options
    return this.#state?.outage ?? { since: fromMs(now()), error: (error as Error).message }
  }

  #backoff(): Backoff {
    const { firstMs = 500, maxMs = 10_000 } = this.#options
    return new Backoff({ firstMs, maxMs })
  }

  #wake(): void {
    this.#news.resolve()
    this.#news = Promise.withResolvers()
  }
}

const toEntry = ({ id, data }: SseMessage): Entry => ({
  id,
  event: parseText(data) as StoredEvent,
})
