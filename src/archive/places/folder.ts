import { randomBytes } from 'node:crypto'
import { constants, statSync } from 'node:fs'
import { access, mkdir, rm, stat, unlink } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import { AppError, ConfigError } from '../../core/errors.ts'
import { must } from '../../core/must.ts'
import { measureRoom, type Room } from '../../platform/disk-room.ts'
import { text } from '../../platform/settings/kinds.ts'
import { readFingerprint } from './content.ts'
import {
  codeFromError,
  FolderSync,
  fileContent,
  filesBelow,
  linkOnce,
  makeBelow,
  readSize,
  unless,
  writeSynced,
} from './folder-files.ts'
import {
  assertName,
  assertPrefix,
  type Content,
  type Place,
  type PlaceKind,
  refuseCleared,
  refuseTaken,
  type Staged,
  stagingFolder,
} from './place.ts'

/*
 * The archive in a folder, as files that survive a power cut:
 *
 *   <name>             whole and synced, and so are the folders above it
 *   _tmp/<folder>/...  staged bytes, each under a path that no other has
 *
 * link() gives a name: it fails where rename() would replace. A file system without hard links has
 * only rename(); there a name is given once as long as a single archiver is at work.
 */

const standard = '/var/lib/wafermon/archive'

const settings = {
  ARCHIVE_DIR: text(`Folder of the archive; ${standard} unless this or S3_BUCKET is set.`, {
    place: true,
  }).optional(),
}

export const folderKind: PlaceKind<typeof settings> = {
  type: 'folder',
  settings,
  open({ ARCHIVE_DIR = standard }) {
    if (!ARCHIVE_DIR.startsWith('s3://')) return new FolderPlace(ARCHIVE_DIR)
    throw new ConfigError('ARCHIVE_DIR: is a folder; for a bucket, set S3_BUCKET and S3_PREFIX')
  },
}

export class FolderPlace implements Place {
  readonly setting = 'ARCHIVE_DIR'
  readonly address: string
  /** The files of what was staged here and not put yet. */
  readonly #files = new WeakMap<Staged, string>()
  readonly #folders: FolderSync

  constructor(dir: string) {
    this.address = dir
    this.#folders = new FolderSync(dir)
  }

  check(use: 'read' | 'write'): Promise<void> {
    return use === 'read' ? this.#checkReading() : this.#checkWriting()
  }

