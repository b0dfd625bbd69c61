import { must } from '../core/must.ts'

/**
 * The last answer to one question, and its age. Callers within `freshMs` share it, and so do callers
 * while it is being asked.
 */
export class LastKnown<T> {
  readonly #freshMs: number
  readonly #now: () => number
  #last: { value: T; at: number } | undefined
  #pending: Promise<{ value: T; at: number }> | undefined

  constructor(freshMs: number, now = () => performance.now()) {
    this.#freshMs = freshMs
    this.#now = now
  }

  /** @param load must not reject: an outage is an answer as well */
  async ask(load: () => Promise<T>): Promise<{ value: T; ageMs: number }> {
    const isFresh = this.#last && this.#now() - this.#last.at < this.#freshMs
    if (!isFresh) this.#pending ??= this.#load(load)
    const { value, at } = (await this.#pending) ?? must(this.#last, 'it is fresh')
    return { value, ageMs: this.#now() - at }
  }

  async #load(load: () => Promise<T>): Promise<{ value: T; at: number }> {
    try {
      this.#last = { value: await load(), at: this.#now() }
      return this.#last
    } finally {
      this.#pending = undefined
    }
  }
}
