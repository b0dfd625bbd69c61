import { createHash } from 'node:crypto'
import type { Dirent } from 'node:fs'
import { link, lstat, mkdir, open, readdir, rename, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { type Fingerprint, toRange } from './content.ts'
import type { Content } from './place.ts'

/* Files and folders that survive a power cut, for the folder place. */

export const codeFromError = (error: unknown): string =>
  (error as NodeJS.ErrnoException | null)?.code ?? ''

/** For `catch`: any error but those of the codes, which count as undefined. */
export function unless(...codes: string[]): (error: unknown) => undefined {
  return (error) => {
    if (codes.includes(codeFromError(error))) return undefined
    throw error
  }
}

/** Writes a new file and syncs it; the file is gone again when that fails. */
export async function writeSynced(
  path: string,
  chunks: AsyncIterable<Uint8Array>,
): Promise<Fingerprint> {
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
  return { bytes, sha256: hash.digest('hex') }
}

/** A file as content; it is opened for each reading. */
export function fileContent(path: string, bytes: number): Content {
  return {
    bytes,
    async *chunks(range) {
      const { from, to } = toRange({ bytes }, range)
      if (from === to) return
      const file = await open(path, 'r')
      let left = to - from
      // The end is included here.
      for await (const chunk of file.createReadStream({ start: from, end: to - 1, ...reading })) {
        left -= (chunk as Buffer).byteLength
        yield chunk as Buffer
      }
      if (left > 0) throw new Error(`${path} ends ${left} bytes before ${to}`)
    },
  }
}

const reading = { highWaterMark: 2 ** 20 }

/** File systems without hard links (some network ones) can only rename. */
const noLinks = new Set(['EPERM', 'ENOTSUP', 'EOPNOTSUPP', 'ENOSYS', 'EMLINK'])

/** Gives a file one more name. @returns false when the name is taken */
export async function linkOnce(from: string, to: string): Promise<boolean> {
  try {
    await link(from, to)
    return true
  } catch (error) {
    if (codeFromError(error) === 'EEXIST') return false
    if (!noLinks.has(codeFromError(error))) throw error
    if ((await readSize(to)) !== undefined) return false
    await rename(from, to)
    return true
  }
}

/** Size of a file in bytes; undefined when there is none. A link is not followed. */
export async function readSize(path: string): Promise<number | undefined> {
  const found = await lstat(path).catch(unless('ENOENT'))
  return found?.isDirectory() ? undefined : found?.size
}

/** Makes folders below one that is there. Not by mkdir's own `recursive`: below /proc that never ends. */
export async function makeBelow(root: string, folder: string): Promise<void> {
  let path = root
  for (const part of folder.split('/')) {
    path = join(path, part)
    await mkdir(path).catch(unless('EEXIST'))
  }
}

/** Makes folders below one that is there, and makes their names durable. */
export class FolderSync {
  readonly #root: string
  /** Folders that are known to be synced into the one above. One that a crash left is not. */
  readonly #synced = new Set<string>()

  constructor(root: string) {
    this.#root = root
  }

  /** Makes `folder` and those above it, up to the root; each is synced into the one above it. */
  async make(folder: string): Promise<void> {
    let above = '.'
    for (const part of folder.split('/')) {
      const next = join(above, part)
      const isNew = await mkdir(join(this.#root, next)).then(() => true, unless('EEXIST'))
      if (isNew || !this.#synced.has(next)) await this.sync(above)
      this.#synced.add(next)
      above = next
    }
  }

  /** Makes the names in a folder durable. */
  async sync(folder: string): Promise<void> {
    const handle = await open(join(this.#root, folder), 'r')
    await handle.sync().finally(() => handle.close())
  }
}

/**
 * Paths of all files below `prefix`, in the order of their bytes; folder by folder, so that a tree
 * of any size takes the memory of its largest folders.
 */
export async function* filesBelow(
  root: string,
  prefix: string,
  hidden: string,
): AsyncGenerator<string> {
  const entries = await readdir(join(root, prefix), { withFileTypes: true }).catch(unless('ENOENT'))
  for (const { name, isFolder } of inOrder(entries ?? [])) {
    const path = prefix === '' ? name : `${prefix}/${name}`
    if (path === hidden) continue
    if (isFolder) yield* filesBelow(root, path, hidden)
    else yield path
  }
}

/** A folder comes where its slash puts it: `a-b` before what is in `a`. */
function inOrder(entries: readonly Dirent[]) {
  return entries
    .map((entry) => {
      const isFolder = entry.isDirectory()
      return { name: entry.name, isFolder, key: Buffer.from(entry.name + (isFolder ? '/' : '')) }
    })
    .sort((a, b) => Buffer.compare(a.key, b.key))
}
