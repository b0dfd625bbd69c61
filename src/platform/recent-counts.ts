/** How far back the counts go, and in what steps, in milliseconds. */
export const recentMs = 300_000
const stepMs = 10_000

/**
 * Counts of the last five minutes, by kind: what health judges by. Counters that only grow tell
 * nothing of now.
 */
export class RecentCounts<K extends string> {
  readonly #now: () => number
  /** Oldest first. */
  readonly #steps: { at: number; counts: Map<K, number> }[] = []

  /** @param now a clock that never goes back, in milliseconds */
  constructor(now = () => performance.now()) {
    this.#now = now
  }

  add(kind: K, count = 1): void {
    if (count === 0) return
    const now = this.#now()
    let step = this.#steps.at(-1)
    if (!step || now - step.at >= stepMs) {
      step = { at: now, counts: new Map() }
      this.#forget(now)
      this.#steps.push(step)
    }
    step.counts.set(kind, (step.counts.get(kind) ?? 0) + count)
  }

  /** The count of a kind in the last five minutes. */
  of(kind: K): number {
    this.#forget(this.#now())
    return this.#steps.reduce((sum, { counts }) => sum + (counts.get(kind) ?? 0), 0)
  }

  #forget(now: number): void {
    while (this.#steps[0] && now - this.#steps[0].at > recentMs) this.#steps.shift()
  }
}
