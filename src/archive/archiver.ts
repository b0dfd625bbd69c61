import type { Logger } from 'pino'
import { AppError } from '../core/errors.ts'
import { Backoff } from '../platform/backoff.ts'
import { clock } from '../platform/clock.ts'
import type { Metrics } from '../platform/metrics.ts'
import type { KeepRule } from '../store/archive/aged.ts'
import { type Day, type DueDay, dueDays, leftDays } from '../store/archive/days.ts'
import { hotManifests } from '../store/archive/files.ts'
import { askAgainMs, type Lease } from '../store/lease.ts'
import { readDoubt } from '../store/trusted-time.ts'
import { type FailedDay, isSameFailure, newState } from './archiver-state.ts'
import { compactDay, daysToCompact } from './compact-day.ts'
import { concernsDay } from './day-failure.ts'
import { archiveDay, type DueDayOptions, isDue, type Outcome } from './due-day.ts'
import { takeOver } from './intent.ts'
import type { DayKey } from './layout.ts'
import { dayOfRecord, readRecorded } from './manifest.ts'
import { toArchivedFiles } from './manifest-file.ts'
import type { Place } from './places/place.ts'
import { assertThere } from './read-back.ts'
import { deleteReplaced } from './replaced.ts'
import { rest } from './rest.ts'
import { dropArchived, secondsLate } from './retention.ts'
import { assertRightPlace } from './right-place.ts'
import { keepUp } from './upkeep.ts'
import { toWaiting } from './waiting.ts'

/*
 * Finds the closed days and archives those that are due, oldest first, until it is stopped; then
 * retention. A day that fails by itself does not keep the others waiting. One archiver works per
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
  /** How long late events and changed jobs of an archived day wait until they become a further part of it. */
  lateHours: number
  /** For how many years the archive keeps what; nothing is deleted by itself. */
  keep: readonly KeepRule[]
  log: Logger
  metrics: Metrics
  signal: AbortSignal
}

/** A day found whole is looked at again after a day. */
const recheckMs = 24 * 3_600_000

