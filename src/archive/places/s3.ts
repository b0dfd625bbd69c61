import { randomBytes } from 'node:crypto'
import { basename, dirname } from 'node:path'
import { AppError, ConfigError } from '../../core/errors.ts'
import { must } from '../../core/must.ts'
import { readFingerprint, toRange } from './content.ts'
import {
  assertName,
  assertPrefix,
  type ByteRange,
  type Content,
  type OpenOptions,
  type Place,
  type PlaceKind,
  refuseCleared,
  refuseTaken,
  type Staged,
  stagingFolder,
} from './place.ts'
import type { BucketSettings } from './s3-client.ts'
import { hasLock, setLegalHold } from './s3-lock.ts'
import { S3Objects } from './s3-objects.ts'
import { s3Settings } from './s3-settings.ts'
import { isAbsent, statusOf } from './s3-trouble.ts'
import { upload } from './s3-upload.ts'

/*
 * The archive in a bucket, as objects:
 *
 *   <prefix>/<name>             whole, and read back before `putOnce` returns
 *   <prefix>/_tmp/<folder>/...  staged bytes, each under a key that no other has
 *
 * What S3 stores have in common is used: a PUT with If-None-Match gives a name once. Small objects, which all
 * manifests are, are put so. Large ones are copied within the store, whose names carry a hash of their bytes;
 * they are completed with If-None-Match, which not every store keeps there. Where a store does not keep it
 * for a PUT either, `limits` says so, and the lease of the archiver alone keeps two from giving one name.
 */

export const s3Kind: PlaceKind<typeof s3Settings> = {
  type: 's3',
  settings: s3Settings,
  open(settings, { given, onLimit }) {
    const { S3_BUCKET, S3_CHECKSUMS, ...others } = settings
    if (S3_BUCKET === undefined) {
      const names = Object.keys(others).filter((name) => given[name] !== undefined)
      if (names.length === 0) return undefined
      throw new ConfigError(`${names.join(', ')}: there is no S3_BUCKET; set it, or remove these`)
    }
    if (given.ARCHIVE_DIR !== undefined) {
      const message =
        'S3_BUCKET and ARCHIVE_DIR are both set; an archive lies in one place: remove one'
      throw new ConfigError(message)
    }
    return new S3Place({ ...settings, S3_BUCKET }, { onLimit })
  },
}

/** How long a check of the place is good for, in milliseconds: health asks every few seconds. */
const checkedMs = 30_000
/** Bytes of a read: a few MiB are in memory at a time. */
const readBytes = 4 * 2 ** 20

type S3Options = {
  onLimit?: OpenOptions['onLimit']
  /** A store that is silent this long is away, in milliseconds (default 30 s). */
  silentMs?: number
}

type Mine = { key: string; small: Buffer | undefined }

export class S3Place implements Place {
  readonly setting = 'S3_BUCKET'
  readonly address: string
  limits: readonly string[] = []
  readonly #onLimit: OpenOptions['onLimit']
  readonly #bucket: string
  readonly #root: string
  readonly #objects: S3Objects
  /** What was staged here and not put yet. */
  readonly #mine = new WeakMap<Staged, Mine>()
  /** Whether the bucket has object lock, once it was asked for. */
  #isLocked: Promise<boolean> | undefined
  /** When a check has passed last, on the clock of `performance`. */
  #checkedAt = -Infinity
  /** Whether a PUT with If-None-Match refuses a name that is taken; undefined before it was tried. */
  #givesOnce: boolean | undefined

  constructor(settings: BucketSettings, { onLimit, silentMs }: S3Options = {}) {
    this.#onLimit = onLimit
    this.#bucket = settings.S3_BUCKET
    const prefix = settings.S3_PREFIX?.replace(/\/$/, '')
    this.#root = prefix === undefined ? '' : `${prefix}/`
    this.address = `s3://${settings.S3_BUCKET}${prefix === undefined ? '' : `/${prefix}`}`
    const { setting, address } = this
    this.#objects = new S3Objects(settings, { setting, address, ...(silentMs ? { silentMs } : {}) })
  }

  async check(use: 'read' | 'write'): Promise<void> {
    const isTried = use === 'read' || this.#givesOnce !== undefined
    if (isTried && performance.now() - this.#checkedAt < checkedMs) return
    // First: a bucket that is not there says so to a listing in the plainest words.
    await this.#objects.page(this.#root, { most: 1 })
    if (!isTried) await this.#tryWriting()
    this.#checkedAt = performance.now()
  }

  /**
   * Tries in the bucket and prefix themselves whether a name is given once. Only once in the life of a
   * process, for a bucket that keeps versions keeps these too.
   */
  async #tryWriting(): Promise<void> {
    const key = this.#toKey(`${stagingFolder}/check-${randomBytes(6).toString('hex')}`)
    const versions: (string | undefined)[] = []
    const put = async (body: string) => {
      versions.push(await this.#objects.put(key, Buffer.from(body), { IfNoneMatch: '*' }))
    }
    try {
      await put('wafermon tries whether it can write here')
      const isTwice = await put('and whether a name is given once').then(() => true, refused)
      this.#note(isTwice, versions[0] !== undefined)
    } finally {
      for (const version of versions) await this.#objects.remove(key, version).catch(() => {})
    }
  }

  #note(isTwice: boolean, isVersioned: boolean): void {
    this.#givesOnce = !isTwice
    const twice = `${this.address}: the store does not keep If-None-Match here, so only the lease keeps two archivers from one name; run one archiver for it, or use a bucket without versions and object lock`
    const versioned = `${this.address}: the bucket keeps versions, so what is removed still takes room; add a lifecycle rule that expires noncurrent versions`
    this.limits = [...(isTwice ? [twice] : []), ...(isVersioned ? [versioned] : [])]
    for (const limit of this.limits) this.#onLimit?.(limit)
  }

