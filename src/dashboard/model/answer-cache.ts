import { AppError } from '../../core/errors.ts'
import { must } from '../../core/must.ts'
import { clock } from '../../platform/clock.ts'

/** An answer, its time, and the reason when there is no newer one. */
export type CachedAnswer<T> = {
  value: T
  /** Milliseconds since 1970. */
  at: number
  /** The failure for which an old answer stands in; undefined when the answer is current. */
  failure: AppError | undefined
}

export type AnswerCacheOptions = {
  /** How long an answer is current, in milliseconds. */
  freshMs: number
  /** How long after a failure the old answer is given without asking again, in milliseconds. */
  restMs: number
  /**
   * Maximum rows in the answers kept, an answer without a list being one; the least recently asked goes
   * first. An open page asks up to ten questions, and needs all of them to show anything in an outage.
   */
  mostRows: number
  /** Milliseconds since 1970; for tests. */
  now?: () => number
}

type Entry = {
  /** The last good answer, when it was asked for, and the same by the time of day. */
  kept?: { since: number; era: number; at: number; value: unknown }
  /** The question in progress, and its start; callers that ask meanwhile share it. */
  pending?: { era: number; answer: Promise<void> }
  outage?: { at: number; failure: AppError }
  /** What it counts against the limit. */
  rows: number
}

/**
 * Answers of the API, shared by all browsers: many pages that ask the same within a moment cost one
 * question, and while the API is away the last answer is still there, with its age. Bounded by the rows
 * in the answers; those that are kept for long, because they cost most, have their own share.
 */
export class AnswerCache {
  readonly #entries = { brief: new Map<string, Entry>(), kept: new Map<string, Entry>() }
  readonly #rows = { brief: 0, kept: 0 }
  readonly #options: AnswerCacheOptions
  readonly #timeOfDay: () => number
  /** Ages and order go by this: a clock that is set back would keep old answers for new ones. */
  readonly #now: () => number
  /** Counts the changes: answers of an earlier era may be outdated. */
  #era = 0

  constructor(options: AnswerCacheOptions) {
    this.#options = options
    this.#timeOfDay = options.now ?? clock.nowMs
    this.#now = options.now ?? (() => performance.now())
  }

  /**
   * The answer to `load`, known by `key`. `load` serves every caller that asks: it must not end with
   * one of them.
   *
   * @param keepMs how long an answer is current even when something changes; `freshMs` otherwise
   * @throws what `load` throws, unless it is an outage and there is an older answer
   */
  async ask<T>(
    key: string,
    load: () => Promise<T>,
    keepMs?: (answer: T) => number,
  ): Promise<CachedAnswer<T>> {
    const share = keepMs === undefined ? 'brief' : 'kept'
    const entry = this.#entry(key, share)
    const { kept, outage } = entry
    const { freshMs, restMs } = this.#options
    const isOfNow = keepMs !== undefined || kept?.era === this.#era
    const currentMs = kept && keepMs ? keepMs(kept.value as T) : freshMs
    if (kept && isOfNow && this.#now() - kept.since < currentMs) return cached<T>(kept)
    if (kept && outage && this.#now() - outage.at < restMs) {
      return cached<T>(kept, outage.failure)
    }
    if (!entry.pending || entry.pending.era < this.#era) this.#start(entry, load)
    try {
      await entry.pending?.answer
      this.#weigh(key, entry, share)
      return cached<T>(must(entry.kept, 'a question that succeeded keeps its answer'))
    } catch (error) {
      if (!entry.kept || !(error instanceof AppError) || !error.retryable) throw error
      return cached<T>(entry.kept, error)
    }
  }

  /** Answers given until now may be outdated. They stay, for an outage. */
  expire(): void {
    this.#era++
  }

  #start(entry: Entry, load: () => Promise<unknown>): void {
    const asked = { since: this.#now(), era: this.#era, at: this.#timeOfDay() }
    entry.pending = { era: this.#era, answer: this.#load(entry, load, asked) }
  }

  async #load(
    entry: Entry,
    load: () => Promise<unknown>,
    asked: { since: number; era: number; at: number },
  ): Promise<void> {
    try {
      // The time is that of the question: later changes may not be in the answer.
      const value = await load()
      if (!entry.kept || entry.kept.era <= asked.era) entry.kept = { value, ...asked }
      delete entry.outage
    } catch (error) {
      if (error instanceof AppError) entry.outage = { at: this.#now(), failure: error }
      throw error
    } finally {
      if (entry.pending?.era === asked.era) delete entry.pending
    }
  }

  /** The entry of the key, which counts as a use. */
  #entry(key: string, share: Share): Entry {
    const entries = this.#entries[share]
    const known = entries.get(key)
    const entry = known ?? { rows: 1 }
    if (!known) this.#rows[share]++
    entries.delete(key)
    entries.set(key, entry)
    this.#dropOldest(share)
    return entry
  }

  #weigh(key: string, entry: Entry, share: Share): void {
    // It was dropped while it was asked.
    if (this.#entries[share].get(key) !== entry) return
    const rows = countRows(entry.kept?.value)
    this.#rows[share] += rows - entry.rows
    entry.rows = rows
    this.#dropOldest(share)
  }

  #dropOldest(share: Share): void {
    const entries = this.#entries[share]
    for (const [key, { rows }] of entries) {
      if (this.#rows[share] <= this.#options.mostRows || entries.size === 1) return
      entries.delete(key)
      this.#rows[share] -= rows
    }
  }
}

type Share = 'brief' | 'kept'

/** The rows of a list, or of a page of one; everything else is one. */
function countRows(value: unknown): number {
  const list = Array.isArray(value) ? value : (value as { items?: unknown } | undefined)?.items
  return Array.isArray(list) ? Math.max(1, list.length) : 1
}

const cached = <T>(kept: { at: number; value: unknown }, failure?: AppError): CachedAnswer<T> => ({
  value: kept.value as T,
  at: kept.at,
  failure,
})
