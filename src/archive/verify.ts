import { dirname } from 'node:path'
import { archiveKinds } from '../store/archive/columns.ts'
import type { ArchivedFile, RecordedFile, RecordedManifest } from '../store/archive/files.ts'
import { ChainCheck } from './chain-check.ts'
import { DayFailure } from './day-failure.ts'
import { holdFolder, readHolds } from './hold.ts'
import { filesOfHours, type HourManifest, readHourManifest, readHours } from './hour-manifest.ts'
import {
  type DayKey,
  isOurFile,
  type ManifestName,
  manifestFolder,
  manifestPath,
  parseManifestPath,
} from './layout.ts'
import {
  dayOfRecord,
  type Expiries,
  type Found,
  type Manifest,
  readManifest,
  readNewest,
  readRecorded,
} from './manifest.ts'
import { toArchivedFiles } from './manifest-file.ts'
import type { Place } from './places/place.ts'
import { type Problem, toProblem } from './problem.ts'
import { assertFileReadsBack } from './read-back.ts'

/*
 * Checks an archive by itself. Needs no database and changes nothing, so it can be run on a copy, in
 * ten years, by an operator who has only the files. The chain of each site shows that a whole day was removed,
 * manifest and all; that the end of the chain was removed, only the database's record can tell: it is compared where there
 * is one. The hours of earlier versions have no chain.
 */

/** A day of a site, or an hour of one that has no manifest of the day. */
export type Summary = {
  site: string
  /** `2026-03-01` */
  day: string
  /** Of the day, 0 to 23. */
  hour?: number
  rows: { event: number | null; job: number; subjob: number }
  /** Of the events, those that came too late for the hot table; of an hour, those that it does not have. */
  late_events: number
  files: number
  bytes: number
  /** What was deleted for its age, by table. */
  expired?: Expiries
  /** The number of the manifest that counts: how often the day was written. Hours have none. */
  version?: number
}

/** What counts of a day: its newest manifest, or those of its hours. */
type Counting = { found: Found } | { hour: HourManifest }

type Removed = NonNullable<Manifest['removed']>

/** What is gathered of all manifests, those that do not count any more too. */
type Gathered = {
  chains: ChainCheck
  /** By the paths of files that left their days: the manifests that took them out, and why. */
  removed: Map<string, { by: string; reason: Removed['reason'] }>
}

/** The manifests that count, in the order of names, and problems of manifests. */
async function* counting(place: Place, gathered?: Gathered): AsyncGenerator<Counting | Problem> {
  let group: ManifestName[] = []
  let folder: string | undefined
  for await (const path of place.list(manifestFolder)) {
    if (dirname(path) !== folder) {
      yield* ofDay(place, group, gathered)
      group = []
      folder = dirname(path)
    }
    const name = parseManifestPath(path)
    if (name) group.push(name)
    else yield { path, problem: 'is not the name of a manifest' }
  }
  yield* ofDay(place, group, gathered)
}

/** @param names those of one day */
async function* ofDay(
  place: Place,
  names: readonly ManifestName[],
  gathered: Gathered | undefined,
): AsyncGenerator<Counting | Problem> {
  const numbered = names.flatMap((name) => ('number' in name ? [name] : []))
  const newest = numbered.sort((a, b) => a.number - b.number).at(-1)
  let counts: Found | undefined
  // Where nothing is gathered only the newest is read.
  for (const name of gathered ? numbered : numbered.slice(-1)) {
    const path = manifestPath(name, name.number)
    const found = await attempt(path, () => readManifest(place, name, name.number))
    if (!found) continue
    if ('problem' in found) yield found
    else {
      gathered?.chains.add(found, name === newest)
      const { removed } = found.manifest
      for (const file of removed?.files ?? []) {
        gathered?.removed.set(file.path, { by: path, reason: removed?.reason ?? 'compacted' })
      }
      counts = found
    }
  }
  // Without the newest the one before it: its files are still the archive's.
  if (counts) yield { found: counts }
  if (newest) return
  for (const name of names) {
    if (!('hour' in name)) continue
    const hour = { site: name.site, from: name.hour }
    const found = await attempt(toHourPath(name.hour, name), () => readHourManifest(place, hour))
    if (found) yield 'problem' in found ? found : { hour: found }
  }
}

const toHourPath = (hour: string, { site, from }: DayKey) =>
  `${manifestFolder}/site=${site}/dt=${from.slice(0, 10)}/hour=${hour.slice(11, 13)}.json`

/** What `work` gives, or its error as a problem; undefined when the file has gone meanwhile. */
async function attempt<T extends object>(
  path: string,
  work: () => Promise<T | undefined>,
): Promise<T | Problem | undefined> {
  try {
    return await work()
  } catch (error) {
    return toProblem(path, error)
  }
}

function toSummary(one: Counting): Summary {
  const files = filesOf(one)
  const bytes = files.reduce((sum, file) => sum + file.bytes, 0)
  if ('found' in one) {
    const { site, day, rows, late_events, number: version, expired } = one.found.manifest
    const of = { site, day, rows, late_events, files: files.length, bytes, version }
    return expired ? { ...of, expired } : of
  }
  const { site, hour, rows, late_events } = one.hour
  const [day, ofDay] = [hour.slice(0, 10), Number(hour.slice(11, 13))]
  return { site, day, hour: ofDay, rows, late_events, files: files.length, bytes }
}