export class Archiver {
  readonly state = newState()
  readonly #options: ArchiverOptions
  /** Findings of the current round so far. */
  #found: { failed: FailedDay[]; unsettled: number } = { failed: [], unsettled: 0 }
  /** Sites whose chain in the archive is the one on record, and the lease under which that was seen. */
  readonly #caughtUp = new Map<string, number>()
  #number = 0
  /** When the days that are still hot were last looked at, under which lease, and whether all was well. */
  #checked = { at: 0, number: -1, well: false }

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
        const waitMs = this.state.here ? intervalMs : Math.min(intervalMs, askAgainMs)
        await rest(waitMs, { ...this.#options, state: this.state })
      } else {
        // An archive or database that is back is seen soon; days that fail can wait longer.
        const waitMs = Math.min(intervalMs, backoff.next() * (this.state.trouble ? 1 : 10))
        log.warn(
          { retry_ms: Math.round(waitMs), failures: backoff.failures },
          'archiver will retry',
        )
        await rest(waitMs, { ...this.#options, state: this.state })
      }
    }
  }

  /** Looks once at every closed day. @returns false when anything due failed. Never rejects. */
  async round(): Promise<boolean> {
    const { state } = this
    const { place, lease, signal, log, metrics } = this.#options
    try {
      this.#begin('the look at the archive')
      await place.check('write')
      const number = await lease.hold()
      state.here = number !== undefined
      this.#number = number ?? 0
      if (state.here) {
        await assertRightPlace(place, lease.reader)
        await this.#assertTimeTrusted()
        this.#found = { failed: [], unsettled: 0 }
        await this.#archiveDue()
        await this.#retain()
        await this.#compact()
        this.#begin('upkeep of the archive')
        state.upkeep = await keepUp(this.#options)
        Object.assign(state, this.#found)
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

  /** What is settled, and past retention, depends on the time. */
  async #assertTimeTrusted(): Promise<void> {
    const doubt = await readDoubt(this.#options.lease.reader)
    if (doubt !== undefined) throw new AppError('unavailable', doubt)
  }

  /** Jobs are many: which days they are in is asked once in a round. */
  async #archiveDue(): Promise<void> {
    const { lease, metrics, signal } = this.#options
    await this.#checkKept()
    const due = (await dueDays(lease.reader, signal)).filter(this.#isOurs)
    this.state.waiting = toWaiting(due, metrics)
    const left: DueDay[] = []
    for (const day of due) if (!(await this.#archive(day))) left.push(day)
    // A job that moved is archived in its new day first; now its old day has to say so.
    for (const day of (await leftDays(lease.reader)).filter(this.#isOurs)) {
      await this.#attempt(day, () => this.#archiveNow({ ...day, archived: true }))
    }
    this.state.waiting = toWaiting(left, metrics)
  }

  readonly #isOurs = ({ site }: DayKey) => [undefined, site].includes(this.#options.site)

  /** Days of which the hot store still has raw events: once a day it is seen that the archive has them. */
  async #checkKept(): Promise<void> {
    const { lease, place } = this.#options
    const isRecent = performance.now() - this.#checked.at < recheckMs
    if (isRecent && this.#checked.number === this.#number && this.#checked.well) return
    this.#checked = { at: performance.now(), number: this.#number, well: true }
    for (const recorded of await hotManifests(lease.reader)) {
      const { site, from } = dayOfRecord(recorded)
      const isWell = await this.#attempt({ site, from }, async () => {
        const { manifest } = await readRecorded(place, recorded)
        for (const file of toArchivedFiles(manifest.files)) await assertThere(place, file)
      })
      if (!isWell) this.#checked.well = false
    }
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

  /** Archives a day if it is due. @returns true when nothing of it waits any more */
  async #archive(day: DueDay): Promise<boolean> {
    const { lateHours, signal } = this.#options
    signal.throwIfAborted()
    if (!isDue(day, lateHours)) {
      if (!day.archived) this.#found.unsettled++
      return false
    }
    return this.#attempt(day, () => this.#archiveNow(day))
  }

  async #archiveNow(day: Day & Pick<DueDay, 'archived'>): Promise<void> {
    this.#begin(`${day.site} ${day.from.slice(0, 10)}`)
    this.#count(day, await this.#write(day.site, (options) => archiveDay(day, options)))
  }

  /** Rewrites days of many files, and deletes what they have replaced. */
  async #compact(): Promise<void> {
    const { lease, signal, log } = this.#options
    for (const day of (await daysToCompact(lease.reader)).filter(this.#isOurs)) {
      signal.throwIfAborted()
      const about = { site: day.site, day: day.from }
      this.#begin(`compaction of ${day.site} ${day.from.slice(0, 10)}`)
      await this.#attempt(day, async () => {
        const done = await this.#write(day.site, (options) => compactDay(day, options))
        for (const one of done) log.info({ ...about, ...one }, 'day compacted')
        // It writes too, where a hold brings files back.
        await this.#write(day.site, (options) => deleteReplaced(day, options))
      })
    }
  }

  /** Work that writes for a site, after what another archiver or a crash has left is settled. */
  async #write<T>(site: string, work: (options: DueDayOptions) => Promise<T>): Promise<T> {
    const options = this.#writing()
    if (this.#caughtUp.get(site) !== this.#number) await takeOver(site, options)
    // Again after any failure: it may have come between a manifest and its record.
    this.#caughtUp.delete(site)
    const done = await work(options)
    this.#caughtUp.set(site, this.#number)
    return done
  }

  #writing(): DueDayOptions {
    const { lease, place, log, signal } = this.#options
    return { lease, place, log, signal, assertOurs: () => this.#assertOurs() }
  }

  /** @returns false when the day failed by itself */
  async #attempt({ site, from }: DayKey, work: () => Promise<void>): Promise<boolean> {
    try {
      await work()
      return true
    } catch (error) {
      if (!concernsDay(error)) throw error
      this.#noteFailed({ site, day: from, why: error.message })
      return false
    }
  }

  #noteFailed(failed: FailedDay): void {
    const { log, metrics } = this.#options
    metrics.archiveFailures.inc()
    if (this.#found.failed.some((known) => isSameFailure(known, failed))) return
    this.#found.failed.push(failed)
    // Shown now, for a round may take long; what has stopped failing goes at its end.
    if (this.state.failed.some((known) => isSameFailure(known, failed))) return
    this.state.failed = [...this.state.failed, failed]
    log.error(failed, 'day not archived, will retry')
  }

  /** Before anything becomes visible: the lease may be lost by now, and the disk unmounted. */
  async #assertOurs(): Promise<void> {
    const { place, lease } = this.#options
    await assertRightPlace(place, lease.reader)
    await lease.assertHeld()
  }

  #count(
    { site, from, archived }: Day & Pick<DueDay, 'archived'>,
    { files, repeats }: Outcome,
  ): void {
    const { log, metrics } = this.#options
    metrics.archiveRepeats.inc(repeats)
    if (repeats > 0) log.info({ site, day: from, repeats }, 'events that came again dropped')
    if (files.length === 0) return
    if (!archived) this.state.days++
    for (const { kind, rows } of files) {
      metrics.archiveFiles.inc({ table: kind })
      metrics.archiveRows.inc({ table: kind }, rows)
    }
    const message = archived ? 'more of a day archived' : 'day archived'
    log.info({ site, day: from, files: files.length, rows: sumOf(files) }, message)
  }
}

const sumOf = (files: Outcome['files']) => files.reduce((sum, { rows }) => sum + rows, 0)
