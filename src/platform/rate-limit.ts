export type RateLimitOptions = {
  /** RateLimit that may follow each other at once. */
  most: number
  /** After how long another one is allowed, in milliseconds. */
  everyMs: number
  /** Callers remembered; the one that was not seen for longest is forgotten first. */
  callers: number
  now?: () => number
}

/** Bounds how often each caller may try something: a bucket for each, bounded in number. */
export class RateLimit {
  readonly #options: RateLimitOptions
  readonly #now: () => number
  /** When the bucket of a caller would be empty again, in milliseconds. */
  readonly #emptyAt = new Map<string, number>()

  constructor(options: RateLimitOptions) {
    this.#options = options
    this.#now = options.now ?? Date.now
  }

  /** Counts a try. @returns 0, or after how many whole seconds the next one is allowed */
  take(caller: string): number {
    const { most, everyMs, callers } = this.#options
    const now = this.#now()
    const emptyAt = Math.max(now, this.#emptyAt.get(caller) ?? 0)
    this.#emptyAt.delete(caller)
    const overMs = emptyAt + everyMs - now - most * everyMs
    this.#emptyAt.set(caller, overMs > 0 ? emptyAt : emptyAt + everyMs)
    if (this.#emptyAt.size > callers) this.#emptyAt.delete(this.#emptyAt.keys().next().value!)
    return overMs > 0 ? Math.ceil(overMs / 1000) : 0
  }
}
