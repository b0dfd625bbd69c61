import type { LiveEvent } from '../core/live.ts'

/**
 * Most events that one reader may be behind in memory. All readers hold the same arrays, so this is
 * also about the most that all of them hold together.
 */
const maxQueued = 20_000

/** What one reader of the live feed has not taken yet. */
export class LiveSubscriber {
  /** What lies at or below this position it has already. */
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
    if (this.#queued > maxQueued && this.#queue.length > 1) this.#end('the reader is too slow')
    this.#wake()
  }

  /** What the reader has is no longer what comes before the next: it has to begin again. */
  cut(): void {
    this.#end('the history went back')
    this.#wake()
  }

  #end(why: string): void {
    this.#ended ??= why
    this.#queue.length = 0
  }

  /** The next batch; undefined once the signal aborted. @throws when the reader was cut off */
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

  /** Leaves no listener behind: a stream may last for months. */
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
