import type { Accept } from './admission.ts'
import type { Event } from './event.ts'
import type { Micros } from './time.ts'

/** Jobs of a generation; at about 150 bytes each, two of them are 20 MB at most. */
const defaultSize = 65_536

/**
 * When jobs started whose start passed here. It lets the first hop repeat `started_at` on the events
 * of programs that do not.
 *
 * The `size` jobs that were used last are always remembered, and never more than twice as many. Jobs
 * live in two generations: a used job moves to the young one; when that is full it becomes the old
 * one, and the old one is forgotten whole. So no call ever searches for the job to forget, and a call
 * costs the same after a million jobs as after a thousand.
 */
export class StartTimes {
  #young = new Map<string, Micros>()
  #old = new Map<string, Micros>()
  readonly #size: number

  constructor(size = defaultSize) {
    this.#size = size
  }

  /** Learns from an event that was taken in. */
  see({ event, entity }: Event): void {
    if (event.kind === 'started') this.#remember(entity.id, event.started_at ?? event.at)
  }

  startOf(id: string): Micros | undefined {
    const young = this.#young.get(id)
    if (young !== undefined) return young
    const old = this.#old.get(id)
    if (old !== undefined) this.#remember(id, old)
    return old
  }

  #remember(id: string, start: Micros): void {
    this.#young.set(id, start)
    if (this.#young.size < this.#size) return
    this.#old = this.#young
    this.#young = new Map()
  }
}

/** Accepts as `accept` does, and learns the starts among what is new. */
export function withStartTimes(accept: Accept, times: StartTimes): Accept {
  return async (items) => {
    const verdicts = await accept(items)
    for (const [i, { event }] of items.entries()) if (verdicts[i] === 'stored') times.see(event)
    return verdicts
  }
}
