import type { Logger } from 'pino'
import type { Micros } from '../core/time.ts'
import { sleep } from '../platform/backoff.ts'
import type { Metrics } from '../platform/metrics.ts'
import type { Store } from './connect.ts'
import type { ReusedNumbers } from './source-ranges.ts'

/** A spool whose numbers came with more than one event, as health names it. */
export type ReusingSpool = { source: string; epoch: string; numbers: number; last_at: Micros }

/** How long health names such a spool after the last number, in hours. */
const namedForHours = 24
/** Maximum spools that health names. */
const maxNamed = 20
/** Between two log lines about one spool, in milliseconds: two machines may share it for days. */
const quietMs = 60_000

/** How long health waits for the database, in milliseconds; then it says what it knew. */
const waitMs = 500

/**
 * The alarm over spools that went back in time: a folder restored from a snapshot, a machine cloned.
 * No event is lost by it here, since the identity of an event decides and not its number. But gaps are
 * hidden: an event that is missing has a number that came with another. So an operator must know.
 *
 * The database remembers it, so every replica names it, and also after a restart.
 */
export class ReuseAlarm {
  readonly #store: Store
  readonly #log: Logger
  readonly #metrics: Metrics
  #known: ReusingSpool[] = []
  /** When the log last named a spool; of so many spools as health names. */
  readonly #loggedAt = new Map<string, number>()
  #asking: Promise<void> | undefined

  constructor(store: Store, log: Logger, metrics: Metrics) {
    this.#store = store
    this.#log = log
    this.#metrics = metrics
  }

  /** Tells what a commit found: all of it as a metric, each spool once a minute in the log. */
  raise(reused: readonly ReusedNumbers[]): void {
    for (const spool of reused) {
      this.#metrics.reusedNumbers.inc(spool.count)
      if (!this.#isDue(JSON.stringify([spool.source, spool.epoch]))) continue
      this.#log.error(spool, 'spool gave numbers again; update and restart that sidecar')
    }
  }

  #isDue(name: string): boolean {
    const now = performance.now()
    const last = this.#loggedAt.get(name)
    if (last !== undefined && now - last < quietMs) return false
    if (this.#loggedAt.size >= maxNamed) this.#loggedAt.clear()
    this.#loggedAt.set(name, now)
    return true
  }

  /** The spools to name, the newest first; what was known before when the database does not answer. */
  async spools(): Promise<readonly ReusingSpool[]> {
    this.#asking ??= this.#ask()
      .catch(() => {})
      .finally(() => {
        this.#asking = undefined
      })
    const answered = new AbortController()
    await Promise.race([this.#asking, sleep(waitMs, answered.signal)])
    answered.abort()
    return this.#known
  }

  async #ask(): Promise<void> {
    const rows = await this.#store.ask<(Omit<ReusingSpool, 'last_at'> & { lastAt: Micros })[]>(
      { operation: 'listReused', table: 'source' },
      (sql) => sql`
        /* sources.reused */
        select source_id as source, epoch, reused_at as last_at,
          (select sum(upper(r) - lower(r)) from unnest(reused) r)::int8 as numbers
        from source where reused_at > now() - make_interval(hours => ${namedForHours})
        order by reused_at desc limit ${maxNamed}`,
    )
    this.#known = rows.map(({ lastAt, ...spool }) => ({ ...spool, last_at: lastAt }))
  }
}
