/** What several writers put in and one reader takes out: bounded, in order, over with the signal. */
export class BoundedQueue<T> {
  readonly #most: number
  readonly #signal: AbortSignal
  #items: T[] = []
  #filled = Promise.withResolvers<void>()
  #emptied = Promise.withResolvers<void>()

  constructor(most: number, signal: AbortSignal) {
    this.#most = most
    this.#signal = signal
    signal.addEventListener('abort', () => this.#wakeAll(), { once: true })
  }

  /** Waits while it is full. */
  async put(item: T): Promise<void> {
    while (this.#items.length >= this.#most && !this.#signal.aborted) await this.#emptied.promise
    this.#items.push(item)
    this.#filled.resolve()
  }

  /** All there is, once there is something; undefined when the signal aborted. */
  async take(): Promise<T[] | undefined> {
    while (this.#items.length === 0 && !this.#signal.aborted) await this.#filled.promise
    if (this.#signal.aborted) return undefined
    const items = this.#items
    this.#items = []
    this.#emptied.resolve()
    this.#filled = Promise.withResolvers()
    this.#emptied = Promise.withResolvers()
    return items
  }

  #wakeAll(): void {
    this.#filled.resolve()
    this.#emptied.resolve()
  }
}
