import type { Logger } from 'pino'
import { AppError } from '../core/errors.ts'
import { fromMs, type Micros, secondsBetween, toMs } from '../core/time.ts'
import { Backoff, sleep } from '../platform/backoff.ts'
import { clock } from '../platform/clock.ts'
import type { Metrics } from '../platform/metrics.ts'
import { type ArchivedFile, notedSite } from '../store/archive/files.ts'
import { closedHours, type Hour, type SiteHour, sitesOfHour } from '../store/archive/hours.ts'
import { askAgainMs, type Lease } from '../store/lease.ts'
import { readDoubt } from '../store/trusted-time.ts'
import { archiveDueHour, overdueHours } from './due-hour.ts'
import { HourFailure } from './hour-failure.ts'
import { toManifestFolder } from './layout.ts'
import type { Place } from './places/place.ts'
import { dropArchived, type Held, secondsLate } from './retention.ts'

/*
 * Finds the closed hours and archives those that are due, oldest first, until it is stopped; then
 * retention. An hour that fails by itself does not keep the others waiting. One archiver works per
 * database: nothing becomes visible, is noted or dropped but while it holds the lease.
 */

export type ArchiverOptions = {
  /** Its connection does the work. */
  lease: Lease
  place: Place
  /** The only site to archive; all of them unless set. */
  site: string | undefined
  intervalMs: number
  /** How long raw events stay in the hot store; longer until they are archived. */
  retentionHours: number
  log: Logger
  metrics: Metrics
  signal: AbortSignal
}

/** Hours found complete are checked again after a day: a replay may bring another site to them. */
const recheckMs = 24 * 3_600_000

type Failed = { site: string; hour: Micros; why: string }

export type ArchiverState = {
  /** This process is the one that archives; it does not wait for another to end. */
  here: boolean
  /** The reason why nothing can be archived now. */
  trouble: string | undefined
  /** Hours that could not be archived as things are; every round tries them again. */
  failed: readonly Failed[]
  /** Hours whose jobs are still changing. */
  unsettled: number
  /** Hours archived by this process. */
  hours: number
  /** Age of the end of the oldest closed hour that is not archived yet, in seconds; 0 when all are. */
  behindS: number
  /** What it is doing, and since when on the clock of `performance`. */
  step: { name: string; sinceMs: number } | undefined
  /** The reason why raw events past retention have to stay. */
  held: Held | undefined
  lastRunAt: Micros | null
}

export class Archiver {
  readonly state: ArchiverState = {
    here: false,
    trouble: undefined,
    failed: [],
    unsettled: 0,
    hours: 0,
    behindS: 0,
    step: undefined,
    held: undefined,
    lastRunAt: null,
  }
  readonly #options: ArchiverOptions
  /** Findings of the current round so far. */
  #found: { failed: Failed[]; unsettled: number } = { failed: [], unsettled: 0 }
  /** Hours in which nothing was left to do, and when that was seen. */
  readonly #complete = new Map<Micros, number>()

  constructor(options: ArchiverOptions) {
    this.#options = options
  }

  /** Archives until the signal aborts; after a failure it retries, more and more slowly. */
  async run(): Promise<void> {
    const { signal, intervalMs, log } = this.#options
    const backoff = new Backoff({ firstMs: 1000, maxMs: 60_000 })
    while (!signal.aborted) {
      const well = await this.round()
      if (signal.aborted) return
      if (well) {
        backoff.reset()
        await sleep(this.state.here ? intervalMs : Math.min(intervalMs, askAgainMs), signal)
      } else {
        // An archive or database that is back is seen soon; hours that fail can wait longer.
        const waitMs = Math.min(intervalMs, backoff.next() * (this.state.trouble ? 1 : 10))
        log.warn(
          { retry_ms: Math.round(waitMs), failures: backoff.failures },
          'archiver will retry',
        )
        await sleep(waitMs, signal)
      }
    }
  }

  /** Looks once at every closed hour. @returns false when anything due failed. Never rejects. */
  async round(): Promise<boolean> {
    const { state } = this
    const { place, lease, signal, log, metrics } = this.#options
    try {
      this.#begin('the look at the archive')
      await place.check('write')
      state.here = (await lease.hold()) !== undefined
      if (state.here) {
        await this.#assertRightPlace()
        await this.#assertTimeTrusted()
        await this.#archiveDue()
        await this.#retain()
      } else this.#forget()
      state.trouble = undefined
    } catch (error) {
      if (signal.aborted) return false
      metrics.archiveFailures.inc()
      state.trouble = (error as Error).message
      log.error({ error }, 'archiving failed, will retry')
      return false
    } finally {
      state.step = undefined
    }
    state.lastRunAt = clock.now()
    return state.failed.length === 0
  }

