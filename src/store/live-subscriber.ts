import type { LiveEvent } from '../core/live.ts'

/**
 * Maximum events that wait for one subscriber. All subscribers hold the same arrays, so this is also
 * about the maximum that all of them hold together.
 */
const maxQueued = 20_000

/** The events that one subscriber of the live feed has not taken yet. */
export class LiveSubscriber {
  /** The subscriber has everything up to this position. */
  from = 0
  readonly #queue: (readonly LiveEvent[])[] = []
  #queued = 0
  #ended: string | undefined
  #wake = () => {}

  push(pos: number, events: readonly LiveEvent[]): void {
    if (pos <= this.from || this.#ended !== undefined) return
    this.#queue.push(events)
    this.#queued += events.length
    // A batch alone is never too much: its size is bounded where it was stored.
    if (this.#queued > maxQueued && this.#queue.length > 1) this.#end('the subscriber is too slow')
    this.#wake()
  }

  /** The history that the subscriber has is no longer the one before the next batch: it starts over. */
  cut(): void {
    this.#end('the history went back')
    this.#wake()
  }

  #end(why: string): void {
    this.#ended ??= why
    this.#queue.length = 0
  }

  /** The next batch; undefined once the signal aborted. @throws when the subscriber was cut off */
  async next(signal: AbortSignal): Promise<readonly LiveEvent[] | undefined> {
    while (!signal.aborted) {
      if (this.#ended !== undefined) throw new Error(this.#ended)
      const events = this.#queue.shift()
      if (events) {
        this.#queued -= events.length
        return events
      }
      await this.#more(signal)
    }
    return undefined
  }

  /** Removes its listener: a stream may last for months. */
  #more(signal: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      const done = () => {
        signal.removeEventListener('abort', done)
        resolve()
      }
      this.#wake = done
      signal.addEventListener('abort', done, { once: true })
    })
  }
}
