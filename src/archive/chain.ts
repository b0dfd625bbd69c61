import type { Logger } from 'pino'
import { countEvents, dayFacts, toDay } from '../store/archive/days.ts'
import {
  lastManifest,
  notedFiles,
  type RecordedManifest,
  recordedManifests,
} from '../store/archive/files.ts'
import type { Lease } from '../store/lease.ts'
import { pickOfChain } from './chain-check.ts'
import { DayFailure } from './day-failure.ts'
import { manifestPath, parseManifestPath, siteFolder, toManifestFolder } from './layout.ts'
import { dayOfRecord, type Found, type Link, readManifest, readRecorded } from './manifest.ts'
import { toArchivedFiles } from './manifest-file.ts'
import { noteDay } from './note.ts'
import type { Place } from './places/place.ts'
import { assertFileReadsBack } from './read-back.ts'

/*
 * The chain of a site's manifests, in the archive and on record. An archiver takes up what is in the archive and not on record
 * before it writes anything for the site: a crash came between the two, or the database is a new one.
 *
 * - What is staged is removed first. So an archiver that was overtaken in the middle of a manifest either gave it its name
 *   before we look, or cannot any more.
 * - A manifest that continues the chain on record is read back and noted. One whose place there is taken by another was
 *   written by an archiver that was overtaken: it does not count, and the day's next number takes its place.
 * - Any other belongs to another chain: nothing of the site is written then.
 */

export type ChainOptions = {
  lease: Pick<Lease, 'store' | 'reader'>
  place: Place
  log: Logger
}

export type ChainEnd = { seq: number; link: Link }

/** The end of a site's chain as the database has it. */
export async function chainEnd(
  { lease }: Pick<ChainOptions, 'lease'>,
  site: string,
): Promise<ChainEnd | undefined> {
  const last = await lastManifest(lease.reader, site)
  if (!last) return undefined
  const path = manifestPath(dayOfRecord(last), last.number)
  return { seq: last.seq, link: { path, sha256: last.sha256 } }
}

/**
 * Takes up the manifests of a site that are not on record.
 *
 * @throws DayFailure when the archive lacks the end of the chain, or has another
 */
export async function catchUp(site: string, options: ChainOptions): Promise<void> {
  const { place, lease, log } = options
  await place.clearStaged(siteFolder(site))
  const recorded = new Set<string>()
  let last: RecordedManifest | undefined
  for await (const one of recordedManifests(lease.reader, site)) {
    recorded.add(manifestPath(dayOfRecord(one), one.number))
    last = one
  }
  if (last) await readRecorded(place, last)
  const unknown = onOneChain(await readUnknown(place, site, recorded))
  const live = newestFiles(unknown)
  for (const found of unknown) {
    const end = await chainEnd(options, site)
    if (!continues(found, end)) continue
    await takeUp(found, live, options)
    log.warn({ manifest: found.link.path }, 'a manifest that was not on record is noted now')
  }
}

/** Leaves out those whose place in the chain another has: by an archiver that was overtaken. @param unknown in their order */
function onOneChain(unknown: readonly Found[]): Found[] {
  const places = Map.groupBy(unknown, ({ manifest }) => manifest.seq)
  const chain: Found[] = []
  for (const [seq, ofPlace] of [...places].reverse()) {
    const next = chain[0]?.manifest
    const expected = next?.seq === seq + 1 ? next.previous : undefined
    const some = ofPlace.map((found) => ({ found, link: found.link, lease: found.manifest.lease }))
    const { seen } = pickOfChain(some, expected)
    if (seen) chain.unshift(seen.found)
  }
  return chain
}

/** @returns false for one that was overtaken. @throws DayFailure for one of another chain */
function continues({ manifest, link }: Found, end: ChainEnd | undefined): boolean {
  const { seq, previous } = manifest
  if (end && seq <= end.seq) return false
  if (seq === (end?.seq ?? 0) + 1 && previous?.sha256 === end?.link.sha256) return true
  throw new DayFailure(
    `${link.path} does not follow the last manifest on record (${end?.link.path ?? 'none'}); is it another database's archive?`,
  )
}

async function readUnknown(place: Place, site: string, recorded: ReadonlySet<string>) {
  const unknown: Found[] = []
  for await (const path of place.list(toManifestFolder(site))) {
    const name = parseManifestPath(path)
    if (!name || 'hour' in name || recorded.has(path)) continue
    const found = await readManifest(place, name, name.number)
    if (found) unknown.push(found)
  }
  return unknown.sort((a, b) => a.manifest.seq - b.manifest.seq)
}

/** The files of the greatest number of each day: those of earlier ones may have been replaced. */
function newestFiles(unknown: readonly Found[]): ReadonlySet<string> {
  const newest = new Map<string, Found>()
  for (const found of unknown) {
    const known = newest.get(found.manifest.day)
    if (!known || known.manifest.number < found.manifest.number)
      newest.set(found.manifest.day, found)
  }
  return new Set(
    [...newest.values()].flatMap(({ manifest }) => manifest.files.map(({ path }) => path)),
  )
}

/** Reads the files back that are not on record, and notes the manifest. */
async function takeUp(
  found: Found,
  live: ReadonlySet<string>,
  { place, lease }: ChainOptions,
): Promise<void> {
  const { manifest, link } = found
  const day = toDay(manifest.site, `${manifest.day}T00:00:00.000000Z`)
  const noted = new Set(await notedFiles(lease.reader, day))
  const files = toArchivedFiles(manifest.files)
  const unread = files.filter(({ path }) => !noted.has(path) && live.has(path))
  const { eventsDropped } = await dayFacts(lease.reader, day)
  const events = eventsDropped ? 0 : await countEvents(lease.reader, day)
  const frozen = manifest.rows.event - manifest.late_events
  if (events > 0 && events !== frozen) {
    throw new DayFailure(
      `${link.path} has ${frozen} events, the database has ${events}; is it another archive?`,
    )
  }
  for (const file of unread) await assertFileReadsBack(place, file)
  // Rows of files that were on record are on record in those that take their place.
  const { removed } = manifest
  const isOnRecord = removed?.files.every(({ path }) => noted.has(path)) ?? false
  const read = files.filter((file) => noted.has(file.path) || unread.includes(file))
  await noteDay(lease.store, place, day, found, isOnRecord ? [] : unread, read)
}
