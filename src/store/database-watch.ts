import type { Logger } from 'pino'
import { AppError } from '../core/errors.ts'
import { must } from '../core/must.ts'
import { sleep } from '../platform/backoff.ts'
import type { Pool } from './connect.ts'
import { codeFromError } from './database-error.ts'
import { type Edition, readEdition } from './edition.ts'
import { advanceHorizon } from './horizon.ts'
import { pendingMigrations } from './migrate.ts'
import { TimeWatch } from './trusted-time.ts'

/** The state of the database; `why` is the reason why it cannot be used. */
export type Readiness =
  | { state: 'ready'; edition: Edition }
  | { state: 'away'; why: string }
  | { state: 'behind'; why: string }

/** A database that is silent this long is away: on a cut network the driver reports no error. */
const silentMs = 10_000

type WatchOptions = {
  answerWithinMs?: number
  /** Looks at the way to the database, whenever it was away. @throws AppError conflict when it is unfit */
  checkWay?: () => Promise<void>
}

/** How often a database that was well is looked at, and one that was not. Milliseconds. */
const calmMs = 5000
const eagerMs = 500

/**
 * Watches that the database answers and has all migrations. A role starts without it and waits, and
 * must not work on a database that lacks a migration.
 */
export class DatabaseWatch {
  readonly #store: Pool
  readonly #log: Logger
  #now: Readiness = { state: 'away', why: 'the database has not been reached yet' }

  #horizon = { frozenBefore: '', since: performance.now() }
  #asking: Promise<Readiness> | undefined
  readonly #freezeAfterHours: number
  readonly #time = new TimeWatch()
  readonly #silentMs: number
  readonly #checkWay: () => Promise<void>

  constructor(
    store: Pool,
    log: Logger,
    freezeAfterHours: number,
    { answerWithinMs = silentMs, checkWay = async () => {} }: WatchOptions = {},
  ) {
    this.#store = store
    this.#log = log
    this.#freezeAfterHours = freezeAfterHours
    this.#silentMs = answerWithinMs
    this.#checkWay = checkWay
  }

  /** How long the freeze horizon has not moved, by any replica, in seconds. */
  get horizonStandsS(): number {
    return (performance.now() - this.#horizon.since) / 1000
  }

  get now(): Readiness {
    return this.#now
  }

  /** @throws AppError unavailable unless the database is ready */
  assertReady(): void {
    if (this.#now.state === 'ready') return
    throw new AppError('unavailable', this.#now.why, { retryAfterS: 2 })
  }

  async look(): Promise<Readiness> {
    const before = this.#now.state
    this.#now = await this.#askInTime()
    if (this.#now.state !== before) this.#tell()
    return this.#now
  }

  /** A question without an answer stays open; no second one is queued after it. */
  async #askInTime(): Promise<Readiness> {
    this.#asking ??= this.#ask().finally(() => {
      this.#asking = undefined
    })
    const answered = new AbortController()
    const silent = sleep(this.#silentMs, answered.signal).then(() => away)
    return Promise.race([this.#asking, silent]).finally(() => answered.abort())
  }

  async #ask(): Promise<Readiness> {
    try {
      if (this.#now.state !== 'ready') await this.#checkWay()
      // With a deadline that ends connections: on one that is silent nothing else would.
      const pending = await this.#store.run(op, (sql) => pendingMigrations(sql))
      if (pending.length > 0) return behind(pending)
      const edition = await this.#store.run(op, readEdition)
      // After days without a local API the open days are over: first open new ones, or everything
      // that happens today would be filed as late.
      if (this.#now.state !== 'ready') await this.#openDays()
      await this.#lookAtHorizon()
      return { state: 'ready', edition }
    } catch (error) {
      const why =
        error instanceof AppError ? error.message : `the database failed (${codeFromError(error)})`
      const state = error instanceof AppError && error.code === 'conflict' ? 'behind' : 'away'
      return { state, why }
    }
  }

  async #openDays(): Promise<void> {
    const time = await this.#time.look(this.#store)
    try {
      await advanceHorizon(this.#store, this.#freezeAfterHours, time)
    } catch (error) {
      // Others use it at the moment. While the days of now are open, that keeps no event from its place.
      if (!(error instanceof AppError) || error.code !== 'overloaded') throw error
      const [row] = await this.#store.ask<{ isOpen: boolean }[]>(
        op,
        (sql) => sql`/* watch.isOpen */ select open_until > now() as is_open from horizon`,
      )
      if (!row?.isOpen) throw error
    }
  }

  async #lookAtHorizon(): Promise<void> {
    const [row] = await this.#store.ask<{ frozenBefore: string }[]>(
      op,
      (sql) => sql`/* watch.horizon */ select frozen_before from horizon`,
    )
    const { frozenBefore } = must(row, 'the horizon is one row')
    // While it could not be looked at, or moved, it did not stand.
    if (frozenBefore === this.#horizon.frozenBefore && this.#now.state === 'ready') return
    this.#horizon = { frozenBefore, since: performance.now() }
  }

  #tell(): void {
    if (this.#now.state === 'ready') {
      this.#log.info({ edition: this.#now.edition }, 'database ready')
    } else this.#log.error({ why: this.#now.why }, 'database not ready')
  }

  /** Looks until the signal aborts. */
  async run(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      await sleep(this.#now.state === 'ready' ? calmMs : eagerMs, signal)
      if (!signal.aborted) await this.look()
    }
  }
}

const op = { operation: 'watch', table: 'none' }

const away: Readiness = { state: 'away', why: 'the database does not answer' }

const behind = (pending: readonly string[]): Readiness => ({
  state: 'behind',
  why: `the database lacks ${pending.length === 1 ? 'a migration' : `${pending.length} migrations`}; run wafermon migrate`,
})
