import { AppError } from '../core/errors.ts'
import { clock } from '../platform/clock.ts'
import { unwritableError } from './disk-error.ts'
import type { GapRow, Gaps } from './gaps.ts'
import type { Ledger } from './ledger.ts'
import type { Pause, Pauses } from './pauses.ts'
import type { NamedPlan, Plans, SinkPlan } from './plans.ts'
import type { LaneName, Positions } from './positions.ts'
import type { Sizes } from './sizes.ts'
import type { SinkRow } from './statements.ts'

/**
 * A sink that has a position in the spool. `accepted`, the events that came in since it began, is the sum of
 * `delivered`, `filtered`, `rejected`, `skipped` and `lag` at every moment.
 */
export type SinkAccount = {
  name: string
  required: boolean
  /** It has a position, but is not configured; or it is, and not enabled. */
  detached: boolean
  disabled: boolean
  /** An operator lets it be offered nothing. */
  paused?: Pause
  accepted: number
  delivered: number
  filtered: number
  /** Refused when they were first offered, whatever became of these rejects. */
  rejected: number
  skipped: number
  lag: number
  lagBytes: number
  /** The last events that it was not offered. */
  gap?: GapRow
}

export type AccountsOptions = {
  positions: Positions
  ledger: Ledger
  gaps: Gaps
  sizes: Sizes
  plans: Plans
  pauses: Pauses
  /** Called when a sink may be offered events that it was not. */
  wake: () => void
}

/** What became of the events of each sink, configured or not. */
export class Accounts {
  readonly #options: AccountsOptions

  constructor(options: AccountsOptions) {
    this.#options = options
  }

  /** The position of every sink, configured or not. */
  get rows(): readonly SinkRow[] {
    return this.#options.positions.rows
  }

  list(): SinkAccount[] {
    return this.#options.positions.rows.map((row) => this.#toAccount(row))
  }

  get(sink: string): SinkAccount {
    return this.#toAccount(this.#options.positions.row(sink))
  }

  /** Number of the last event that a lane of a sink may be offered. */
  end(sink: string, lane: LaneName): number {
    return this.#options.positions.end(sink, lane)
  }

  /** True while a sink takes new events before its backlog. */
  isLive(sink: string): boolean {
    return this.#options.positions.row(sink).live_from !== null
  }

  /** From here on a sink takes new events before its backlog, which it takes beside them. */
  openLive(sink: string): void {
    this.#options.ledger.openLive(sink)
  }

  /** The text that a sink left with its position, if it has one. */
  state(sink: string): string | undefined {
    return this.#options.positions.rows.find(({ name }) => name === sink)?.state ?? undefined
  }

  #toAccount(row: SinkRow): SinkAccount {
    const { positions, gaps } = this.#options
    const { name, delivered, filtered, rejected, skipped } = row
    const gap = gaps.latest(name)
    const paused = this.#options.pauses.get(name)
    return {
      ...{ name, required: row.required === 1, detached: !this.#options.plans.get(name) },
      disabled: this.#options.plans.get(name)?.enabled === false,
      ...{ accepted: positions.accepted(name), delivered, filtered, rejected, skipped },
      ...{ lag: positions.lag(name), lagBytes: this.#lagBytes(row), ...(gap ? { gap } : {}) },
      ...(paused ? { paused } : {}),
    }
  }

  /** The sinks that are configured, those that are not enabled among them. */
  get plans(): readonly NamedPlan[] {
    return this.#options.plans.all
  }

  /** How a sink is configured; undefined when it is not. */
  plan(sink: string): NamedPlan | undefined {
    return this.#options.plans.get(sink)
  }

  /** Takes another list of sinks, as the next start would. What a sink is owed that is not in it is kept. */
  configure(plans: readonly SinkPlan[]): void {
    this.#options.plans.replace(plans)
    this.#options.ledger.configure(this.plans.filter(({ enabled = true }) => enabled))
  }

  #isOffered({ name }: SinkRow): boolean {
    return this.#options.plans.names.includes(name)
  }

