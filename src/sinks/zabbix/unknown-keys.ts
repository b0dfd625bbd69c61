/** Maximum keys that are remembered: names of apps come from programs. */
const maxKeys = 10_000

/** Zabbix learns of new items every 10 to 60 seconds. */
const longestPauseMs = 5000

/** Keys that Zabbix did not know when it was last asked. Times by performance.now(). */
export class UnknownKeys {
  readonly #waitMs: number
  readonly #pauseMs: number
  readonly #keys = new Map<string, { sinceMs: number; nextMs: number }>()

  /** @param waitMs how long a key is asked for before its values are refused */
  constructor(waitMs: number) {
    this.#waitMs = waitMs
    this.#pauseMs = Math.min(longestPauseMs, waitMs / 10)
  }

  has(key: string): boolean {
    return this.#keys.has(key)
  }

  isDue(key: string): boolean {
    return performance.now() >= (this.#keys.get(key)?.nextMs ?? 0)
  }

  /** Notes that a key was not known. @returns true when it has been so for too long */
  note(key: string): boolean {
    const nowMs = performance.now()
    const sinceMs = this.#keys.get(key)?.sinceMs ?? nowMs
    this.#keys.delete(key)
    this.#keys.set(key, { sinceMs, nextMs: nowMs + this.#pauseMs })
    const [oldest] = this.#keys.keys()
    if (this.#keys.size > maxKeys && oldest !== undefined) this.#keys.delete(oldest)
    return nowMs - sinceMs >= this.#waitMs
  }

  forget(key: string): void {
    this.#keys.delete(key)
  }

  clear(): void {
    this.#keys.clear()
  }
}
