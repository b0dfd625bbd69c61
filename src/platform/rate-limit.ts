import { Lru } from './lru.ts'

export type RateLimitOptions = {
  /** Tries that may follow each other without a pause. */
  most: number
  /** After how long another one is allowed, in milliseconds. */
  everyMs: number
  /** Maximum callers remembered; the one not seen for longest is forgotten first. */
  callers: number
  now?: () => number
}

/** Limits how often each caller may try something: a bucket for each, limited in number. */
export class RateLimit {
  readonly #options: RateLimitOptions
  readonly #now: () => number
  /** The time at which the bucket of a caller is empty again, in milliseconds. */
  readonly #emptyAt: Lru<string, number>

  constructor(options: RateLimitOptions) {
    this.#options = options
    this.#emptyAt = new Lru(options.callers)
    this.#now = options.now ?? (() => performance.now())
  }

  /** Counts a try. @returns 0, or after how many whole seconds the next one is allowed */
  take(caller: string): number {
    const { most, everyMs } = this.#options
    const now = this.#now()
    const emptyAt = Math.max(now, this.#emptyAt.get(caller) ?? 0)
    const overMs = emptyAt + everyMs - now - most * everyMs
    this.#emptyAt.set(caller, overMs > 0 ? emptyAt : emptyAt + everyMs)
    return overMs > 0 ? Math.ceil(overMs / 1000) : 0
  }
}
