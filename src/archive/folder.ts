import { createHash, randomBytes } from 'node:crypto'
import { constants } from 'node:fs'
import {
  access,
  link,
  lstat,
  mkdir,
  open,
  readdir,
  readFile,
  rename,
  rm,
  unlink,
} from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { AppError } from '../core/errors.ts'
import { isOurFile, siteFolder } from './layout.ts'

/*
 * The archive as files that survive a power cut. What always holds:
 *
 * - What has a name outside _tmp is whole and synced, and so are the folders above it.
 * - A name is given once: link() fails where rename() would replace. A second archiver, awake after
 *   its lock was lost, can therefore spoil nothing.
 * - A file is removed only when its hour has a manifest that does not name it, and only if it is
 *   named as ours are. So of two archivers at one hour the one whose manifest came first wins, and
 *   the other can take away nothing of it.
 */

/** Thrown when one hour cannot be archived as things are; other hours can. */
export class HourFailure extends Error {
  override readonly name = 'HourFailure'
}

const codeOf = (error: unknown) => (error as NodeJS.ErrnoException).code ?? ''

/**
 * Makes the folder, but not the one it is to lie in: below a mount point with nothing mounted the
 * archive would be written to the wrong disk.
 *
 * @throws AppError unavailable, saying what to do, when the folder cannot be used
 */
export async function checkFolder(dir: string): Promise<void> {
  try {
    await mkdir(dir).catch((error: unknown) => {
      if (codeOf(error) !== 'EEXIST') throw error
    })
    // With the slash, a file in its place is none; join() would take it away again.
    await access(`${dir}/`, constants.W_OK)
  } catch (cause) {
    throw new AppError(
      'unavailable',
      `ARCHIVE_DIR: cannot write to ${dir} (${codeOf(cause)}); ${remedy(codeOf(cause))}`,
      { cause },
    )
  }
}

function remedy(code: string): string {
  if (code === 'ENOENT') return 'the folder above it is missing; mount or make it'
  if (code === 'EROFS') return 'the file system is mounted read-only'
  if (code === 'ENOSPC' || code === 'EDQUOT') return 'the disk is full; make room'
  return 'give a folder that this user may write to'
}

/** Empties the place in which a site's files are written, of what a crash left. */
export async function clearTemporary(dir: string, site: string): Promise<void> {
  await rm(join(dir, '_tmp', siteFolder(site)), { recursive: true, force: true })
}

export type Temporary = { path: string; bytes: number; sha256: string }

/**
 * Writes chunks to a temporary file and syncs it; the file is gone again when that fails.
 *
 * @returns where it is, and its length and hash as written
 */
export async function writeTemporary(
  dir: string,
  site: string,
  name: string,
  chunks: AsyncIterable<Uint8Array>,
): Promise<Temporary> {
  const folder = join(dir, '_tmp', siteFolder(site))
  await mkdir(folder, { recursive: true })
  // Unlike any other: an archiver that was asleep must not name what its successor is writing.
  const path = join(folder, `${randomBytes(6).toString('hex')}-${name}`)
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

/**
 * Gives a temporary file its name, durably. One of that name and the same content may be there
 * already: left by a crash, it is as good.
 *
 * @throws HourFailure, when one with other content is
 */
export async function publish(dir: string, temporary: Temporary, name: string): Promise<void> {
  const target = join(dir, name)
  await makeFolders(dir, dirname(name))
  try {
    await linkOnce(temporary.path, target)
  } catch (error) {
    if (codeOf(error) !== 'EEXIST') throw error
    const there = await fingerprint(target)
    if (there.sha256 !== temporary.sha256) {
      throw new HourFailure(`${name} is there with other content; move it away if it is of no use`)
    }
  } finally {
    await unlink(temporary.path).catch(() => {})
  }
  await syncFolder(dirname(target))
}

/** File systems without hard links (some network ones) can only rename. */
const noLinks = new Set(['EPERM', 'ENOTSUP', 'EOPNOTSUPP', 'ENOSYS', 'EMLINK'])

async function linkOnce(from: string, to: string): Promise<void> {
  try {
    await link(from, to)
  } catch (error) {
    if (!noLinks.has(codeOf(error))) throw error
    const taken = await lstat(to).then(
      () => true,
      () => false,
    )
    if (taken) throw Object.assign(new Error('taken'), { code: 'EEXIST' })
    await rename(from, to)
  }
}

/** Makes the folders one below the other; each is synced into the one above it. */
async function makeFolders(dir: string, relative: string): Promise<void> {
  let above = dir
  for (const part of relative.split('/')) {
    const path = join(above, part)
    const made = await mkdir(path).then(
      () => true,
      (error: unknown) => {
        if (codeOf(error) !== 'EEXIST') throw error
        return false
      },
    )
    if (made) await syncFolder(above)
    above = path
  }
}

async function syncFolder(path: string): Promise<void> {
  const folder = await open(path, 'r')
  await folder.sync().finally(() => folder.close())
}

/** Size and hash of a file, read again from the file system. */
export async function fingerprint(path: string): Promise<{ bytes: number; sha256: string }> {
  const hash = createHash('sha256')
  let bytes = 0
  const file = await open(path, 'r')
  for await (const chunk of file.createReadStream({ highWaterMark: 2 ** 20 })) {
    hash.update(chunk)
    bytes += (chunk as Buffer).byteLength
  }
  return { bytes, sha256: hash.digest('hex') }
}

/** Size in bytes; undefined when there is no such file. */
export async function sizeOf(dir: string, name: string): Promise<number | undefined> {
  try {
    return (await lstat(join(dir, name))).size
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return undefined
    throw error
  }
}

/** Names of ours in a folder of the archive, with the folder in front; none when it is not there. */
export async function ourFilesIn(dir: string, folder: string): Promise<string[]> {
  const names = await namesIn(join(dir, folder))
  return names.filter(isOurFile).map((name) => `${folder}/${name}`)
}

/** Removes a file of the archive; one that is gone already is no trouble. */
export const removeFile = (dir: string, name: string): Promise<void> =>
  rm(join(dir, name), { force: true })

/** Text of a file; undefined when there is none. Any other trouble is thrown, not taken for that. */
export async function readText(dir: string, name: string): Promise<string | undefined> {
  try {
    return await readFile(join(dir, name), 'utf8')
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return undefined
    throw error
  }
}

async function namesIn(path: string): Promise<string[]> {
  try {
    return await readdir(path)
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return []
    throw error
  }
}

/** Paths of all files below `folder`, relative to the archive, in order; folder by folder. */
export async function* filesBelow(dir: string, folder: string): AsyncGenerator<string> {
  const path = join(dir, folder)
  const names = (await namesIn(path)).sort()
  for (const name of names) {
    const below = `${folder}/${name}`
    if ((await lstat(join(dir, below))).isDirectory()) yield* filesBelow(dir, below)
    else yield below
  }
}
