import { join } from 'node:path'
import { filesBelow, HourFailure, sizeOf } from './folder.ts'
import { assertReadsBack } from './hour.ts'
import { isOurFile, type Place, placeOfManifest } from './layout.ts'
import { filesOf, type Manifest, readManifest } from './manifest.ts'

/*
 * Looks at an archive as it lies in its folder. Needs no database and changes nothing, so it may be
 * run on a copy, in ten years, by somebody who has only the folder.
 */

export type HourSummary = Pick<Manifest, 'site' | 'hour' | 'rows' | 'late_events'> & {
  files: number
  bytes: number
}

export type Problem = { path: string; problem: string }

/** The hours that have a manifest, in order of site and time, or what is wrong with it. */
async function* manifests(dir: string): AsyncGenerator<Manifest | Problem> {
  for await (const path of filesBelow(dir, '_manifest')) {
    const place = placeOfManifest(path)
    yield place ? await read(dir, place, path) : { path, problem: 'is no name of a manifest' }
  }
}

async function read(dir: string, place: Place, path: string): Promise<Manifest | Problem> {
  try {
    return (await readManifest(dir, place)) ?? { path, problem: 'is gone' }
  } catch (error) {
    return problemOf(path, error)
  }
}

const problemOf = (path: string, error: unknown): Problem => {
  const text = error instanceof Error ? error.message : String(error)
  return { path, problem: text.startsWith(`${path} `) ? text.slice(path.length + 1) : text }
}

function summaryOf({ site, hour, rows, late_events, files }: Manifest): HourSummary {
  const bytes = files.reduce((sum, file) => sum + file.bytes, 0)
  return { site, hour, rows, late_events, files: files.length, bytes }
}

/** What the archive holds, hour by hour, as its manifests tell. */
export async function* listArchive(dir: string): AsyncGenerator<HourSummary | Problem> {
  for await (const found of manifests(dir)) yield 'problem' in found ? found : summaryOf(found)
}

/**
 * Compares every file with its manifest: that it is there and as long as it was; `deep` reads it
 * all, compares the SHA-256, and decodes every column. Files that no manifest names are problems
 * too: a reader of the folder would take them for part of the archive.
 */
export async function* verifyArchive(
  dir: string,
  { deep = false }: { deep?: boolean } = {},
): AsyncGenerator<HourSummary | Problem> {
  const named = new Set<string>()
  for await (const found of manifests(dir)) {
    if ('problem' in found) {
      yield found
      continue
    }
    for (const { path } of found.files) named.add(path)
    yield* problemsOf(dir, found, deep)
    yield summaryOf(found)
  }
  yield* unnamed(dir, named)
}

async function* problemsOf(dir: string, manifest: Manifest, deep: boolean) {
  for (const file of filesOf(manifest)) {
    const { path, bytes } = file
    try {
      const found = await sizeOf(dir, path)
      if (found === undefined) throw new HourFailure('is missing')
      if (found !== bytes) throw new HourFailure(`has ${found} bytes, not ${bytes}`)
      if (deep) await assertReadsBack(join(dir, path), file, true)
    } catch (error) {
      yield problemOf(path, error)
    }
  }
}

async function* unnamed(dir: string, named: ReadonlySet<string>): AsyncGenerator<Problem> {
  for (const kind of ['event', 'job', 'subjob']) {
    for await (const path of filesBelow(dir, kind)) {
      if (!isOurFile(path.split('/').at(-1) ?? '') || named.has(path)) continue
      const problem =
        'is named by no manifest; the archiver clears it away if its hour is still due'
      yield { path, problem }
    }
  }
}
