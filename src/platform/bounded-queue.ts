/** Several writers put in, one reader takes out: in order, limited in number, until the signal aborts. */
export class BoundedQueue<T> {
  readonly #max: number
  readonly #signal: AbortSignal
  #items: T[] = []
  #filled = Promise.withResolvers<void>()
  #emptied = Promise.withResolvers<void>()

  constructor(max: number, signal: AbortSignal) {
    this.#max = max
    this.#signal = signal
    signal.addEventListener('abort', () => this.#wakeAll(), { once: true })
  }

  /** Waits while it is full. */
  async put(item: T): Promise<void> {
    while (this.#items.length >= this.#max && !this.#signal.aborted) await this.#emptied.promise
    this.#items.push(item)
    this.#filled.resolve()
  }

  /** Everything that waits, once something does; undefined when the signal has aborted. */
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
