import type { Logger } from 'pino'
import { AppError } from '../core/errors.ts'
import { sleep } from '../platform/backoff.ts'
import type { Store } from './connect.ts'
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

/** How often a database that was well is looked at, and one that was not. Milliseconds. */
const calmMs = 5000
const eagerMs = 500

/**
 * Watches that the database answers and has all migrations. A role starts without it and waits, and
 * must not work on a database that lacks a migration.
 */
export class DatabaseWatch {
  readonly #store: Store
  readonly #log: Logger
  #now: Readiness = { state: 'away', why: 'the database has not been reached yet' }

  #asking: Promise<Readiness> | undefined
  readonly #freezeAfterHours: number
  readonly #time = new TimeWatch()
  readonly #silentMs: number

  constructor(
    store: Store,
    log: Logger,
    freezeAfterHours: number,
    { answerWithinMs = silentMs } = {},
  ) {
    this.#store = store
    this.#log = log
    this.#freezeAfterHours = freezeAfterHours
    this.#silentMs = answerWithinMs
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
      const pending = await pendingMigrations(this.#store.sql)
      if (pending.length > 0) return behind(pending)
      const edition = await readEdition(this.#store.sql)
      // After days without a local API the open days are over: first open new ones, or everything
      // that happens today would be filed as late.
      if (this.#now.state !== 'ready') await this.#openDays()
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
    await advanceHorizon(this.#store, this.#freezeAfterHours, time)
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

const away: Readiness = { state: 'away', why: 'the database does not answer' }

const behind = (pending: readonly string[]): Readiness => ({
  state: 'behind',
  why: `the database lacks ${pending.length === 1 ? 'a migration' : `${pending.length} migrations`}; run wafermon migrate`,
})
