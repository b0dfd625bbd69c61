import type { StoredEvent } from '../core/job.ts'
import { must } from '../core/must.ts'

/** An event of a site with its id there, or a gap before what follows. */
export type Entry = { id: string; event: StoredEvent } | 'reset'

export type LogLimits = {
  /** Maximum events kept (default 5000). */
  maxEvents?: number
  /** Maximum size of the events kept, in characters of JSON (default 2,000,000). */
  maxChars?: number
}

/**
 * The last events of one site, for readers that each have a position in it.
 *
 *  - Entries have numbers without gaps. A reader names the next number that it wants.
 *  - Bounded in number and in size; the oldest are dropped first, with or without readers.
 *  - `after(id)` is exact or unknown: from the number it gives on, the log has every event after that
 *    id. Over a reset no id is known.
 */
export class EventLog {
  readonly #maxEvents: number
  readonly #maxChars: number
  readonly #entries: { entry: Entry; chars: number }[] = []
  readonly #numbers = new Map<string, number>()
  #first = 0
  #chars = 0
  /** The log has every event after this id, from `#startAt` on; undefined when that is unknown. */
  #startId: string | undefined
  #startAt = 0

  constructor(startId: string | undefined, { maxEvents = 5000, maxChars = 2e6 }: LogLimits = {}) {
    this.#startId = startId
    this.#maxEvents = maxEvents
    this.#maxChars = maxChars
  }

  /** The number of the oldest entry that is kept. */
  get first(): number {
    return this.#first
  }

  /** The number that the next entry will have. */
  get end(): number {
    return this.#first + this.#entries.length
  }

  /** The id after which the next entry comes; undefined when that is unknown. */
  get endId(): string | undefined {
    const last = this.#entries.at(-1)?.entry
    if (last !== undefined && last !== 'reset') return last.id
    return this.#startAt === this.end ? this.#startId : undefined
  }

  at(number: number): Entry | undefined {
    return this.#entries[number - this.#first]?.entry
  }

  /** The number of the event with this id. */
  find(id: string): number | undefined {
    return this.#numbers.get(id)
  }

  /** The number from which on a reader that has seen this id misses nothing; undefined if unknown. */
  after(id: string): number | undefined {
    const number = this.#numbers.get(id)
    if (number !== undefined) return number + 1
    return id === this.#startId ? this.#startAt : undefined
  }

  /** @param chars size of the event, in characters */
  append(id: string, event: StoredEvent, chars: number): void {
    this.#numbers.set(id, this.end)
    this.#push({ id, event }, chars)
  }

  /**
   * The log has every event after this id, from its end on: a heartbeat says so where no event does.
   *
   * @returns true when that was not known
   */
  mark(id: string): boolean {
    if (this.endId !== undefined) return false
    this.#startId = id
    this.#startAt = this.end
    return true
  }

  reset(): void {
    this.#numbers.clear()
    this.#push('reset', 0)
    this.#startId = undefined
  }

  #push(entry: Entry, chars: number): void {
    this.#entries.push({ entry, chars })
    this.#chars += chars
    if (this.#entries.length > this.#maxEvents || this.#chars > this.#maxChars) this.#trim()
  }

  /** Makes room for a quarter more, so that not every event moves all the others. */
  #trim(): void {
    let drop = 0
    while (
      this.#entries.length - drop > this.#maxEvents * 0.75 ||
      this.#chars > this.#maxChars * 0.75
    ) {
      const { entry, chars } = must(this.#entries[drop], 'an empty log is within its limits')
      drop++
      this.#chars -= chars
      // Ids of before a reset are forgotten already, and a reader of them must not start here.
      if (entry === 'reset' || this.#numbers.get(entry.id) !== this.#first + drop - 1) continue
      this.#numbers.delete(entry.id)
      this.#startId = entry.id
      this.#startAt = this.#first + drop
    }
    this.#entries.splice(0, drop)
    this.#first += drop
  }
}