  /** What another archiver does is for its own health. */
  #forget(): void {
    Object.assign(this.state, { failed: [], unsettled: 0 })
  }

  /** A mount point with nothing mounted looks like an archive that was never written to. */
  async #assertRightPlace(): Promise<void> {
    const { place, lease } = this.#options
    const site = await notedSite(lease.reader)
    if (site === undefined) return
    for await (const _ of place.list(toManifestFolder(site))) return
    throw new AppError(
      'unavailable',
      `${place.setting}: ${place.address} has no files of ${site}, although it was archived before; mount the right folder`,
    )
  }

  /** Whether an hour is settled, and what is past retention, depends on the time. */
  async #assertTimeTrusted(): Promise<void> {
    const doubt = await readDoubt(this.#options.lease.reader)
    if (doubt !== undefined) throw new AppError('unavailable', doubt)
  }

  async #archiveDue(): Promise<void> {
    const { lease, signal } = this.#options
    const hours = (await closedHours(lease.reader, signal)).filter(
      (hour) => !this.#isComplete(hour),
    )
    let oldest: Micros | undefined
    this.#found = { failed: [], unsettled: 0 }
    for (const from of hours) {
      this.#noteBehind(oldest ?? from)
      if (!(await this.#archiveHour(from))) oldest ??= from
    }
    this.#noteBehind(oldest)
    Object.assign(this.state, this.#found)
  }

  #noteBehind(oldest: Micros | undefined): void {
    this.state.behindS = oldest === undefined ? 0 : secondsBehind(oldest)
    this.#options.metrics.archiveBehind.set(this.state.behindS)
  }

  #begin(name: string): void {
    this.state.step = { name, sinceMs: performance.now() }
  }

  /** Drops raw events that are archived and past retention, or says why not. */
  async #retain(): Promise<void> {
    const { lease, place, retentionHours, signal, log, metrics } = this.#options
    this.#begin('retention')
    const held = await dropArchived({
      store: lease.store,
      place,
      retentionHours,
      signal,
      assertOurs: () => this.#assertOurs(),
      onDropped: (partitions) => log.info({ partitions }, 'archived events dropped'),
    })
    metrics.retentionBehind.set(held ? secondsLate(held, retentionHours) : 0)
    if (held?.wrong && held.why !== this.state.held?.why) {
      log.error({ why: held.why }, 'archived events not dropped: the archive does not match')
    }
    this.state.held = held
  }

  #isComplete(hour: Micros): boolean {
    const seen = this.#complete.get(hour)
    if (seen !== undefined && performance.now() - seen < recheckMs) return true
    this.#complete.delete(hour)
    return false
  }

  /** @returns true when nothing of the hour is left to do, for any site */
  async #archiveHour(from: Micros): Promise<boolean> {
    const { lease, site, signal } = this.#options
    const found = await sitesOfHour(lease.reader, from, overdueHours, signal)
    const ours = found.filter((hour) => site === undefined || hour.site === site)
    let complete = true
    for (const hour of ours) {
      signal.throwIfAborted()
      this.#begin(`${hour.site} ${hour.from}`)
      complete = (await this.#attempt(hour)) && complete
    }
    if (complete) this.#complete.set(from, performance.now())
    return complete
  }

  /** @returns false when the hour has to wait until its jobs have settled, or failed by itself */
  async #attempt(hour: SiteHour): Promise<boolean> {
    const { lease, place, log, signal } = this.#options
    try {
      const outcome = await archiveDueHour(hour, {
        ...{ lease, place, log, signal },
        assertOurs: () => this.#assertOurs(),
      })
      if (outcome.unsettled) this.#found.unsettled++
      else if (outcome.files.length > 0) this.#count(hour, outcome.files)
      return !outcome.unsettled
    } catch (error) {
      if (!concernsHour(error)) throw error
      this.#noteFailed({ site: hour.site, hour: hour.from, why: error.message })
      return false
    }
  }

  #noteFailed(failed: Failed): void {
    const { log, metrics } = this.#options
    metrics.archiveFailures.inc()
    this.#found.failed.push(failed)
    // Shown now, for a round may take long; what has stopped failing goes at its end.
    if (this.state.failed.some((known) => isSame(known, failed))) return
    this.state.failed = [...this.state.failed, failed]
    log.error(failed, 'hour not archived, will retry')
  }

  /** Before anything becomes visible: the lease may be lost by now, and the disk unmounted. */
  async #assertOurs(): Promise<void> {
    await this.#assertRightPlace()
    await this.#options.lease.assertHeld()
  }

  #count(hour: Hour, files: readonly ArchivedFile[]): void {
    const { log, metrics } = this.#options
    this.state.hours++
    for (const { kind, rows } of files) {
      metrics.archiveFiles.inc({ table: kind })
      metrics.archiveRows.inc({ table: kind }, rows)
    }
    const rows = files.reduce((sum, file) => sum + file.rows, 0)
    log.info({ site: hour.site, hour: hour.from, files: files.length, rows }, 'hour archived')
  }
}

const isSame = (a: Failed, b: Failed) => a.site === b.site && a.hour === b.hour && a.why === b.why

/** A name that is invalid or taken, or a {@link HourFailure}; any other error concerns all hours. */
const concernsHour = (error: unknown): error is Error =>
  error instanceof HourFailure ||
  (error instanceof AppError && (error.code === 'invalid' || error.code === 'conflict'))

const hourMs = 3_600_000
/** Never negative, whatever the clock says. */
const secondsBehind = (hour: Micros) =>
  Math.max(0, secondsBetween(fromMs(toMs(hour) + hourMs), clock.now()))
