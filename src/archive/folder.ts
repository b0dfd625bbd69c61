import { createHash } from 'node:crypto'
import { constants } from 'node:fs'
import { access, mkdir, open, readdir, readFile, rename, rm, stat } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { AppError } from '../core/errors.ts'
import type { Micros } from '../core/time.ts'

/**
 * The archive as a folder, laid out as a Hive-partitioned table that any engine reads:
 *
 *   event/site=fab1/dt=2026-03-01/hour=13/<first>-<last>-<sha8>.parquet    (job, subjob likewise)
 *   _manifest/site=fab1/dt=2026-03-01/hour=13.json                          (written last)
 *
 * What always holds: a file whose name does not begin with a dot is whole and synced; a manifest
 * names only files that were read back and matched; nothing is written over.
 */

export type Place = { site: string; from: Micros }

/** A site's name goes into a path, so it is looked at once more here. */
const siteName = /^(?!\.{1,2}$)[A-Za-z0-9._-]{1,64}$/

/** `site=fab1/dt=2026-03-01/hour=13`. @throws AppError invalid when the site could leave the folder */
export function partitionOf({ site, from }: Place): string {
  if (!siteName.test(site)) {
    throw new AppError('invalid', `${JSON.stringify(site)} is no site id`, { field: 'site_id' })
  }
  return `site=${site}/dt=${from.slice(0, 10)}/hour=${from.slice(11, 13)}`
}

export const manifestPath = (place: Place) => `_manifest/${partitionOf(place)}.json`

/** @throws AppError unavailable, saying what to do, when the folder cannot be used */
export async function checkFolder(dir: string): Promise<void> {
  try {
    await mkdir(dir, { recursive: true })
    await access(dir, constants.W_OK)
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    throw new AppError(
      'unavailable',
      `ARCHIVE_DIR: cannot write to ${dir} (${code}); give a folder that this user may write to`,
    )
  }
}

/** Writes chunks to a hidden file and syncs it. @returns where, how long, and the hash as written */
export async function writeTemporary(
  dir: string,
  folder: string,
  chunks: AsyncIterable<Uint8Array>,
) {
  await mkdir(join(dir, folder), { recursive: true })
  const path = join(dir, folder, `.writing-${process.pid}-${Date.now()}`)
  const hash = createHash('sha256')
  let bytes = 0
  const file = await open(path, 'wx', 0o640)
  try {
    for await (const chunk of chunks) {
      hash.update(chunk)
      bytes += chunk.byteLength
      await file.writeFile(chunk)
    }
    await file.sync()
  } catch (error) {
    await rm(path, { force: true })
    throw error
  } finally {
    await file.close()
  }
  return { path, bytes, sha256: hash.digest('hex') }
}

/** Gives a temporary file its name, durably. A file of that name has the same content: its hash is in it. */
export async function publish(dir: string, temporary: string, name: string): Promise<void> {
  await rename(temporary, join(dir, name))
  await syncFolder(dirname(join(dir, name)))
}

async function syncFolder(path: string): Promise<void> {
  const folder = await open(path, 'r')
  await folder.sync().finally(() => folder.close())
}

/** Size and hash of a file as it is on disk. */
export async function fingerprint(path: string): Promise<{ bytes: number; sha256: string }> {
  const hash = createHash('sha256')
  const file = await open(path, 'r')
  for await (const chunk of file.createReadStream()) hash.update(chunk)
  return { bytes: (await stat(path)).size, sha256: hash.digest('hex') }
}

/** Removes what an attempt left behind that no manifest speaks of. */
export async function clean(dir: string, folder: string): Promise<void> {
  const names = await readdir(join(dir, folder)).catch(() => [])
  for (const name of names) await rm(join(dir, folder, name), { force: true })
}

export async function readManifest(dir: string, place: Place): Promise<unknown> {
  const text = await readFile(join(dir, manifestPath(place)), 'utf8').catch(() => undefined)
  return text === undefined ? undefined : JSON.parse(text)
}
