import { AppError } from '../core/errors.ts'
import { HttpFailure } from '../platform/http-failure.ts'

export type BreakerOptions = {
  /** Asks the other side for something cheap. @throws the reason why it is away */
  probe: () => Promise<unknown>
  /** Failures in a row after which questions are held back (default 3). */
  limit?: number
  /** Pause between two questions let through, in milliseconds (default 3000). */
  restMs?: number
  now?: () => number
}

/**
 * Holds questions back from a side that is away, so that none waits its whole timeout for nothing.
 *
 *  - Closed: every question goes. It opens after `limit` exchanges in a row that got no answer; an
 *    answer of any kind, also a refusal, starts the count again.
 *  - Open: one question goes, as if there were no breaker, and a probe beside it; the next one `restMs`
 *    after it, and after the probe if that fails later. The others wait for whichever answers first,
 *    or fail with the last failure. Questions that all are too heavy for the timeout thus never shut
 *    out light ones, because the probe is answered; and a side whose probe is broken is found by the
 *    question.
 */
export class Breaker {
  readonly #options: BreakerOptions
  readonly #now: () => number
  #failures = 0
  /** When a probe was last begun or failed, since it opened. */
  #probedAt = -Infinity
  /** Settles when the probe is answered, or a question was. */
  #verdict = Promise.withResolvers<void>()
  /** The last failure. */
  #reason: unknown

  constructor(options: BreakerOptions) {
    this.#options = options
    this.#now = options.now ?? (() => performance.now())
  }

  get isOpen(): boolean {
    return this.#failures >= (this.#options.limit ?? 3)
  }

  /** Asks, unless the other side is known to be away. */
  async run<T>(signal: AbortSignal, ask: () => Promise<T>): Promise<T> {
    if (this.isOpen) await this.#admit(signal)
    try {
      const answer = await ask()
      this.close()
      return answer
    } catch (error) {
      if (signal.aborted) throw error
      if (isOutage(error)) this.#note(error)
      else this.close()
      throw error
    }
  }

  /** The other side was heard. */
  close(): void {
    this.#failures = 0
    // The next outage is another one: it is not judged by the probe of this one.
    this.#probedAt = -Infinity
    this.#verdict.resolve()
  }

  #note(reason: unknown): void {
    this.#failures++
    this.#reason = reason
  }

  async #admit(signal: AbortSignal): Promise<void> {
    if (this.#now() - this.#probedAt >= (this.#options.restMs ?? 3000)) return this.#probe()
    await unlessAborted(this.#verdict.promise, signal)
    if (this.isOpen) throw this.#reason
  }

  #probe(): void {
    this.#probedAt = this.#now()
    const verdict = Promise.withResolvers<void>()
    // Those that wait for an earlier probe, which may hang, wait for this one as well.
    void verdict.promise.then(this.#verdict.resolve)
    this.#verdict = verdict
    this.#options.probe().then(
      () => this.close(),
      (reason: unknown) => {
        this.#reason = reason
        // A probe that ran into its timeout has lasted for a pause already.
        if (this.#verdict === verdict && this.isOpen) this.#probedAt = this.#now()
        verdict.resolve()
      },
    )
  }
}

/** The exchange got no answer; a refusal or an error of the other side is one. */
export const isOutage = (error: unknown) =>
  error instanceof AppError && error.cause instanceof HttpFailure

async function unlessAborted(promise: Promise<void>, signal: AbortSignal): Promise<void> {
  const aborted = Promise.withResolvers<never>()
  const leave = () => aborted.reject(signal.reason)
  signal.throwIfAborted()
  signal.addEventListener('abort', leave, { once: true })
  try {
    await Promise.race([promise, aborted.promise])
  } finally {
    signal.removeEventListener('abort', leave)
  }
}
