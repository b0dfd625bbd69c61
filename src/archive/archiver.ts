import type { Logger } from 'pino'
import { AppError } from '../core/errors.ts'
import { fromMs, type Micros, secondsBetween, toMs } from '../core/time.ts'
import { Backoff, sleep } from '../platform/backoff.ts'
import type { Metrics } from '../platform/metrics.ts'
import {
  type ArchivedFile,
  closedHours,
  type Hour,
  hourFacts,
  noteArchived,
  notedFiles,
  notedSite,
  readHour,
  type SiteHour,
  sitesOfHour,
} from '../store/archive.ts'
import type { Store } from '../store/connect.ts'
import { holdLock } from '../store/locks.ts'
import { checkFolder, HourFailure, sizeOf } from './folder.ts'
import { exportHour } from './hour.ts'
import { siteFolder } from './layout.ts'
import { readManifest } from './manifest.ts'
import { dropArchived, type Held, lateBy } from './retention.ts'

/*
 * Finds the hours that are due and archives them, oldest first, for ever.
 *
 * An hour of a site is due when it ends at or below the freeze horizon, has rows, and has no
 * manifest. Below the horizon raw events are frozen, but jobs are not: a replay may still be
 * bringing those that ended then. So an hour waits until none of its jobs has changed for an hour;
 * one that holds raw events waits half a day at most, because retention waits for it.
 */

export type ArchiverOptions = {
  /** One kept connection, which holds the lock and does the work. */
  store: Store
  dir: string
  /** The only site to archive; all of them unless set. */
  site: string | undefined
  intervalMs: number
  /** Raw events stay in the hot store for so long, and until they are archived. */
  retentionHours: number
  log: Logger
  metrics: Metrics
  signal: AbortSignal
}

/** Seconds without a change after which the jobs of an hour count as settled. */
const settleS = 3600
/** Hours that raw events wait for their jobs to settle. */
const overdueHours = 12
/** Hours found complete are looked at again after a day: a replay may bring another site to them. */
const againMs = 24 * 3_600_000

type Failed = { site: string; hour: Micros; why: string }

