import { sleep } from '../platform/backoff.ts'

/** Holds deliveries back so that no more than so many events a second go out, over more than a batch. */
export class Pace {
  readonly #eventsPerS: number
  #freeAt = 0

  constructor(eventsPerS: number) {
    this.#eventsPerS = eventsPerS
  }

  /** Waits for the turn of so many events, or until the signal aborts. */
  async wait(events: number, signal: AbortSignal): Promise<void> {
    const now = performance.now()
    const start = Math.max(now, this.#freeAt)
    this.#freeAt = start + (events / this.#eventsPerS) * 1000
    if (start > now) await sleep(start - now, signal)
  }
}