  async #checkReading(): Promise<void> {
    const found = await stat(this.address).catch(unless('ENOENT', 'ENOTDIR'))
    if (found?.isDirectory()) {
      return access(this.address, constants.R_OK | constants.X_OK).catch((cause: unknown) => {
        const remedy = 'give this user the right to read it'
        const message = `${this.setting}: cannot read ${this.address} (${codeFromError(cause)}); ${remedy}`
        throw new AppError('unavailable', message, { cause })
      })
    }
    const message = `${this.setting}: there is no folder ${this.address}; mount it, or choose another`
    throw new AppError('unavailable', message)
  }

  async #checkWriting(): Promise<void> {
    const dir = this.address
    try {
      // Not the folders above it: below a mount point with nothing mounted the archive would be
      // written to the wrong disk.
      await mkdir(dir).catch(unless('EEXIST'))
      // With the slash, a file in its place is refused; join() would remove the slash.
      await access(`${dir}/`, constants.W_OK)
    } catch (cause) {
      const code = codeFromError(cause)
      const message = `${this.setting}: cannot write to ${dir} (${code}); ${remedyFor(code)}`
      throw new AppError('unavailable', message, { cause })
    }
  }

  async stage(label: string, chunks: AsyncIterable<Uint8Array>): Promise<Staged> {
    assertName(label)
    const folder = join(stagingFolder, dirname(label))
    // Unlike any other: an archiver that was asleep must not name what its successor is writing.
    const name = `${randomBytes(6).toString('hex')}-${basename(label)}`
    const file = join(this.address, folder, name)
    try {
      await makeBelow(this.address, folder)
      const { bytes, sha256 } = await writeSynced(file, chunks)
      const staged = { ...fileContent(file, bytes), sha256 }
      this.#files.set(staged, file)
      return staged
    } catch (error) {
      return this.#explain(error)
    }
  }

  async clearStaged(prefix: string): Promise<void> {
    assertName(prefix)
    const folder = join(this.address, stagingFolder, prefix)
    await rm(folder, { recursive: true, force: true }).catch(this.#explain)
  }

  async putOnce(name: string, staged: Staged): Promise<void> {
    assertName(name)
    const file = must(this.#files.get(staged), 'only what was staged here can be put, and once')
    this.#files.delete(staged)
    try {
      await this.#folders.make(dirname(name))
      const isNew = await linkOnce(file, this.#toPath(name))
      if (!isNew) await this.#assertSame(name, staged)
    } catch (error) {
      const isCleared = codeFromError(error) === 'ENOENT' && (await readSize(file)) === undefined
      return isCleared ? refuseCleared(name, error) : this.#explain(error)
    } finally {
      await unlink(file).catch(() => {})
    }
    await this.#folders.sync(dirname(name)).catch(this.#explain)
  }

  /** A crash may have left the file after it had its name. */
  async #assertSame(name: string, { sha256 }: Staged): Promise<void> {
    const there = await this.read(name)
    const isSame = there && (await readFingerprint(there)).sha256 === sha256
    if (!isSame) refuseTaken(name)
  }

  async read(name: string): Promise<Content | undefined> {
    const found = await this.stat(name)
    return found && fileContent(this.#toPath(name), found.bytes)
  }

  async stat(name: string): Promise<{ bytes: number } | undefined> {
    assertName(name)
    const bytes = await readSize(this.#toPath(name)).catch(this.#explain)
    return bytes === undefined ? undefined : { bytes }
  }

  list(prefix: string): AsyncIterable<string> {
    assertPrefix(prefix)
    return this.#list(prefix)
  }

  async *#list(prefix: string): AsyncGenerator<string> {
    try {
      yield* filesBelow(this.address, prefix, stagingFolder)
    } catch (error) {
      this.#explain(error)
    }
  }

  async remove(name: string): Promise<void> {
    assertName(name)
    await rm(this.#toPath(name), { force: true }).catch(this.#explain)
  }

  room(): Promise<Room | undefined> {
    return measureRoom(this.address)
  }

  readonly #toPath = (name: string) => join(this.address, name)

  /** @throws AppError for trouble with the disk, saying what to do; any other error as it came */
  readonly #explain = (cause: unknown): never => {
    const code = codeFromError(cause)
    const { path, dest = path } = cause as NodeJS.ErrnoException & { dest?: string }
    if (dest && /^(ENOTDIR|EEXIST)$/.test(code)) {
      const message = `${this.setting}: ${findFile(dest)} cannot be used: a file is in the place of a folder; move it away`
      throw new AppError('unavailable', message, { cause })
    }
    const what = diskTrouble[code]
    if (what === undefined) throw cause
    throw new AppError('unavailable', `the disk of ${this.setting} ${what}`, { cause })
  }
}

const diskTrouble: Record<string, string> = {
  ENOSPC: 'is full; free some space',
  EDQUOT: 'is full; free some space',
  EROFS: 'is mounted read-only',
}

function remedyFor(code: string): string {
  if (code === 'ENOENT') return 'its parent folder is missing; mount or create it'
  if (code === 'EROFS') return 'the file system is mounted read-only'
  if (code === 'ENOSPC' || code === 'EDQUOT') return 'the disk is full; free some space'
  return 'choose a folder that this user may write to'
}

/** The part of a path that is a file though more follows; the whole of it when none is. */
function findFile(path: string): string {
  const above = dirname(path)
  if (above === path) return path
  const found = findFile(above)
  if (found !== above) return found
  return statSync(above, { throwIfNoEntry: false })?.isDirectory() === false ? above : path
}