export type ArchiverState = {
  /** Whether this process is the one that archives, not waiting for another to end. */
  here: boolean
  /** Why nothing can be archived now. */
  trouble: string | undefined
  /** Hours that could not be archived as things are; they are tried again in every round. */
  failed: readonly Failed[]
  /** Hours whose jobs are still changing. */
  unsettled: number
  /** Hours archived by this process. */
  hours: number
  /** What raw events that are past retention wait for. */
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
    held: undefined,
    lastRunAt: null,
  }
  readonly #options: ArchiverOptions
  /** What the round that is going on has found so far. */
  #found: { failed: Failed[]; unsettled: number } = { failed: [], unsettled: 0 }
  /** Hours in which nothing was left to do, and when that was seen. */
  readonly #complete = new Map<Micros, number>()

  constructor(options: ArchiverOptions) {
    this.#options = options
  }

  /** Archives until the signal aborts; what fails is tried again, ever more slowly. */
  async run(): Promise<void> {
    const { signal, intervalMs, log } = this.#options
    const backoff = new Backoff({ firstMs: 1000, maxMs: 60_000 })
    while (!signal.aborted) {
      const well = await this.round()
      if (signal.aborted) return
      if (well) {
        backoff.reset()
        await sleep(intervalMs, signal)
      } else {
        // A folder or database that is back is seen soon; hours that fail can wait longer.
        const waitMs = Math.min(intervalMs, backoff.next() * (this.state.trouble ? 1 : 10))
        log.warn({ retry_ms: Math.round(waitMs), failures: backoff.failures }, 'archiving again')
        await sleep(waitMs, signal)
      }
    }
  }

  /** Looks once at every closed hour. @returns whether all that was due was done. Never rejects. */
  async round(): Promise<boolean> {
    const { state } = this
    const { dir, store, signal, log, metrics } = this.#options
    try {
      await checkFolder(dir)
      state.here = await holdLock(store, 'archive')
      if (state.here) {
        await this.#assertRightFolder()
        await this.#archiveDue()
        await this.#retain()
      }
      state.trouble = undefined
    } catch (error) {
      if (signal.aborted) return false
      metrics.archiveFailures.inc()
      state.trouble = sentence(error)
      log.error({ error }, 'archiving failed, will be repeated')
      return false
    }
    state.lastRunAt = fromMs(Date.now())
    return state.failed.length === 0
  }

  /** A mount point with nothing mounted looks like an archive that was never written to. */
  async #assertRightFolder(): Promise<void> {
    const { dir, store } = this.#options
    const site = await notedSite(store)
    if (site === undefined) return
    if ((await sizeOf(dir, `_manifest/${siteFolder(site)}`)) !== undefined) return
    throw new AppError(
      'unavailable',
      `ARCHIVE_DIR: ${dir} has nothing of ${site}, which was archived before; mount the right folder`,
    )
  }

  async #archiveDue(): Promise<void> {
    const { store, signal, metrics } = this.#options
    const hours = (await closedHours(store, signal)).filter((hour) => !this.#isComplete(hour))
    let oldest: Micros | undefined
    this.#found = { failed: [], unsettled: 0 }
    for (const from of hours) {
      metrics.archiveBehind.set(behind(oldest ?? from))
      if (!(await this.#archiveHour(from))) oldest ??= from
    }
    metrics.archiveBehind.set(oldest === undefined ? 0 : behind(oldest))
    Object.assign(this.state, this.#found)
  }

  /** Drops raw events that are archived and past retention, or says why not. */
  async #retain(): Promise<void> {
    const { store, dir, retentionHours, signal, log, metrics } = this.#options
    const held = await dropArchived({
      store,
      dir,
      retentionHours,
      signal,
      assertOurs: () => this.#assertOurs(),
      onDropped: (partitions) => log.info({ partitions }, 'archived events dropped'),
    })
    metrics.retentionBehind.set(held ? lateBy(held, retentionHours) : 0)
    if (held?.wrong && held.why !== this.state.held?.why) {
      log.error({ why: held.why }, 'archived events not dropped: the archive does not match')
    }
    this.state.held = held
  }

  #isComplete(hour: Micros): boolean {
    const seen = this.#complete.get(hour)
    if (seen !== undefined && performance.now() - seen < againMs) return true
    this.#complete.delete(hour)
    return false
  }

  /** @returns whether nothing of the hour is left to do, for any site */
  async #archiveHour(from: Micros): Promise<boolean> {
    const { store, site, signal } = this.#options
    const found = await sitesOfHour(store, from, overdueHours, signal)
    const ours = found.filter((hour) => site === undefined || hour.site === site)
    let complete = true
    for (const hour of ours) {
      signal.throwIfAborted()
      complete = (await this.#attempt(hour)) && complete
    }
    if (complete) this.#complete.set(from, performance.now())
    return complete
  }

  /** One hour that fails must not keep the others waiting. */
  async #attempt(hour: SiteHour): Promise<boolean> {
    const { log, metrics } = this.#options
    try {
      return await this.#archive(hour)
    } catch (error) {
      if (!isOfTheHour(error)) throw error
      metrics.archiveFailures.inc()
      const why = sentence(error)
      const failed = { site: hour.site, hour: hour.from, why }
      this.#found.failed.push(failed)
      // At once, for a round may take long; what is no failure any more goes at its end.
      if (!this.state.failed.some((known) => isSame(known, failed))) {
        this.state.failed = [...this.state.failed, failed]
        log.error(failed, 'hour not archived, will be repeated')
      }
      return false
    }
  }

  /** @returns false when the hour has to wait until its jobs have settled */
  async #archive(hour: SiteHour): Promise<boolean> {
    const { dir, store } = this.#options
    const noted = await notedFiles(store, hour)
    const had = (await readManifest(dir, hour)) !== undefined
    if (!had) {
      assertNotNoted(noted)
      if (!isSettled(hour)) {
        this.#found.unsettled++
        return false
      }
    }
    const known = new Set(noted)
    const files = await this.#export(hour, known)
    const fresh = files.filter(({ path }) => !known.has(path))
    if (fresh.length > 0) await noteArchived(store, hour, fresh)
    if (!had && files.length > 0) this.#count(hour, files)
    return true
  }

  #export(hour: SiteHour, noted: ReadonlySet<string>): Promise<ArchivedFile[]> {
    const { dir, store, signal, log } = this.#options
    return exportHour({
      dir,
      hour,
      events: hour.events,
      noted,
      signal,
      source: {
        facts: () => hourFacts(store, hour),
        read: (kind, consume) => readHour(store, kind, hour, consume),
      },
      assertOurs: () => this.#assertOurs(),
      onLeftovers: (paths) =>
        log.warn({ site: hour.site, hour: hour.from, paths }, 'leftovers of a crash removed'),
    })
  }

  /** Before anything becomes visible: the lock may be lost by now, and the disk unmounted. */
  async #assertOurs(): Promise<void> {
    await this.#assertRightFolder()
    if (await holdLock(this.#options.store, 'archive')) return
    throw new AppError('unavailable', 'another archiver has taken over')
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

/**
 * An hour on record without its manifest: another folder is mounted, or part of it is lost. What
 * the hot store still has may be less than what was archived, so it is not written again.
 */
function assertNotNoted([path]: readonly string[]): void {
  if (path === undefined) return
  throw new HourFailure(
    `the archive lacks the manifest of an hour that was archived (${path}); mount the right folder or restore it from a copy`,
  )
}

const isSettled = ({ quietS, overdue, events }: SiteHour) =>
  quietS === null || quietS >= settleS || (overdue && events > 0)

/** A site that is no site, or what {@link HourFailure} stands for; anything else concerns all. */
const isOfTheHour = (error: unknown) =>
  error instanceof HourFailure || (error instanceof AppError && error.code === 'invalid')

const hourMs = 3_600_000
/** Never negative, whatever the clock says. */
const behind = (hour: Micros) =>
  Math.max(0, secondsBetween(fromMs(toMs(hour) + hourMs), fromMs(Date.now())))

/** Codes of the file system say what to do; anything else says what it says. */
function sentence(error: unknown): string {
  const { code, message } = error as NodeJS.ErrnoException
  if (code === 'ENOSPC' || code === 'EDQUOT') return 'the disk of ARCHIVE_DIR is full; make room'
  if (code === 'EROFS') return 'the disk of ARCHIVE_DIR is mounted read-only'
  return message
}
