import { createHash } from 'node:crypto'
import * as z from 'zod'
import { ensure } from '../core/must.ts'
import { fromMicros, type Micros, toMicros } from '../core/time.ts'
import { version } from '../platform/version.ts'
import type { ArchivedFile, RecordedManifest } from '../store/archive/files.ts'
import { DayFailure } from './day-failure.ts'
import {
  type DayKey,
  manifestPath,
  parseManifestPath,
  schemaVersion,
  siteFolder,
  toPartition,
} from './layout.ts'
import {
  contradictionOfSums,
  fileShape,
  hash,
  parseManifest,
  sumRows,
  time,
  toManifestFile,
  whole,
} from './manifest-file.ts'
import { collect, textChunks } from './places/content.ts'
import type { Place } from './places/place.ts'

/*
 * A manifest makes a state of a day count: it is written last, and names every file of the day. A later one, with the next
 * number, takes its place; none is ever changed. Besides, all manifests of a site are a chain: each has its place there
 * and the hash of the one before it, whatever day that is of, so that none can go unnoticed.
 * Files leave a day by a manifest that says so (`removed`), and are deleted after it (replaced.ts).
 * Plain JSON in snake_case, so that ten lines of any language can read it in 2040.
 */

const linkShape = z.object({ path: z.string(), sha256: hash })
const positive = z.int().positive()

const manifestSchema = z.object({
  version: z.literal(2),
  schema: z.string(),
  site: z.string(),
  day: z.iso.date(),
  /** Its place among those of the day, from 1. The greatest counts. */
  number: positive,
  /** Its place in the chain of the site, from 1. */
  seq: positive,
  /** The one before it in the chain; null for the first. */
  previous: linkShape.nullable(),
  /** The freeze horizon when the day was read: below it raw events do not change. */
  frozen_before: time,
  archived_at: time,
  archived_by: z.string(),
  /** Number of the lease under which it was written. */
  lease: positive,
  rows: z.object({ event: whole, job: whole, subjob: whole }),
  /** How many of the events had come too late for the hot table of their day. */
  late_events: whole,
  /** The raw events were gone before the day was archived, so it does not have them. */
  events_dropped: z.boolean(),
  files: z.array(fileShape),
  /** The files that this manifest took out of the day, which the one before it named. */
  removed: z.object({ reason: z.enum(['compacted']), files: z.array(fileShape).min(1) }).optional(),
})

export type Manifest = z.infer<typeof manifestSchema>
/** A manifest by its name and the hash of its bytes. */
export type Link = z.infer<typeof linkShape>
/** A manifest as it is in the archive. */
export type Found = { manifest: Manifest; link: Link }

/**
 * @returns undefined when there is none of this number
 * @throws DayFailure when it cannot be understood
 */
export async function readManifest(
  place: Place,
  key: DayKey,
  number: number,
): Promise<Found | undefined> {
  const path = manifestPath(key, number)
  const content = await place.read(path)
  if (!content) return undefined
  const bytes = await collect(content.chunks())
  const manifest = parseManifest(manifestSchema, bytes.toString('utf8'))
  if (typeof manifest === 'string') throw new DayFailure(`${path} ${manifest}`)
  const wrong = findContradiction(manifest, key, number)
  if (wrong !== undefined) throw new DayFailure(`${path} ${wrong}`)
  return { manifest, link: { path, sha256: createHash('sha256').update(bytes).digest('hex') } }
}

/** Numbers of the manifests of a day, in their order. */
export async function manifestNumbers(place: Place, key: DayKey): Promise<number[]> {
  const numbers: number[] = []
  for await (const path of place.list(`_manifest/${toPartition(key)}`)) {
    const name = parseManifestPath(path)
    if (name && 'number' in name) numbers.push(name.number)
  }
  return numbers.sort((a, b) => a - b)
}

/** The manifest of a day that counts. @throws DayFailure as {@link readManifest} */
export async function readNewest(place: Place, key: DayKey): Promise<Found | undefined> {
  const number = (await manifestNumbers(place, key)).at(-1)
  return number === undefined ? undefined : readManifest(place, key, number)
}

/** The day of a manifest on record. */
export const dayOfRecord = ({ site, day }: RecordedManifest): DayKey => ({
  site,
  from: `${day}T00:00:00.000000Z`,
})

