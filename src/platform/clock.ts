import { readFileSync, readlinkSync } from 'node:fs'
import { uptime } from 'node:os'
import type { Logger } from 'pino'
import { fromMs, type Micros } from '../core/time.ts'

/*
 * The one place of the program that reads the time of day; test/imports.test.ts holds all other code
 * to it, and src/sdk/clock.ts is its counterpart in other people's programs. Invariants:
 *
 * - What it says follows the clock of the machine, also when that is set while the process runs.
 * - Between two settings it has microseconds and never goes back.
 * - A setting, or a sleep of the machine, of half a second or more is noticed at the next reading.
 *
 * Durations are measured by `performance.now()` everywhere: no setting of the clock touches them.
 */

/** Where readings come from; a test gives its own. All in milliseconds. */
export type TimeSource = {
  /** Since 1970, as the machine believes. */
  wallMs: () => number
  /** Since any moment; only grows, and stands still while the machine sleeps. */
  monotonicMs: () => number
  /** Since the machine started, its sleep included; a hundredth of a second is exact enough. */
  uptimeMs: () => number
  /** What tells this start of the machine from all others, if anything does. */
  boot?: () => string | undefined
}

/** The clock was set, or the machine slept: `byS` seconds, negative for a clock that was set back. */
export type ClockChange = { kind: 'step' | 'suspend'; at: Micros; byS: number }

const machine: TimeSource = {
  wallMs: () => Date.now(),
  monotonicMs: () => performance.now(),
  uptimeMs: () => uptime() * 1000,
  boot: readBoot,
}

/** Undefined where the uptime is not that of the kernel, as in a container that shows its own. */
function readBoot(): string | undefined {
  if (uptime() + 1 < Number(process.hrtime.bigint()) / 1e9) return undefined
  try {
    const id = readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim()
    return `${id} ${readlinkSync('/proc/self/ns/time')}`
  } catch {
    return undefined
  }
}

/** How far the wall clock may be from our reading, in milliseconds: `Date` cuts to whole ones. */
const followMs = 2
/** From here on a difference is a change that is told. NTP slews what is less. */
const noticeMs = 500

class Clock {
  /** How often the clock was set and the machine slept, as far as noticed, and the latest of both. */
  readonly seen = { steps: 0, suspends: 0, last: undefined as ClockChange | undefined }
  #source = machine
  #listeners = new Set<(change: ClockChange) => void>()
  /** Time of day at monotonic 0, and the time slept until it was found. */
  #originMs = performance.timeOrigin
  #sleptMs = sleptMs(machine)

  /** Whole milliseconds since 1970. Bound: may be handed over as a function. */
  readonly nowMs = (): number => Math.floor(this.#readMs())

  /** The time with microseconds. */
  now(): Micros {
    return fromMs(this.#readMs())
  }

  /** Milliseconds since the machine started, its sleep included: no setting of the clock touches it. */
  uptimeMs(): number {
    return this.#source.uptimeMs()
  }

  /** What tells this start of the machine from all others; undefined where nothing does. */
  boot(): string | undefined {
    return this.#source.boot?.()
  }

  /** Calls the listener with every change that is noticed, until the returned function is called. */
  onChange(listener: (change: ClockChange) => void): () => void {
    this.#listeners.add(listener)
    return () => this.#listeners.delete(listener)
  }

  /**
   * Reads the time from elsewhere, for tests.
   *
   * @returns what ends that
   */
  use(source: TimeSource): () => void {
    this.#set(source)
    return () => this.#set(machine)
  }

  #set(source: TimeSource): void {
    this.#source = source
    this.#originMs = source.wallMs() - source.monotonicMs()
    this.#sleptMs = sleptMs(source)
    Object.assign(this.seen, { steps: 0, suspends: 0, last: undefined })
  }

  #readMs(): number {
    const monotonic = this.#source.monotonicMs()
    const awayMs = this.#source.wallMs() - monotonic - this.#originMs
    if (Math.abs(awayMs) <= followMs) return this.#originMs + monotonic
    return this.#follow()
  }

  /** The two readings are apart: finds the origin again, and what has moved it. */
  #follow(): number {
    const { wallMs, monotonicMs } = this.#source
    let before = monotonicMs()
    let wall = wallMs()
    // A process that was stopped between the two readings has not seen its clock set.
    for (let i = 0; i < 5 && monotonicMs() - before > followMs; i++) {
      before = monotonicMs()
      wall = wallMs()
    }
    const movedMs = wall - before - this.#originMs
    this.#originMs = wall - before
    if (Math.abs(movedMs) >= noticeMs) this.#notice(movedMs, wall)
    return wall
  }

  #notice(movedMs: number, wall: number): void {
    const slept = sleptMs(this.#source)
    const sleepMs = slept - this.#sleptMs
    this.#sleptMs = slept
    if (sleepMs >= noticeMs) this.#tell('suspend', sleepMs, wall)
    const stepMs = sleepMs >= noticeMs ? movedMs - sleepMs : movedMs
    if (Math.abs(stepMs) >= noticeMs) this.#tell('step', stepMs, wall)
  }

  #tell(kind: ClockChange['kind'], ms: number, wall: number): void {
    const change: ClockChange = { kind, at: fromMs(wall), byS: Math.round(ms) / 1000 }
    this.seen[`${kind}s`]++
    this.seen.last = change
    for (const listener of this.#listeners) listener(change)
  }
}

/** How long the machine has slept since it started; up to a constant. */
const sleptMs = ({ uptimeMs, monotonicMs }: TimeSource) => uptimeMs() - monotonicMs()

/** The clock of this process. */
export const clock = new Clock()

/** How often the clock is read when nobody asks, in milliseconds. */
const lookMs = 1000

/** Logs every setting of the clock and every sleep of the machine, until the signal aborts. */
export function watchClock(log: Logger, signal: AbortSignal): void {
  const ignore = clock.onChange(({ kind, byS }) => {
    if (kind === 'step') log.warn({ by_s: byS }, 'the clock of this machine was set')
    else log.warn({ for_s: byS }, 'this machine was asleep')
  })
  const timer = setInterval(clock.nowMs, lookMs).unref()
  const stop = () => {
    clearInterval(timer)
    ignore()
  }
  signal.addEventListener('abort', stop, { once: true })
}

/** What health says of the clock; nothing before the first change. */
export function describeClock(): object {
  const { steps, suspends, last } = clock.seen
  if (!last) return {}
  return { clock: { steps, suspends, last: { kind: last.kind, at: last.at, by_s: last.byS } } }
}