  async stage(label: string, chunks: AsyncIterable<Uint8Array>): Promise<Staged> {
    assertName(label)
    // Unlike any other: an archiver that was asleep must not name what its successor is writing.
    const name = `${randomBytes(6).toString('hex')}-${basename(label)}`
    const folder = dirname(label)
    const key = this.#toKey(`${stagingFolder}/${folder === '.' ? '' : `${folder}/`}${name}`)
    const { bytes, sha256, small } = await upload(this.#objects, key, chunks)
    const staged = { ...this.#toContent(key, label, bytes), sha256 }
    this.#mine.set(staged, { key, small })
    return staged
  }

  async clearStaged(prefix: string): Promise<void> {
    assertName(prefix)
    const staged = this.#toKey(`${stagingFolder}/${prefix}/`)
    for await (const { key } of this.#objects.list(staged)) await this.#objects.remove(key)
    const isOurs = (key: string) => key.startsWith(staged) || key.includes(`/${prefix}/`)
    await this.#objects.abortUploads(this.#root, isOurs)
  }

  async putOnce(name: string, staged: Staged): Promise<void> {
    assertName(name)
    const mine = must(this.#mine.get(staged), 'only what was staged here can be put, and once')
    this.#mine.delete(staged)
    const key = this.#toKey(name)
    try {
      const isNew = await this.#give(key, mine, staged)
      await this.#assertKept(name, staged, isNew)
    } catch (error) {
      if (isAbsent(error)) refuseCleared(name, error)
      throw error
    } finally {
      await this.#objects.remove(mine.key).catch(() => {})
    }
  }

  /** @returns false when the name was taken; @throws absence when what was staged is gone */
  async #give(key: string, { key: from, small }: Mine, { bytes }: Staged): Promise<boolean> {
    if (small === undefined) return this.#objects.copyOnce(from, key, bytes)
    if ((await this.#objects.sizeOf(from)) === undefined) throw this.#objects.absence(from)
    if (!this.#givesOnce && (await this.#objects.sizeOf(key)) !== undefined) return false
    return this.#objects.putOnce(key, small)
  }

  /** Reads the name back as a whole: a store, or what stands before it, may have kept something else. */
  async #assertKept(name: string, { sha256, bytes }: Staged, isNew: boolean): Promise<void> {
    const there = await this.read(name)
    const found = there && (await readFingerprint(there))
    if (found?.sha256 === sha256 && found.bytes === bytes) return
    if (!isNew) refuseTaken(name)
    // Where a name is given once, this is what our own request left. Elsewhere another may have put it since.
    if (this.#givesOnce) await this.remove(name)
    const kept = found ? `${found.bytes} bytes with other content` : 'nothing'
    throw new AppError(
      'unavailable',
      `${this.setting}: ${this.address}: ${name}: ${bytes} bytes were written and the store keeps ${kept}; look at the store and proxies before it`,
    )
  }

  async read(name: string): Promise<Content | undefined> {
    const found = await this.stat(name)
    return found && this.#toContent(this.#toKey(name), name, found.bytes)
  }

  async stat(name: string): Promise<{ bytes: number } | undefined> {
    assertName(name)
    const bytes = await this.#objects.sizeOf(this.#toKey(name))
    return bytes === undefined ? undefined : { bytes }
  }

  list(prefix: string): AsyncIterable<string> {
    assertPrefix(prefix)
    return this.#list(prefix)
  }

  async *#list(prefix: string): AsyncGenerator<string> {
    const staging = this.#toKey(`${stagingFolder}/`)
    const below = prefix === '' ? this.#root : this.#toKey(`${prefix}/`)
    for await (const { key } of this.#objects.list(below)) {
      // A key with a slash at its end is how consoles show a folder.
      if (!key.startsWith(staging) && !key.endsWith('/')) yield key.slice(this.#root.length)
    }
  }

  async remove(name: string): Promise<void> {
    assertName(name)
    await this.#objects.remove(this.#toKey(name))
  }

  async holdName(name: string, held: boolean): Promise<boolean> {
    assertName(name)
    this.#isLocked ??= hasLock(this.#objects, this.#bucket).catch((error: unknown) => {
      this.#isLocked = undefined
      throw error
    })
    if (!(await this.#isLocked)) return false
    await setLegalHold(this.#objects, { Bucket: this.#bucket, Key: this.#toKey(name) }, held)
    return true
  }

  readonly #toKey = (name: string) => `${this.#root}${name}`

  #toContent(key: string, name: string, bytes: number): Content {
    const objects = this.#objects
    return {
      bytes,
      async *chunks(range?: ByteRange) {
        const { from, to } = toRange({ bytes }, range)
        for (let at = from; at < to; at += readBytes) {
          const end = Math.min(to, at + readBytes)
          const chunk = await objects.read(key, { from: at, to: end })
          if (chunk.byteLength < end - at) {
            throw new Error(`${name} ends at ${at + chunk.byteLength}, before ${to}`)
          }
          yield chunk
        }
      },
    }
  }
}

/** For a second PUT of a name: true means that the store keeps If-None-Match. */
function refused(error: unknown): false {
  if (statusOf(error) === 412) return false
  throw error
}