  #lagBytes({ acked, live_from, live_acked }: SinkRow): number {
    const { sizes } = this.#options
    const live = sizes.after(live_from ?? 0) - sizes.after(live_acked ?? 0)
    return Math.round(sizes.after(acked) - live)
  }

  /** Why the spool is full, with what an operator can do where a sink that is not configured holds it. */
  explain(trouble: string): string {
    const { positions } = this.#options
    const least = positions.least((row) => row.required === 1)
    const oldest = positions.rows.find((row) => row.required === 1 && row.acked === least)
    if (!oldest || !trouble.includes('SPOOL_MAX_BYTES')) return trouble
    const { name } = oldest
    if (this.#isOffered(oldest)) {
      if (!this.isPaused(name)) return trouble
      return `${trouble}; the sink ${name} is owed the oldest events and is paused: wafermon spool sinks resume ${name}`
    }
    return `${trouble}; the sink ${name} is owed the oldest events and is not configured or not enabled: configure it, or give up its events with wafermon spool sinks forget ${name}`
  }

  /** Why it is not known which sinks are paused, in words. */
  get trouble(): string | undefined {
    return this.#options.pauses.trouble
  }

  isPaused(sink: string): boolean {
    return this.#options.pauses.get(sink) !== undefined
  }

  /**
   * Lets a sink be offered nothing, also after a restart, until it is resumed. What is on its way is waited for.
   *
   * @returns false when there is no such sink
   * @throws AppError overloaded when the disk fails; all is as it was
   */
  pause(sink: string, reason: string): boolean {
    return this.#setPause(sink, { at: clock.now(), reason })
  }

  /** The same the other way; also of one that is not paused. */
  resume(sink: string): boolean {
    const isThere = this.#setPause(sink, undefined)
    this.#options.wake()
    return isThere
  }

  #setPause(sink: string, pause: Pause | undefined): boolean {
    if (!this.#has(sink)) return false
    try {
      this.#options.pauses.set(sink, pause)
    } catch (error) {
      throw unwritableError(error)
    }
    return true
  }

  #has(sink: string): boolean {
    return this.rows.some(({ name }) => name === sink)
  }

  /**
   * Lets a sink do without what it is owed, up to a number: one gap, with the reason. What is on its way may still
   * reach it, and counts as skipped.
   *
   * @param upTo the last event that there is unless given
   * @returns how many events that are; undefined when there is no such sink
   * @throws AppError invalid for a number that no event has; overloaded when the disk fails: it is in force, and
   * written as soon as the disk works; a kill before that takes it back
   */
  skip(sink: string, reason: string, upTo = this.#options.positions.lastOut): number | undefined {
    const { positions, ledger, wake } = this.#options
    if (!this.#has(sink)) return undefined
    if (upTo > positions.lastOut) {
      const why = `up_to: the last event has the number ${positions.lastOut}; got ${upTo}`
      throw new AppError('invalid', why, { field: 'up_to' })
    }
    const before = positions.row(sink).skipped
    ledger.skip(sink, upTo, reason)
    try {
      ledger.flush()
    } catch (error) {
      throw unwritableError(error)
    }
    wake()
    return positions.row(sink).skipped - before
  }

  /**
   * Gives up what a sink is owed that is not configured any more, its rejects too.
   *
   * @returns false when there is no such sink
   * @throws AppError conflict when it is configured; overloaded when the disk fails
   */
  forget(sink: string): boolean {
    const row = this.#options.positions.rows.find(({ name }) => name === sink)
    if (!row) return false
    if (this.#isOffered(row)) {
      const remedy = 'take it out of the configuration first'
      throw new AppError('conflict', `the sink ${sink} is configured; ${remedy}`, { field: 'id' })
    }
    try {
      // First: a sink of that name that is added later must not be paused by it.
      this.#options.pauses.set(sink, undefined)
      this.#options.ledger.forget(sink)
    } catch (error) {
      throw unwritableError(error)
    }
    return true
  }
}
