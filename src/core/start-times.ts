import type { Event } from './event.ts'
import type { Micros } from './time.ts'

/** Jobs that are remembered; at about 150 bytes each, 10 MB. */
const defaultSize = 65_536

/**
 * When jobs started whose start passed here, the least recently used forgotten first. It lets the
 * first hop repeat `started_at` on the events of programs that do not.
 */
export class StartTimes {
  readonly #starts = new Map<string, Micros>()
  readonly #size: number

  constructor(size = defaultSize) {
    this.#size = size
  }

  /** Learns from an event that was taken in. */
  see({ event, entity }: Event): void {
    if (event.kind === 'started') this.#remember(entity.id, event.started_at ?? event.at)
  }

  startOf(id: string): Micros | undefined {
    const start = this.#starts.get(id)
    if (start !== undefined) this.#remember(id, start)
    return start
  }

  #remember(id: string, start: Micros): void {
    this.#starts.delete(id)
    this.#starts.set(id, start)
    if (this.#starts.size <= this.#size) return
    const [oldest] = this.#starts.keys()
    this.#starts.delete(oldest!)
  }
}
