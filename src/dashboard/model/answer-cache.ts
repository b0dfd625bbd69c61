import { AppError } from '../../core/errors.ts'

/** An answer, when it was given, and why there is no newer one. */
export type Remembered<T> = {
  value: T
  /** Milliseconds since 1970. */
  at: number
  /** The failure because of which an old answer is given; undefined when the answer is current. */
  failure: AppError | undefined
}

export type MemoryOptions = {
  /** How long an answer counts as current, in milliseconds. */
  freshMs: number
  /** How long after an outage the old answer is given without asking again, in milliseconds. */
  restMs: number
  /** Most answers kept; the one that was not asked for longest goes first. */
  most: number
  now?: () => number
}

type Entry = {
  /** The last good answer. */
  kept?: { at: number; value: unknown }
  /** The question under way, and since when; whoever asks meanwhile shares it. */
  pending?: { since: number; answer: Promise<void> }
  outage?: { at: number; failure: AppError }
}

/**
 * Answers of the API, shared by all browsers: many pages that ask the same within a moment cost one
 * question, and when the API is away the last answer is still there, with its age. Bounded in number.
 */
export class AnswerCache {
  readonly #entries = new Map<string, Entry>()
  readonly #options: MemoryOptions
  readonly #now: () => number
  #changedAt = 0

  constructor(options: MemoryOptions) {
    this.#options = options
    this.#now = options.now ?? Date.now
  }

  /**
   * The answer to `load`, known by `key`. `load` serves everybody who asks: it must not depend on
   * one caller's staying.
   *
   * @param keepMs how long the answer counts as current whatever changes; as the options say unless given
   * @throws what `load` throws, unless it is an outage and there is an older answer
   */
  async ask<T>(key: string, load: () => Promise<T>, keepMs?: number): Promise<Remembered<T>> {
    const entry = this.#touch(key)
    const { kept, outage } = entry
    const { freshMs, restMs } = this.#options
    const changedAt = keepMs === undefined ? this.#changedAt : 0
    if (kept && this.#now() - kept.at < (keepMs ?? freshMs) && kept.at >= changedAt)
      return remembered<T>(kept)
    if (kept && outage && this.#now() - outage.at < restMs) {
      return remembered<T>(kept, outage.failure)
    }
    if (!entry.pending || entry.pending.since < this.#changedAt) this.#start(entry, load)
    try {
      await entry.pending?.answer
      return remembered<T>(entry.kept!)
    } catch (error) {
      if (!entry.kept || !(error instanceof AppError) || !error.retryable) throw error
      return remembered<T>(entry.kept, error)
    }
  }

  /** Answers given up to now may be outdated: something changed. Kept still, for an outage. */
  expire(): void {
    this.#changedAt = this.#now()
  }

  #start(entry: Entry, load: () => Promise<unknown>): void {
    const since = this.#now()
    entry.pending = { since, answer: this.#load(entry, load, since) }
  }

  async #load(entry: Entry, load: () => Promise<unknown>, since: number): Promise<void> {
    try {
      // As of when it was asked: what changed while the answer was made may not be in it.
      const value = await load()
      if (!entry.kept || entry.kept.at <= since) entry.kept = { value, at: since }
      delete entry.outage
    } catch (error) {
      if (error instanceof AppError) entry.outage = { at: this.#now(), failure: error }
      throw error
    } finally {
      if (entry.pending?.since === since) delete entry.pending
    }
  }

  #touch(key: string): Entry {
    const entry = this.#entries.get(key) ?? {}
    this.#entries.delete(key)
    this.#entries.set(key, entry)
    if (this.#entries.size > this.#options.most) {
      this.#entries.delete(this.#entries.keys().next().value!)
    }
    return entry
  }
}

const remembered = <T>(
  kept: { at: number; value: unknown },
  failure?: AppError,
): Remembered<T> => ({
  value: kept.value as T,
  at: kept.at,
  failure,
})
