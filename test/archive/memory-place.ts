import { createHash } from 'node:crypto'
import { collect, toRange } from '../../src/archive/places/content.ts'
import {
  assertName,
  assertPrefix,
  type Content,
  type Place,
  refuseCleared,
  refuseTaken,
  type Staged,
} from '../../src/archive/places/place.ts'
import { AppError } from '../../src/core/errors.ts'
import { ensure, must } from '../../src/core/must.ts'

/** The state that processes share: named bytes, and those staged under their labels. */
export class MemoryDisk {
  readonly named = new Map<string, Buffer>()
  readonly staged = new Map<Staged, { label: string; bytes: Buffer }>()
  /** As if it were not there. */
  gone = false
}

/** The least that keeps the contract of a place. */
export class MemoryPlace implements Place {
  readonly setting = 'MEMORY'
  readonly address = 'memory'
  readonly #disk: MemoryDisk
  /** Bytes staged here and not put yet. */
  readonly #mine = new WeakSet<Staged>()

  constructor(disk: MemoryDisk) {
    this.#disk = disk
  }

  async check(): Promise<void> {
    if (!this.#disk.gone) return
    throw new AppError('unavailable', `${this.setting}: there is no ${this.address}; plug it in`)
  }

  async stage(label: string, chunks: AsyncIterable<Uint8Array>): Promise<Staged> {
    assertName(label)
    const bytes = await collect(chunks)
    const sha256 = createHash('sha256').update(bytes).digest('hex')
    const staged = { ...toContent(() => bytes), sha256 }
    this.#disk.staged.set(staged, { label, bytes })
    this.#mine.add(staged)
    return staged
  }

  async clearStaged(prefix: string): Promise<void> {
    assertName(prefix)
    for (const [staged, { label }] of this.#disk.staged) {
      if (label.startsWith(`${prefix}/`)) this.#disk.staged.delete(staged)
    }
  }

  async putOnce(name: string, staged: Staged): Promise<void> {
    assertName(name)
    ensure(this.#mine.delete(staged), 'only what was staged here can be put, and once')
    const found = this.#disk.staged.get(staged)
    if (!found) return refuseCleared(name)
    this.#disk.staged.delete(staged)
    const there = this.#disk.named.get(name)
    if (there && !there.equals(found.bytes)) refuseTaken(name)
    this.#disk.named.set(name, found.bytes)
  }

  async read(name: string): Promise<Content | undefined> {
    assertName(name)
    const { named } = this.#disk
    if (!named.has(name)) return undefined
    return toContent(() => must(named.get(name), 'nothing is removed while it is read here'))
  }

  async stat(name: string): Promise<{ bytes: number } | undefined> {
    assertName(name)
    const bytes = this.#disk.named.get(name)?.byteLength
    return bytes === undefined ? undefined : { bytes }
  }

  list(prefix: string): AsyncIterable<string> {
    assertPrefix(prefix)
    const { named } = this.#disk
    return (async function* () {
      const names = [...named.keys()].map((name) => Buffer.from(name)).sort(Buffer.compare)
      for (const name of names.map(String)) {
        if (prefix === '' || name.startsWith(`${prefix}/`)) yield name
      }
    })()
  }

  async remove(name: string): Promise<void> {
    assertName(name)
    this.#disk.named.delete(name)
  }
}

/** The bytes as they are whenever they are read, as a file has them. */
function toContent(now: () => Buffer): Content {
  const { byteLength } = now()
  return {
    bytes: byteLength,
    async *chunks(range) {
      const { from, to } = toRange({ bytes: byteLength }, range)
      if (to > now().byteLength) throw new Error(`it ends before ${to}`)
      if (from < to) yield now().subarray(from, to)
    },
  }
}