/**
 * The manifest that the database has on record.
 *
 * @throws DayFailure when the archive does not have it, or another one: this is another archive, or part of it is lost.
 * The hot store may have less by now than was archived, so nothing of it is written again.
 */
export async function readRecorded(place: Place, recorded: RecordedManifest): Promise<Found> {
  const key = dayOfRecord(recorded)
  const found = await readManifest(place, key, recorded.number)
  const path = manifestPath(key, recorded.number)
  const remedy = 'mount the right folder or restore it from a copy'
  if (!found) throw new DayFailure(`the archive lacks a manifest that it had (${path}); ${remedy}`)
  if (found.link.sha256 === recorded.sha256 && found.manifest.seq === recorded.seq) return found
  throw new DayFailure(`${path} is not the manifest that was written; ${remedy}`)
}

/** The first inconsistency of a manifest; undefined when there is none. */
function findContradiction(manifest: Manifest, key: DayKey, number: number): string | undefined {
  const { site, day, rows, files, removed, late_events } = manifest
  const isOfName = site === key.site && day === key.from.slice(0, 10) && manifest.number === number
  if (!isOfName) return `belongs to ${site} ${day}, number ${manifest.number}`
  if ((manifest.seq === 1) !== (manifest.previous === null))
    return 'is the first of its chain, or has one before it: not both'
  const end = fromMicros(toMicros(key.from) + 86_400_000_000n)
  const named = new Set(files.map(({ path }) => path))
  const both = removed?.files.find(({ path }) => named.has(path))
  if (both) return `removes ${both.path}, and names it`
  for (const { table, path, at_min, at_max } of [...files, ...(removed?.files ?? [])]) {
    const isOfDay = path.startsWith(`${table}/${toPartition(key)}/`)
    if (!isOfDay) return `names ${path}, which does not belong to this day`
    const isInDay = key.from <= at_min && at_min <= at_max && at_max < end
    if (!isInDay) return `names ${path} with times outside of the day`
  }
  if (late_events > rows.event) return `has ${late_events} late events among ${rows.event}`
  return contradictionOfSums(files, rows)
}

export type NewManifest = {
  day: DayKey
  number: number
  /** The end of the site's chain; undefined when this is its first. */
  end: { seq: number; link: Link } | undefined
  frozenBefore: Micros
  archivedAt: Micros
  lease: number
  lateEvents: number
  eventsDropped: boolean
  /** All that the day has. */
  files: readonly ArchivedFile[]
  removed?: { reason: 'compacted'; files: readonly ArchivedFile[] } | undefined
}

export function makeManifest(given: NewManifest): Manifest {
  const files = given.files.map(toManifestFile)
  const { removed } = given
  return {
    version: 2,
    schema: schemaVersion,
    site: given.day.site,
    day: given.day.from.slice(0, 10),
    number: given.number,
    seq: (given.end?.seq ?? 0) + 1,
    previous: given.end?.link ?? null,
    frozen_before: given.frozenBefore,
    archived_at: given.archivedAt,
    archived_by: `wafermon ${version}`,
    lease: given.lease,
    rows: {
      event: sumRows(files, 'event'),
      job: sumRows(files, 'job'),
      subjob: sumRows(files, 'subjob'),
    },
    late_events: given.lateEvents,
    events_dropped: given.eventsDropped,
    files,
    ...(removed
      ? { removed: { reason: removed.reason, files: removed.files.map(toManifestFile) } }
      : {}),
  }
}

/**
 * Puts it into the archive, once: with this the state of the day counts.
 *
 * @throws AppError conflict when the day has another of this number
 */
export async function writeManifest(place: Place, key: DayKey, manifest: Manifest): Promise<Found> {
  const wrong = findContradiction(manifest, key, manifest.number)
  ensure(wrong === undefined, `a manifest that is written can be read: it ${wrong}`)
  const text = `${JSON.stringify(manifest, null, 2)}\n`
  const staged = await place.stage(`${siteFolder(key.site)}/manifest.json`, textChunks(text))
  const path = manifestPath(key, manifest.number)
  const { sha256 } = staged
  await place.putOnce(path, staged)
  return { manifest, link: { path, sha256 } }
}
