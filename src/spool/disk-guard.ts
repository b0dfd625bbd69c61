import type { Db } from './db.ts'
import { isDiskError } from './disk-error.ts'
import type { Space } from './space.ts'

/** Between attempts to find out whether the disk works again; twice as long after each that failed. */
const firstWaitMs = 1000
const longestWaitMs = 5000

export type Recovery = {
  /** Writes and syncs something; what could not be recorded before, if there is any. */
  write: () => void
  /** There are no events. */
  isEmpty: boolean
  /** Now, however short ago the last attempt was. */
  now?: boolean
}

export type DiskGuardOptions = {
  /** Told when the disk begins to fail, and with undefined when it works again. */
  onTrouble?: (trouble: string | undefined) => void
  /** Told every error: it may be damage. */
  onError?: (error: unknown) => void
}

/**
 * What becomes of writes that fail.
 *
 * What always holds
 *   1. Whatever the error, a write that fails costs the ballast first: a quota, a full disk and a
 *      broken one give the same errors, and space given up for nothing is soon taken again.
 *   2. After a failed write nothing is appended until another write worked and the ballast is back.
 *      The ballast is taken only after such a write, so that it never takes the space in which
 *      deliveries are acknowledged.
 *   3. It recovers by itself: whoever asks (an append, a drain, health) sets off an attempt.
 */
export class DiskGuard {
  readonly #db: Db
  readonly #space: Space
  readonly #options: DiskGuardOptions
  #failure: string | undefined
  #told: string | undefined
  #waitMs = 0
  #nextMs = 0

  constructor(db: Db, space: Space, options: DiskGuardOptions = {}) {
    this.#db = db
    this.#space = space
    this.#options = options
  }

  /** Why nothing can be appended at the moment, in words. */
  get trouble(): string | undefined {
    return this.#failure ?? this.#space.trouble
  }

  /** The last write worked, and the ballast is there. */
  get works(): boolean {
    return this.#failure === undefined && this.#space.hasBallast
  }

  /** The last write worked, though the ballast may be gone. */
  get isWritable(): boolean {
    return this.#failure === undefined
  }

  /** Runs a transaction; when it fails, once more in the space of the ballast. For all but appends. */
  write(transaction: () => void): void {
    try {
      transaction()
    } catch (error) {
      if (!this.failed(error)) throw error
      this.#writeAgain(transaction)
    }
    this.#worked()
  }

  #writeAgain(transaction: () => void): void {
    try {
      transaction()
    } catch (error) {
      this.failed(error)
      throw error
    }
  }

  /** For what is done beside: it may fail, and is then noted. Never throws. */
  attempt(act: () => void): void {
    try {
      act()
    } catch (error) {
      this.failed(error)
    }
  }

  /** Notes a failed write and gives up the ballast. Never throws. @returns whether another may work */
  failed(error: unknown): boolean {
    this.#options.onError?.(error)
    try {
      if (this.#db.inTransaction) this.#db.exec('rollback')
    } catch {
      // The next transaction fails too, and comes here again.
    }
    if (!isDiskError(error)) return false
    this.#failure = this.#space.explain(error)
    const released = this.#space.releaseBallast()
    this.#tell()
    return released
  }

  /** Finds out whether writes work again, and takes the ballast back; a second apart, or more. Never throws. */
  recover({ write, isEmpty, now = false }: Recovery): void {
    if (this.works) {
      this.attempt(() => this.#space.enlargeBallast())
      return
    }
    if (!now && performance.now() < this.#nextMs) return
    try {
      write()
      this.#worked()
      this.#space.takeBallast(isEmpty)
    } catch (error) {
      this.failed(error)
    }
    const longer = Math.min(longestWaitMs, Math.max(firstWaitMs, this.#waitMs * 2))
    this.#waitMs = this.works ? 0 : longer
    this.#nextMs = performance.now() + this.#waitMs
    this.#tell()
  }

  #worked(): void {
    this.#failure = undefined
    // The transaction is durable, whatever becomes of this.
    this.attempt(() => this.#space.measure())
  }

  #tell(): void {
    const trouble = this.works ? undefined : this.trouble
    if (trouble === this.#told) return
    this.#told = trouble
    this.#options.onTrouble?.(trouble)
  }
}
