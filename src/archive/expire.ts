import { AppError } from '../core/errors.ts'
import { type AgedKind, agedKinds, findHot, type KeepRule } from '../store/archive/aged.ts'
import type { ArchiveKind } from '../store/archive/columns.ts'
import { type Day, toDay } from '../store/archive/days.ts'
import { type ArchivedFile, lastManifest } from '../store/archive/files.ts'
import { pendingRemovals } from '../store/archive/removals.ts'
import type { Store } from '../store/connect.ts'
import { readDoubt } from '../store/trusted-time.ts'
import { concernsDay, DayFailure } from './day-failure.ts'
import type { DueDayOptions } from './due-day.ts'
import { writeExpiry } from './expired-files.ts'
import { findHeld } from './held-day.ts'
import type { KnownHolds } from './hold.ts'
import { filesOfHours, type HourManifest, readHours } from './hour-manifest.ts'
import { takeOver } from './intent.ts'
import { type Found, readRecorded } from './manifest.ts'
import { toArchivedFiles } from './manifest-file.ts'
import type { Place } from './places/place.ts'
import { deleteReplaced } from './replaced.ts'

/*
 * Deletes what is past its years, when a person asks for it: of a day all files of a kind, for each kind has its own
 * years. A day stays whole while anything holds it, while the hot store has something that lies in it, and while the time
 * is in doubt. Each day is looked at by itself, right before its manifest, and its holds once more before its files go
 * (replaced.ts): what a dry run has shown decides nothing.
 */

/** What happens, or would happen, to a day. */
export type ExpireLine = {
  site: string
  /** `2016-03-01` */
  day: string
  kinds: ArchiveKind[]
  files: number
  bytes: number
  rows: number
  outcome: 'due' | 'deleted' | 'held' | 'kept' | 'failed'
  /** Why it is deleted, or why it stays. */
  reason: string
}

export type AgedDay = { day: Day; kinds: AgedKind[] }

export type ExpireOptions = {
  /** For reading; with a lease its own. */
  reader: Store
  place: Place
  keep: readonly KeepRule[]
  site: string | undefined
  /** Holds that were read before. */
  known: KnownHolds
}

/** The days with something past its years, the oldest first. */
export async function agedDays({ reader, keep, site }: ExpireOptions): Promise<AgedDay[]> {
  const days = new Map<string, AgedDay>()
  for (const kind of await agedKinds(reader, keep, site)) {
    const key = `${kind.from} ${kind.site}`
    const found = days.get(key) ?? { day: toDay(kind.site, kind.from), kinds: [] }
    found.kinds.push(kind)
    days.set(key, found)
  }
  return [...days.values()]
}

/** What would happen now. Changes nothing. */
export async function* planExpiry(options: ExpireOptions): AsyncGenerator<ExpireLine> {
  for (const aged of await agedDays(options)) {
    yield await attempt(aged, async () => (await lookAt(aged, options)).line)
  }
}

export type ConfirmOptions = Omit<ExpireOptions, 'reader'> &
  DueDayOptions & {
    /** Who deletes, and what was said about it. */
    by: string
    reason: string | undefined
  }

/**
 * Deletes what is past its years. The lease is held.
 *
 * @throws AppError unavailable while the time is in doubt; what concerns more than a day
 */
export async function* confirmExpiry(options: ConfirmOptions): AsyncGenerator<ExpireLine> {
  const { lease, signal } = options
  const asked = { ...options, reader: lease.reader }
  await assertTimeTrusted(lease.reader)
  const begun = [
    ...(await agedDays(asked)).map(({ day }) => day.site),
    ...(await pendingRemovals(lease.reader)).map(({ site }) => site),
  ]
  // What a crash left between a manifest and its record is no longer among the days after this.
  const chains = await takeOverAll(new Set(begun), options)
  for (const { site, from } of await pendingRemovals(lease.reader)) {
    const day = toDay(site, from)
    const remove = () => deleteReplaced(day, options, options.known)
    yield* failureOf({ day, kinds: [] }, () => onChain(site, remove, chains, options))
  }
  for (const aged of await agedDays(asked)) {
    if (signal.aborted) return
    const expire = () => expireDay(aged, options)
    yield await attempt(aged, () => onChain(aged.day.site, expire, chains, options))
  }
}

/** Sites whose chain in the archive is the one on record, and why that of others cannot be continued. */
type Chains = { settled: Set<string>; wrong: Map<string, string> }

