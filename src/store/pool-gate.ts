import { AppError } from '../core/errors.ts'

type Waiter = { enter: () => void }

/**
 * Lets at most `size` pieces of work use the pool at the same time; the others wait here in order.
 *
 * The driver alone queues the surplus on busy connections, after the statements that run there, and
 * does not report how many are free.
 */
export class PoolGate {
  readonly size: number
  readonly #maxWaiting: number
  readonly #onChange: (free: number) => void
  readonly #waiting: Waiter[] = []
  #free: number

  constructor(size: number, { maxWaiting = 1000, onChange = (_free: number) => {} } = {}) {
    this.size = size
    this.#free = size
    this.#maxWaiting = maxWaiting
    this.#onChange = onChange
  }

  get free(): number {
    return this.#free
  }

  /**
   * Resolves once there is a place. The caller must then `leave`, once.
   *
   * @throws the signal's reason; AppError overloaded, after `timeoutMs` or when too many wait
   */
  async enter(timeoutMs: number, signal?: AbortSignal): Promise<void> {
    signal?.throwIfAborted()
    if (this.#free > 0) return this.#set(this.#free - 1)
    if (this.#waiting.length >= this.#maxWaiting) throw busy()
    await new Promise<void>((resolve, reject) => {
      const waiter = { enter: () => settle(resolve) }
      const giveUp = (error: unknown) => {
        this.#waiting.splice(this.#waiting.indexOf(waiter), 1)
        settle(() => reject(error))
      }
      const onAbort = () => giveUp(signal?.reason)
      const timer = setTimeout(() => giveUp(busy()), timeoutMs)
      const settle = (then: () => void) => {
        clearTimeout(timer)
        signal?.removeEventListener('abort', onAbort)
        then()
      }
      signal?.addEventListener('abort', onAbort, { once: true })
      this.#waiting.push(waiter)
    })
  }

  leave(): void {
    const next = this.#waiting.shift()
    // The room passes on; how many are free stays the same.
    if (next) next.enter()
    else this.#set(this.#free + 1)
  }

  #set(free: number): void {
    this.#free = free
    this.#onChange(free)
  }
}

const busy = () =>
  new AppError('overloaded', 'all database connections are busy', { retryAfterS: 1 })
