/** A map that keeps a limited number of entries; the one unused for longest is dropped first. */
export class Lru<K, V> {
  readonly #max: number
  readonly #entries = new Map<K, V>()

  constructor(max: number) {
    this.#max = max
  }

  get size(): number {
    return this.#entries.size
  }

  /** The value, which counts as a use. */
  get(key: K): V | undefined {
    const value = this.#entries.get(key)
    if (value !== undefined) this.set(key, value)
    return value
  }

  set(key: K, value: V): void {
    this.#entries.delete(key)
    this.#entries.set(key, value)
    if (this.#entries.size > this.#max) {
      for (const [oldest] of this.#entries) {
        this.#entries.delete(oldest)
        break
      }
    }
  }

  delete(key: K): void {
    this.#entries.delete(key)
  }
}