async function takeOverAll(sites: ReadonlySet<string>, options: ConfirmOptions): Promise<Chains> {
  const chains: Chains = { settled: new Set(), wrong: new Map() }
  for (const site of sites) {
    try {
      await takeOver(site, options)
      chains.settled.add(site)
    } catch (error) {
      if (!concernsDay(error)) throw error
      chains.wrong.set(site, error.message)
    }
  }
  return chains
}

/** Work that writes for a site, after what a failure of the work before has left is settled. */
async function onChain<T>(
  site: string,
  work: () => Promise<T>,
  { settled, wrong }: Chains,
  options: ConfirmOptions,
): Promise<T> {
  const why = wrong.get(site)
  if (why !== undefined) throw new DayFailure(why)
  if (!settled.has(site)) await takeOver(site, options)
  // It may fail between a manifest and its record.
  settled.delete(site)
  const done = await work()
  settled.add(site)
  return done
}

async function assertTimeTrusted(reader: Store): Promise<void> {
  const doubt = await readDoubt(reader)
  if (doubt !== undefined) throw new AppError('unavailable', `nothing is deleted: ${doubt}`)
}

async function expireDay(aged: AgedDay, options: ConfirmOptions): Promise<ExpireLine> {
  const { lease, by, reason } = options
  const { day } = aged
  await assertTimeTrusted(lease.reader)
  const { line, previous, hours, files } = await lookAt(aged, { ...options, reader: lease.reader })
  if (line.outcome !== 'due') return line
  const kinds = new Set(line.kinds)
  if (!files.some(({ kind }) => kinds.has(kind))) {
    throw new DayFailure('the database has files on record that no manifest of the day names')
  }
  const why = reason === undefined ? line.reason : `${line.reason}: ${reason}`
  await writeExpiry({ day, previous, hours, kinds, by, why }, options)
  const { held } = await deleteReplaced(day, options, options.known)
  return held === undefined
    ? { ...line, outcome: 'deleted' }
    : { ...line, outcome: 'held', reason: held }
}

type Looked = {
  line: ExpireLine
  previous: Found | undefined
  hours: readonly HourManifest[]
  /** All that the day has. */
  files: readonly ArchivedFile[]
}

/** A day as it is now, and what may happen to it. @throws DayFailure when that cannot be said */
async function lookAt(aged: AgedDay, { reader, place, known }: ExpireOptions): Promise<Looked> {
  const { day } = aged
  const recorded = await lastManifest(reader, day.site, day)
  const previous = recorded && (await readRecorded(place, recorded))
  const hours = previous ? [] : await readHours(place, day)
  const files = previous ? toArchivedFiles(previous.manifest.files) : filesOfHours(hours)
  const line = toLine(aged)
  const found = { previous, hours, files }
  const hold = await findHeld(place, day, files, known)
  if (hold !== undefined) return { ...found, line: { ...line, outcome: 'held', reason: hold } }
  const hot = await findHot(reader, day)
  if (hot !== undefined) return { ...found, line: { ...line, outcome: 'kept', reason: hot } }
  return { ...found, line }
}

function toLine({ day, kinds }: AgedDay): ExpireLine {
  const sum = (what: 'files' | 'bytes' | 'rows') => kinds.reduce((n, kind) => n + kind[what], 0)
  const past = kinds.map(({ kind, years }) => `${kind}=${years}`).join(',')
  return {
    ...{ site: day.site, day: day.from.slice(0, 10), kinds: kinds.map(({ kind }) => kind) },
    ...{ files: sum('files'), bytes: sum('bytes'), rows: sum('rows') },
    ...{ outcome: 'due', reason: `past its years (${past})` },
  }
}

/** Nothing, or the failure of a day that cannot be dealt with. */
async function* failureOf(aged: AgedDay, work: () => Promise<unknown>): AsyncGenerator<ExpireLine> {
  const line = await attempt(aged, async () => {
    await work()
    return toLine(aged)
  })
  if (line.outcome === 'failed') yield line
}

/** A day that cannot be dealt with does not keep the others waiting. */
async function attempt(aged: AgedDay, work: () => Promise<ExpireLine>): Promise<ExpireLine> {
  try {
    return await work()
  } catch (error) {
    if (!concernsDay(error)) throw error
    return { ...toLine(aged), outcome: 'failed', reason: error.message }
  }
}
