import type { Logger } from 'pino'
import type { Event } from '../core/event.ts'
import type { Micros } from '../core/time.ts'
import { sleep } from '../platform/backoff.ts'
import { clock } from '../platform/clock.ts'
import { isArchivedSql } from './archive/jobs-sql.ts'
import { dropRestored } from './archive/restore.ts'
import { makeBaselines } from './baselines.ts'
import { closeLost } from './close-lost.ts'
import type { Sql, Store } from './connect.ts'
import { isUnreachable } from './database-error.ts'
import { noteDatabaseRoom } from './disk-room.ts'
import { endStalledReaders } from './end-stalled.ts'
import { advanceHorizon } from './horizon.ts'
import { askAgainMs, openLease } from './lease.ts'
import { findOrphans } from './orphans.ts'
import { dropUnarchived } from './retention.ts'
import { retireSources, trimSources } from './retire-sources.ts'
import { trimSenderClocks } from './sender-clocks.ts'
import { readDoubt, TimeWatch, type TrustedTime } from './trusted-time.ts'

export type MaintenanceOptions = {
  log: Logger
  signal: AbortSignal
  freezeAfterHours: number
  liveKeepHours: number
  /** With an archive, jobs stay until it has them, and raw events are its to drop. */
  archive: boolean
  /** Age at which raw events are dropped when there is no archive. */
  retentionHours: number
  /** Jobs that have been lost for so many seconds are closed; 0 or absent: none. */
  lostAfterS?: number
  /** Called with the events that closed them. */
  onEnded?: (ended: readonly Event[]) => void
  /** Between two rounds, in milliseconds; a minute. */
  everyMs?: number
  /** The lease, for tests; see lease.ts. */
  silentMs?: number
}

/** Shown by health. */
export type MaintenanceState = {
  /** True on the replica that does maintenance. */
  here: boolean
  /** End of the last round that this replica did. */
  lastRunAt: Micros | null
  /** Why nothing is deleted: the time is in doubt. */
  doubt: string | undefined
  /** Tasks that failed in it, with why. */
  failed: { task: string; why: string }[]
}

export type Maintenance = { state(): MaintenanceState; done: Promise<void> }

type Task = {
  name: string
  /** Minutes between two runs; every round unless set. */
  everyMinutes?: number
  /** Runs also while the time is in doubt; all others wait, for they delete by it. */
  always?: true
  run: (store: Store, signal: AbortSignal, time: TrustedTime) => Promise<unknown>
}

/** Rows deleted in one statement: some tens of milliseconds. */
const batch = 5000

/**
 * Does what keeps the hot store small and its figures fresh, once at start and then every minute,
 * on the replica that holds the lease (lease.ts). Another replica takes it when this one dies or
 * stops. A task that fails is logged and tried again; the others still run.
 */
export function runMaintenance(url: string, options: MaintenanceOptions): Maintenance {
  const { log, signal, everyMs = 60_000 } = options
  const state: MaintenanceState = {
    ...{ here: false, lastRunAt: null, doubt: undefined, failed: [] },
  }
  const { store, reader, hold, close } = openLease(url, 'maintenance', {
    role: 'maintenance',
    timeoutS: 300,
    ...(options.silentMs === undefined ? {} : { silentMs: options.silentMs }),
  })
  const due = dueTasks(tasksOf(options))
  const watch = new TimeWatch()

  async function round(): Promise<void> {
    state.here = (await hold()) !== undefined
    if (!state.here) {
      state.failed = []
      state.doubt = await readDoubt(reader)
      return
    }
    const time = await watch.look(store)
    tellDoubt(log, state.doubt, time.doubt)
    state.doubt = time.doubt
    state.failed = []
    for (const task of due(time.doubt !== undefined)) {
      if (signal.aborted) return
      const why = await attempt(task, () => task.run(store, signal, time), signal, log)
      if (why !== undefined) state.failed.push({ task: task.name, why })
    }
    state.lastRunAt = clock.now()
  }

  async function loop(): Promise<void> {
    while (!signal.aborted) {
      await round().catch((error: unknown) => {
        state.here = false
        if (!signal.aborted) log.warn({ error }, 'maintenance could not start')
      })
      await sleep(state.here ? everyMs : Math.min(everyMs, askAgainMs), signal)
    }
    await close()
  }

  return { state: () => ({ ...state }), done: loop() }
}

function tellDoubt(log: Logger, before: string | undefined, now: string | undefined): void {
  if (now !== undefined && before === undefined) log.error({ why: now }, 'maintenance stopped')
  if (now === undefined && before !== undefined)
    log.warn('the clocks agree again; maintenance continues')
}

function dueTasks(tasks: Task[]): (inDoubt: boolean) => Task[] {
  const lastRuns = new Map<string, number>()
  return (inDoubt) => {
    const now = performance.now()
    const due = tasks.filter(({ name, everyMinutes = 0, always = false }) => {
      if (inDoubt && !always) return false
      const last = lastRuns.get(name)
      return last === undefined || now - last >= everyMinutes * 60_000
    })
    for (const { name } of due) lastRuns.set(name, now)
    return due
  }
}

/** @returns why it failed, or undefined */
async function attempt(
  task: Task,
  run: () => Promise<unknown>,
  signal: AbortSignal,
  log: Logger,
): Promise<string | undefined> {
  try {
    await run()
    return undefined
  } catch (error) {
    if (signal.aborted) return undefined
    // The whole round ends: the lease is lost, with its connection or to another process.
    if (isUnreachable(error)) throw error
    log.warn({ error, task: task.name }, 'a maintenance task failed; will retry')
    return error instanceof Error ? error.message : String(error)
  }
}

