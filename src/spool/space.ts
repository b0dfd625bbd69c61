import { statfsSync, statSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { Ballast } from './ballast.ts'
import type { Db } from './db.ts'
import { isDiskError } from './disk-error.ts'

/** Above this share of the cap ticks are shed. */
const softShare = 0.8
/** Files larger than this are shrunk once they are empty. */
const vacuumBytes = 64 * 2 ** 20
/** Pages in the log from which SQLite moves them to the database: 8 MiB, half of the ballast. */
const longestLog = 1000
/** The same on a disk that is nearly full, where every page that waits there may be one too many. */
const shortestLog = 64

/** Between looks at whether a short ballast can be taken as a whole, in milliseconds. */
const enlargeEveryMs = 10_000

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
  readonly #countLog
  readonly #pageBytes: number
  #pages: number
  #logPages = longestLog
  #isLogHeld = false
  #enlargeAtMs = 0
  /** Of the bytes in use, those that the door looks at; see share.ts. */
  held: () => number = () => this.bytes

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
    this.#countLog = db.prepare('pragma wal_checkpoint(noop)')
    this.#take()
  }

  /** What waits in the log has to fit in the ballast, or it could not be moved on a full disk. */
  #take(): boolean {
    if (!this.#ballast.take()) return false
    this.#limitLog()
    return true
  }

  #limitLog(): void {
    const held = Math.max(longestLog, Math.floor(this.#ballast.size / this.#pageBytes))
    const longest = this.#isLogHeld ? held : longestLog
    this.#logPages = this.#ballast.share < 1 ? shortestLog : longest
    this.#db.pragma(`wal_autocheckpoint = ${this.#logPages}`)
  }

  /** Lets the log grow for now, as far as the ballast covers: meanwhile the file does not change. */
  holdLog(): void {
    this.#isLogHeld = true
    this.#limitLog()
  }

  releaseLog(): void {
    this.#isLogHeld = false
    this.#limitLog()
  }

  /** Bytes in use: pages with something in them, and the write-ahead log. */
  get bytes(): number {
    return (
      this.#pages * this.#pageBytes + (statSync(this.#wal, { throwIfNoEntry: false })?.size ?? 0)
    )
  }

  /** Why there is no room, in words. */
  get trouble(): string | undefined {
    if (!this.#ballast.held) return this.#ballast.trouble ?? 'the disk of the spool is full'
    if (this.#isFull) return 'the spool has reached SPOOL_MAX_BYTES'
    return undefined
  }

  get #isFull(): boolean {
    return this.bytes >= this.#maxBytes && this.held() >= this.#maxBytes
  }

  /** @returns `ends` when only events that are not ticks may come in */
  room(): 'all' | 'ends' | 'none' {
    if (!this.#ballast.held || this.#isFull) return 'none'
    const soft = this.#maxBytes * softShare
    return this.bytes > soft && this.held() > soft ? 'ends' : 'all'
  }

  /**
   * Whether a commit of that size can be moved from the log to the database if the disk is full right
   * after it: until then not even deliveries can be recorded. The ballast covers usual ones.
   */
  fits(bytes: number): boolean {
    if (bytes <= this.#ballast.size / 4) return true
    const { bavail, bsize } = statfsSync(dirname(this.#wal))
    return bavail * bsize >= 4 * bytes
  }

  /** The ballast is as large as it should be, so that the disk was not nearly full when it was taken. */
  get isAmple(): boolean {
    return this.#ballast.held && this.#ballast.share === 1
  }

  /**
   * Takes the whole of a ballast that was short when it was taken, once the disk has room again. Looks now and
   * then: it may be short for a quota, which shows only when it is tried.
   */
  enlargeBallast(): void {
    const { held, fullSize } = this.#ballast
    if (!held || this.isAmple || performance.now() < this.#enlargeAtMs) return
    this.#enlargeAtMs = performance.now() + enlargeEveryMs
    const { bavail, bsize } = statfsSync(dirname(this.#wal))
    if (bavail * bsize >= 2 * fullSize) this.#take()
  }

  /** Moves the log to the database, whose pages have the room for it. @throws when the disk fails */
  emptyLog(): void {
    this.#db.pragma('wal_checkpoint(truncate)')
  }

  /** The same where it is no matter if the disk has no room for that: what is in the log is durable. */
  tryToEmptyLog(): void {
    try {
      this.emptyLog()
    } catch (error) {
      if (!isDiskError(error)) throw error
    }
  }

  /** To be called after every transaction. */
  measure(): void {
    this.#pages = this.#countPages.get() as number
  }

  /**
   * To be called after a commit. When SQLite cannot move the log to the database, for lack of space,
   * it tells nobody, and the log grows.
   *
   * @throws the error that it met
   */
  checkLog(): void {
    this.measure()
    const { log, checkpointed } = this.#countLog.get() as { log: number; checkpointed: number }
    if (log - checkpointed > this.#logPages) this.#db.pragma('wal_checkpoint(passive)')
  }

  get hasBallast(): boolean {
    return this.#ballast.held
  }

  /**
   * After a failed write: space to acknowledge and delete in. Nothing is appended until it is back.
   * Never throws.
   *
   * @returns whether another attempt may work
   */
  releaseBallast(): boolean {
    return this.#ballast.release()
  }

  /** Why a write failed, in words. */
  explain(error: unknown): string {
    return this.#ballast.explain(error)
  }

  /**
   * Takes the ballast again; what the spool itself can give back to the disk is given back for it.
   *
   * @param isEmpty there are no events: then shrinking takes milliseconds
   * @throws when the disk fails to shrink it, also for lack of space
   */
  takeBallast(isEmpty: boolean): void {
    if (this.#ballast.held) return
    this.tryToEmptyLog()
    if (this.#take() || !isEmpty) return
    this.#vacuum()
    this.#take()
  }

  /** Gives space back to the disk; to be called when the spool is empty, because then it takes milliseconds. */
  shrink(): void {
    const pages = this.#db.pragma('page_count', { simple: true }) as number
    const large = pages * this.#pageBytes >= vacuumBytes && this.#pages * 2 <= pages
    if (large) this.#vacuum()
  }

  /** @throws when there is no space to shrink in; the pages are free for new events all the same */
  #vacuum(): void {
    try {
      this.#db.exec('vacuum')
    } finally {
      // One that failed has left its pages in the log.
      this.emptyLog()
      this.measure()
    }
  }
}
