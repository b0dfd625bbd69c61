import { AppError } from '../core/errors.ts'

export type BudgetOptions = {
  /** Bytes in use at the same time by all callers together. */
  total: number
  /** Bytes in use at the same time by one caller. */
  share: number
  /** Maximum time to wait for room, in milliseconds. */
  waitMs: number
}

/** Room in a budget. `shrink` gives a part of it back, `give` the rest; both may be called again. */
export type Room = { shrink: (bytes: number) => void; give: () => void }

/** For what is so small that it is not counted. */
export const noRoom: Room = { shrink: () => {}, give: () => {} }

type Waiting = { caller: string; bytes: number; enter: () => void }

/**
 * Bytes of memory that callers share. Whoever needs room waits for all of it, in the order of
 * arrival, so that nobody waits while holding a part; a caller that used up its share does not hold up
 * the others. More than fits is let in when its caller, or when nobody, uses any.
 */
export class ByteBudget {
  readonly #options: BudgetOptions
  readonly #byCaller = new Map<string, number>()
  #used = 0
  readonly #waiting = new Set<Waiting>()

  constructor(options: BudgetOptions) {
    this.#options = options
  }

  /** Bytes in use now, and how many wait for room. */
  state(): { used: number; waiting: number } {
    return { used: this.#used, waiting: this.#waiting.size }
  }

  /**
   * @param gone aborts when the caller no longer waits
   * @throws AppError overloaded, after `waitMs`; unreadable, when the caller is gone
   */
  async take(caller: string, bytes: number, gone?: AbortSignal): Promise<Room> {
    if (this.#waiting.size > 0 || !this.#fits(caller, bytes)) await this.#wait(caller, bytes, gone)
    else this.#add(caller, bytes)
    let held = bytes
    const shrink = (to: number) => {
      if (to >= held) return
      this.#add(caller, to - held)
      held = to
      this.#letIn()
    }
    return { shrink, give: () => shrink(0) }
  }

  #wait(caller: string, bytes: number, gone?: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      const leave = (error: AppError) => {
        over()
        reject(error)
        this.#letIn()
      }
      const waiting: Waiting = {
        caller,
        bytes,
        enter: () => {
          over()
          this.#add(caller, bytes)
          resolve()
        },
      }
      const onGone = () => leave(new AppError('unreadable', 'the caller went away'))
      const timer = setTimeout(() => leave(noPlace()), this.#options.waitMs).unref()
      const over = () => {
        clearTimeout(timer)
        gone?.removeEventListener('abort', onGone)
        this.#waiting.delete(waiting)
      }
      gone?.addEventListener('abort', onGone)
      this.#waiting.add(waiting)
      this.#letIn()
    })
  }

  /** Those that fit, in their order. One that does not fit holds up all after it, but for its own share. */
  #letIn(): void {
    for (const waiting of this.#waiting) {
      const { caller, bytes, enter } = waiting
      if (this.#fits(caller, bytes)) enter()
      else if (this.#hasShare(caller, bytes)) return
    }
  }

  #fits(caller: string, bytes: number): boolean {
    const { total } = this.#options
    return this.#hasShare(caller, bytes) && (this.#used + bytes <= total || this.#used === 0)
  }

  #hasShare(caller: string, bytes: number): boolean {
    const used = this.#byCaller.get(caller) ?? 0
    return used === 0 || used + bytes <= this.#options.share
  }

  #add(caller: string, bytes: number): void {
    this.#used += bytes
    const used = (this.#byCaller.get(caller) ?? 0) + bytes
    if (used > 0) this.#byCaller.set(caller, used)
    else this.#byCaller.delete(caller)
  }
}

const noPlace = () =>
  new AppError('overloaded', 'too many large requests at the same time; send it again later', {
    retryAfterS: 5,
  })
