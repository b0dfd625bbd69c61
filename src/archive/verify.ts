import { archiveKinds } from '../store/archive/columns.ts'
import type { RecordedFile } from '../store/archive/files.ts'
import { HourFailure } from './hour-failure.ts'
import { type HourKey, isOurFile, manifestFolder, parseManifestPath } from './layout.ts'
import { type Manifest, readManifest, toArchivedFiles } from './manifest.ts'
import type { Place } from './places/place.ts'
import { assertFileReadsBack } from './read-back.ts'

/*
 * Checks an archive by itself. Needs no database and changes nothing, so it can be run on a copy, in
 * ten years, by an operator who has only the files. That a whole hour was removed, manifest and all,
 * only the database's list of files can tell: it is compared where there is one.
 */

export type HourSummary = Pick<Manifest, 'site' | 'hour' | 'rows' | 'late_events'> & {
  files: number
  bytes: number
}

export type Problem = { path: string; problem: string }

/** The hours that have a manifest, in the order of names, or the problem of the manifest. */
async function* manifests(place: Place): AsyncGenerator<Manifest | Problem> {
  for await (const path of place.list(manifestFolder)) {
    const key = parseManifestPath(path)
    yield key ? await read(place, key, path) : { path, problem: 'is not the name of a manifest' }
  }
}

async function read(place: Place, key: HourKey, path: string): Promise<Manifest | Problem> {
  try {
    return (await readManifest(place, key)) ?? { path, problem: 'is gone' }
  } catch (error) {
    return toProblem(path, error)
  }
}

function toProblem(path: string, error: unknown): Problem {
  const text = error instanceof Error ? error.message : String(error)
  return { path, problem: text.startsWith(`${path} `) ? text.slice(path.length + 1) : text }
}

function toSummary({ site, hour, rows, late_events, files }: Manifest): HourSummary {
  const bytes = files.reduce((sum, file) => sum + file.bytes, 0)
  return { site, hour, rows, late_events, files: files.length, bytes }
}

/** The hours of the archive, from its manifests. */
export async function* listArchive(place: Place): AsyncGenerator<HourSummary | Problem> {
  for await (const found of manifests(place)) yield 'problem' in found ? found : toSummary(found)
}

/**
 * Compares every file with its manifest: that it exists and has its size; `deep` reads it all,
 * compares the SHA-256, and decodes every column. Files that no manifest names are problems too: an
 * engine that reads the archive would take them for part of it.
 *
 * @param recorded the files that the database has on record
 */
export async function* verifyArchive(
  place: Place,
  { deep = false, recorded }: { deep?: boolean; recorded?: AsyncIterable<RecordedFile> } = {},
): AsyncGenerator<HourSummary | Problem> {
  const named = new Set<string>()
  for await (const found of manifests(place)) {
    if ('problem' in found) {
      yield found
      continue
    }
    for (const { path } of found.files) named.add(path)
    yield* problemsOf(place, found, deep)
    yield toSummary(found)
  }
  yield* unnamed(place, named)
  if (recorded) yield* removed(place, named, recorded)
}

/** Files on record of hours without a manifest. An hour may have been archived meanwhile: it is looked up. */
async function* removed(
  place: Place,
  named: ReadonlySet<string>,
  recorded: AsyncIterable<RecordedFile>,
): AsyncGenerator<Problem> {
  for await (const { site, hour, path } of recorded) {
    if (named.has(path)) continue
    let manifest: Manifest | undefined
    try {
      manifest = await readManifest(place, { site, from: hour })
    } catch (error) {
      yield toProblem(path, error)
      continue
    }
    if (manifest?.files.some((file) => file.path === path)) continue
    const problem = `was archived according to the database, and ${manifest ? 'the manifest of its hour does not name it' : 'its hour has no manifest'}`
    yield { path, problem }
  }
}

async function* problemsOf(
  place: Place,
  manifest: Manifest,
  deep: boolean,
): AsyncGenerator<Problem> {
  for (const file of toArchivedFiles(manifest)) {
    const { path, bytes } = file
    try {
      const found = await place.stat(path)
      if (!found) throw new HourFailure('is missing')
      if (found.bytes !== bytes) throw new HourFailure(`has ${found.bytes} bytes, not ${bytes}`)
      if (deep) await assertFileReadsBack(place, file, true)
    } catch (error) {
      yield toProblem(path, error)
    }
  }
}

async function* unnamed(place: Place, named: ReadonlySet<string>): AsyncGenerator<Problem> {
  const problem = 'is not named by any manifest; the archiver removes it if its hour is still due'
  for (const kind of archiveKinds) {
    for await (const path of place.list(kind)) {
      if (isOurFile(path) && !named.has(path)) yield { path, problem }
    }
  }
}
