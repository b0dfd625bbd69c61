import { AppError } from '../../core/errors.ts'

/** How many questions are read at the same time: a thread is one core, and more would all be late. */
const abreast = 3

/** Lets some questions in at a time, in the order in which they came. */
export class Turns {
  #running = 0
  readonly #waiting = new Set<() => void>()

  /**
   * @param endsAt until when it waits, from performance.now()
   * @returns ends the turn
   * @throws AppError unreachable when others take too long; the signal's reason
   */
  async take(endsAt: number, signal: AbortSignal): Promise<() => void> {
    signal.throwIfAborted()
    if (this.#running >= abreast) await this.#wait(endsAt, signal)
    else this.#running++
    let isOver = false
    return () => {
      if (!isOver) this.#next()
      isOver = true
    }
  }

  #wait(endsAt: number, signal: AbortSignal): Promise<void> {
    const { promise, resolve, reject } = Promise.withResolvers<void>()
    const busy = 'the archive is busy with other questions; try later'
    // Out of the row first, or a turn could be handed to one that has left.
    const leaveWith = (error: unknown) => {
      this.#waiting.delete(resolve)
      reject(error)
    }
    const late = () => leaveWith(new AppError('unreachable', busy))
    const timer = setTimeout(late, Math.max(0, endsAt - performance.now()))
    const leave = () => leaveWith(signal.reason)
    signal.addEventListener('abort', leave, { once: true })
    this.#waiting.add(resolve)
    return promise.finally(() => {
      clearTimeout(timer)
      signal.removeEventListener('abort', leave)
    })
  }

  /** Hands the turn to the one that waits longest. */
  #next(): void {
    const [first] = this.#waiting
    if (!first) {
      this.#running--
      return
    }
    this.#waiting.delete(first)
    first()
  }
}