function tasksOf(options: MaintenanceOptions): Task[] {
  const { freezeAfterHours, liveKeepHours, archive, retentionHours, log } = options
  const { lostAfterS = 0, onEnded } = options
  const closeLostJobs = (store: Store) => closeLost(store, { lostAfterS, log, onEnded })
  const dropOld = async (store: Store, signal: AbortSignal) => {
    const dropped = await dropUnarchived(store, retentionHours, signal)
    if (dropped.length > 0) log.info({ dropped }, 'raw events past retention dropped')
  }
  return [
    { name: 'stalled', always: true, run: endStalledReaders },
    {
      name: 'horizon',
      always: true,
      run: (store, _, time) => advanceHorizon(store, freezeAfterHours, time),
    },
    { name: 'live', run: (store, signal) => trimLive(store, liveKeepHours, signal) },
    { name: 'baselines', everyMinutes: 5, run: makeBaselines },
    { name: 'orphans', run: findOrphans },
    ...(lostAfterS > 0 ? [{ name: 'lost', run: closeLostJobs }] : []),
    ...(archive ? [] : [{ name: 'events', everyMinutes: 60, run: dropOld }]),
    { name: 'restored', everyMinutes: 60, run: dropRestored },
    { name: 'corrections', everyMinutes: 60, run: trimCorrections },
    { name: 'apps', everyMinutes: 60, run: trimApps },
    { name: 'sender clocks', everyMinutes: 60, run: trimSenderClocks },
    { name: 'sources', everyMinutes: 10, run: retireSources },
    { name: 'room', everyMinutes: 60, run: noteDatabaseRoom },
    { name: 'epochs', everyMinutes: 60, run: trimSources },
    {
      name: 'jobs',
      everyMinutes: 60,
      run: (store, signal) => trimJobs(store, signal, 90, archive),
    },
  ]
}

/** Deletes batch by batch until a batch is not full. */
async function inBatches(remove: () => Promise<number>, signal: AbortSignal): Promise<number> {
  let total = 0
  while (!signal.aborted) {
    const removed = await remove()
    total += removed
    if (removed < batch) break
  }
  return total
}

/**
 * The newest row always stays: a subscriber that resumes needs it to find the end of the history.
 * Rows lie in the order of their age but for the length of a transaction, so the walk ends at the
 * first that stays.
 */
export function trimLive(store: Store, keepHours: number, signal: AbortSignal): Promise<number> {
  const remove = () =>
    store.ask(
      { operation: 'trimLive', table: 'live_batch' },
      (sql) => sql`
        /* maintenance.trimLive */
        delete from live_batch where pos = any(array(
          select pos from live_batch where pos < least(
            (select pos from live_batch
              where stored_at >= (select trusted_at from horizon) - make_interval(secs => ${keepHours * 3600})
              order by pos limit 1),
            (select max(pos) from live_batch))
          order by pos limit ${batch}))`,
    )
  return inBatches(async () => (await remove()).count, signal)
}

function trimCorrections(store: Store, signal: AbortSignal): Promise<number> {
  const remove = () =>
    store.ask(
      { operation: 'trimCorrections', table: 'clock_correction' },
      (sql) => sql`
        /* maintenance.trimCorrections */
        delete from clock_correction where ctid = any(array(
          select ctid from clock_correction where made_at < (select trusted_at from horizon) - interval '90 days'
          limit ${batch}))`,
    )
  return inBatches(async () => (await remove()).count, signal)
}

async function trimApps(store: Store): Promise<void> {
  await store.ask(
    { operation: 'trimApps', table: 'app' },
    (sql) => sql`
      /* maintenance.trimApps */
      delete from app where last_seen_at < (select trusted_at from horizon) - interval '90 days'`,
  )
  await store.ask(
    { operation: 'trimBaselines', table: 'baseline' },
    (sql) => sql`
      /* maintenance.trimBaselines */
      delete from baseline where made_at < (select trusted_at from horizon) - interval '90 days'`,
  )
}

/**
 * Deletes jobs without an event for 90 days, running ones too. By both clocks: old history that is
 * replayed today stays for 90 days as well. With an archive, only as the archive has them; one that was restored, when its
 * time has passed.
 */
export async function trimJobs(
  store: Store,
  signal: AbortSignal,
  days = 90,
  archive = false,
): Promise<number> {
  let total = 0
  const since = (sql: Sql) => sql`(select trusted_at - make_interval(days => ${days}) from horizon)`
  for (const table of ['job', 'subjob'] as const) {
    const remove = () =>
      store.ask(
        { operation: 'trimJobs', table },
        (sql) => sql`
          /* maintenance.trimJobs */
          with gone as (
            delete from ${sql(table)} where ctid = any(array(
              select ctid from ${sql(table)}
              where seen_bin < (${since(sql)}) at time zone 'UTC'
                and last_event_at < ${since(sql)}
                and updated_at < ${since(sql)}
                and (restored_until is null or restored_until < (select trusted_at from horizon))
                and (not ${archive} or ${sql.unsafe(isArchivedSql(table, table))})
              order by seen_bin limit ${batch}))
            returning last_event_at),
          moved as (
            update horizon set jobs_from = greatest(jobs_from, (select max(last_event_at) from gone))
            where exists (select from gone))
          select from gone`,
      )
    total += await inBatches(async () => (await remove()).count, signal)
  }
  return total
}