const filesOf = (one: Counting): ArchivedFile[] =>
  'found' in one ? toArchivedFiles(one.found.manifest.files) : filesOfHours([one.hour])

/** The days of the archive, from their manifests. */
export async function* listArchive(place: Place): AsyncGenerator<Summary | Problem> {
  for await (const one of counting(place)) yield 'problem' in one ? one : toSummary(one)
}

export type VerifyOptions = {
  deep?: boolean
  /** What the database has on record. */
  recorded?: { files: AsyncIterable<RecordedFile>; manifests: AsyncIterable<RecordedManifest> }
}

/**
 * Compares every file with its manifest: that it exists and has its size; `deep` reads it all,
 * compares the SHA-256, and decodes every column. Files that no manifest names are problems too: an
 * engine that reads the archive would take them for part of it. So is a chain that lacks a manifest.
 */
export async function* verifyArchive(
  place: Place,
  { deep = false, recorded }: VerifyOptions = {},
): AsyncGenerator<Summary | Problem> {
  const named = new Set<string>()
  const gathered: Gathered = { chains: new ChainCheck(), removed: new Map() }
  const { chains, removed } = gathered
  for await (const one of counting(place, gathered)) {
    if ('problem' in one) {
      yield one
      continue
    }
    const files = filesOf(one)
    for (const { path } of files) named.add(path)
    yield* problemsOf(place, files, deep)
    yield toSummary(one)
  }
  yield* chains.problems()
  yield* unnamed(place, named, removed)
  yield* unreadableHolds(place)
  if (!recorded) return
  yield* lostManifests(place, chains, recorded.manifests)
  // The record of what was taken out follows its manifest.
  yield* lostFiles(place, new Set([...named, ...removed.keys()]), recorded.files)
}

/** Manifests on record that the archive does not have. */
async function* lostManifests(
  place: Place,
  chains: ChainCheck,
  recorded: AsyncIterable<RecordedManifest>,
): AsyncGenerator<Problem> {
  for await (const one of recorded) {
    const path = manifestPath(dayOfRecord(one), one.number)
    if (chains.has(path, one.sha256)) continue
    // The day may have been archived meanwhile.
    const found = await attempt(path, () => readRecorded(place, one))
    if (found && 'problem' in found) yield found
  }
}

/** Files on record that no manifest names. A day may have been archived meanwhile: it is looked up. */
async function* lostFiles(
  place: Place,
  named: ReadonlySet<string>,
  recorded: AsyncIterable<RecordedFile>,
): AsyncGenerator<Problem> {
  for await (const { site, startsAt, path } of recorded) {
    if (named.has(path)) continue
    const key = { site, from: `${startsAt.slice(0, 10)}T00:00:00.000000Z` }
    const files = await attempt(path, () => readNamed(place, key))
    if (files && 'problem' in files) yield files
    else if (!files?.some((file) => file.path === path)) {
      const which = files?.length ? 'no manifest of its day names it' : 'its day has no manifest'
      yield { path, problem: `was archived according to the database, and ${which}` }
    }
  }
}

async function readNamed(place: Place, key: DayKey): Promise<ArchivedFile[]> {
  const newest = await readNewest(place, key)
  return newest ? toArchivedFiles(newest.manifest.files) : filesOfHours(await readHours(place, key))
}

async function* problemsOf(
  place: Place,
  files: readonly ArchivedFile[],
  deep: boolean,
): AsyncGenerator<Problem> {
  for (const file of files) {
    const { path, bytes } = file
    try {
      const found = await place.stat(path)
      if (!found) throw new DayFailure('is missing')
      if (found.bytes !== bytes) throw new DayFailure(`has ${found.bytes} bytes, not ${bytes}`)
      if (deep) await assertFileReadsBack(place, file, true)
    } catch (error) {
      yield toProblem(path, error)
    }
  }
}

async function* unnamed(
  place: Place,
  named: ReadonlySet<string>,
  removed: Gathered['removed'],
): AsyncGenerator<Problem> {
  const stray =
    'is not named by any manifest; the archiver removes it when it archives more of its day'
  for (const kind of archiveKinds) {
    for await (const path of place.list(kind)) {
      if (!isOurFile(path) || named.has(path)) continue
      const { by, reason } = removed.get(path) ?? {}
      const did =
        reason === 'expired'
          ? 'deletes it for its age'
          : 'has replaced it, and its rows are in the files that this names'
      const left = `is left over: ${by} ${did}; the archiver deletes it in its next round`
      yield { path, problem: by === undefined ? stray : left }
    }
  }
}

/** While one cannot be read, nothing is deleted for its age. */
async function* unreadableHolds(place: Place): AsyncGenerator<Problem> {
  const found = await attempt(holdFolder, () => readHolds(place))
  if (found && 'problem' in found) yield found
}
