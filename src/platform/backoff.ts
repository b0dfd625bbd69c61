/**
 * Waits `ms`, or until the signal aborts. Never rejects: the caller checks the signal, because
 * stopping is not an error.
 */
export function sleep(ms: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal?.aborted) return resolve()
    const done = () => {
      clearTimeout(timer)
      signal?.removeEventListener('abort', done)
      resolve()
    }
    const timer = setTimeout(done, ms)
    signal?.addEventListener('abort', done, { once: true })
  })
}

export type BackoffOptions = {
  /** First wait, in milliseconds. */
  firstMs?: number
  /** Longest wait, in milliseconds. */
  maxMs?: number
  /** A number from 0 to 1; for tests. */
  random?: () => number
}

/**
 * Exponential backoff with full jitter over the upper half: the n-th wait lies between half of
 * and the whole of `firstMs * 2^n`, never over `maxMs`. Half is kept so that a retry never comes
 * immediately; the other half is spread so that many sidecars do not return in step.
 */
export class Backoff {
  readonly #firstMs: number
  readonly #maxMs: number
  readonly #random: () => number
  #failures = 0

  constructor({ firstMs = 200, maxMs = 30_000, random = Math.random }: BackoffOptions = {}) {
    this.#firstMs = firstMs
    this.#maxMs = maxMs
    this.#random = random
  }

  /** Failures in a row. */
  get failures(): number {
    return this.#failures
  }

  /** Counts a failure. @returns the time to wait, in milliseconds */
  next(): number {
    const whole = Math.min(this.#maxMs, this.#firstMs * 2 ** Math.min(this.#failures, 30))
    this.#failures++
    return whole / 2 + (whole / 2) * this.#random()
  }

  reset(): void {
    this.#failures = 0
  }
}
