import { fromMs, type Micros } from '../core/time.ts'

/*
 * The one place of the program that reads the time of day; test/imports.test.ts holds all other code
 * to it, and src/sdk/clock.ts is its counterpart in other people's programs. Invariants:
 *
 * - What it says follows the clock of the machine, also when that is set while the process runs.
 * - Between two settings it has microseconds and never goes back.
 *
 * Durations are measured by `performance.now()` everywhere: no setting of the clock touches them.
 */

/** Where readings come from; a test gives its own. */
export type TimeSource = {
  /** Milliseconds since 1970, as the machine believes. */
  wallMs: () => number
  /** Milliseconds since any moment, which only ever grow. */
  monotonicMs: () => number
}

const machine: TimeSource = { wallMs: Date.now, monotonicMs: () => performance.now() }

/** How far the wall clock may be from our reading, in milliseconds: `Date` cuts to whole ones. */
const followMs = 2

class Clock {
  #source = machine
  /** Time of day at monotonic 0. */
  #originMs = performance.timeOrigin

  /** Whole milliseconds since 1970. Bound: may be handed over as a function. */
  readonly nowMs = (): number => Math.floor(this.#readMs())

  /** The time with microseconds. */
  now(): Micros {
    return fromMs(this.#readMs())
  }

  /**
   * Reads the time from elsewhere, for tests.
   *
   * @returns what ends that
   */
  use(source: TimeSource): () => void {
    const before = this.#source
    this.#set(source)
    return () => this.#set(before)
  }

  #set(source: TimeSource): void {
    this.#source = source
    this.#originMs = source.wallMs() - source.monotonicMs()
  }

  #readMs(): number {
    const { wallMs, monotonicMs } = this.#source
    const monotonic = monotonicMs()
    const aheadMs = this.#originMs + monotonic - wallMs()
    if (aheadMs < -followMs || aheadMs > followMs) this.#originMs -= aheadMs
    return this.#originMs + monotonic
  }
}

/** The clock of this process. */
export const clock = new Clock()
