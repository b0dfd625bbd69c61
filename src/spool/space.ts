import { statSync } from 'node:fs'
import { join } from 'node:path'
import { Ballast } from './ballast.ts'
import type { Db } from './db.ts'

/** Above this share of the cap ticks are shed. */
const softShare = 0.8
/** Files larger than this are shrunk once they are empty. */
const vacuumBytes = 64 * 2 ** 20

export type SpaceOptions = {
  dir: string
  /** Maximum bytes on disk. */
  maxBytes: number
  /** Ballast, in bytes; for tests on small disks. */
  ballastBytes?: number
}

/** The room that a spool takes on its disk, and whether there is more. */
export class Space {
  readonly #db: Db
  readonly #wal: string
  readonly #maxBytes: number
  readonly #ballast: Ballast
  readonly #countPages
  readonly #pageBytes: number
  #pages: number

  constructor(db: Db, { dir, maxBytes, ballastBytes }: SpaceOptions) {
    this.#db = db
    this.#wal = join(dir, 'spool.db-wal')
    this.#maxBytes = maxBytes
    this.#pageBytes = db.pragma('page_size', { simple: true }) as number
    this.#countPages = db
      .prepare('select page_count - freelist_count from pragma_page_count, pragma_freelist_count')
      .pluck()
    this.#pages = this.#countPages.get() as number
    this.#ballast = new Ballast(dir, ballastBytes)
    this.takeBallast()
  }

  /** Bytes in use: pages with something in them, and the write-ahead log. */
  get bytes(): number {
    return (
      this.#pages * this.#pageBytes + (statSync(this.#wal, { throwIfNoEntry: false })?.size ?? 0)
    )
  }

  /** Why there is no room, in words. */
  get trouble(): string | undefined {
    if (!this.#ballast.held) return 'the disk of the spool is full'
    if (this.bytes >= this.#maxBytes) return 'the spool has reached SPOOL_MAX_BYTES'
    return undefined
  }

  /** @returns `ends` when only events that are not ticks may come in */
  room(): 'all' | 'ends' | 'none' {
    if (!this.takeBallast()) return 'none'
    const { bytes } = this
    if (bytes >= this.#maxBytes) return 'none'
    return bytes > this.#maxBytes * softShare ? 'ends' : 'all'
  }

  /** To be called after every transaction. */
  measure(): void {
    this.#pages = this.#countPages.get() as number
  }

  get hasBallast(): boolean {
    return this.#ballast.held
  }

  /** @returns false when the disk does not have it */
  takeBallast(): boolean {
    return this.#ballast.held || this.#ballast.take()
  }

  /** On a full disk: space to acknowledge and delete in. Nothing is appended until it is back. */
  releaseBallast(): void {
    this.#ballast.release()
  }

  /**
   * Gives space back to the disk: only when the spool is empty, because then it takes milliseconds.
   *
   * @throws when there is no space to shrink in; the pages are free for new events all the same
   */
  shrink(): void {
    const pages = this.#db.pragma('page_count', { simple: true }) as number
    // After a full disk every byte is wanted: the ballast has to fit in again.
    const large = pages * this.#pageBytes >= vacuumBytes && this.#pages * 2 <= pages
    if (!large && this.#ballast.held) return
    try {
      this.#db.exec('vacuum')
      this.#db.pragma('wal_checkpoint(truncate)')
    } finally {
      this.measure()
    }
  }
}
