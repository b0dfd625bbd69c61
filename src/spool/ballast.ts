import { randomBytes } from 'node:crypto'
import {
  closeSync,
  constants,
  existsSync,
  fstatSync,
  fsyncSync,
  ftruncateSync,
  openSync,
  rmSync,
  writeFileSync,
  writeSync,
} from 'node:fs'
import { join } from 'node:path'
import { diskTrouble, isKnownTrouble } from './disk-error.ts'

/** Not zeros: a file system that compresses would give no blocks for them. */
const chunk = randomBytes(2 ** 18)

/** A smaller ballast than this share of it is none: acknowledging may need more. */
const leastShare = 1 / 4

const nameOf = (dir: string) => join(dir, 'ballast')

/**
 * Space held in reserve. SQLite in WAL mode cannot even delete on a full disk, so without it a
 * delivered spool would never shrink, and would send the same batch without end.
 *
 * It is taken only while as much again is free, so on a small disk it is smaller: what takes the last
 * block would itself make the disk full. A trial tells what is free; what the system reports leaves
 * out quotas.
 */
export class Ballast {
  readonly #dir: string
  readonly #bytes: number
  #held = false
  #size = 0
  #trouble: string | undefined

  constructor(dir: string, bytes = 16 * 2 ** 20) {
    this.#dir = dir
    this.#bytes = bytes
  }

  /** False after the space was given up; then nothing may be appended. */
  get held(): boolean {
    return this.#held
  }

  /** Why it could not be taken the last time, in words. */
  get trouble(): string | undefined {
    return this.#trouble
  }

  /** In bytes, when there is enough space. */
  get fullSize(): number {
    return this.#bytes
  }

  get size(): number {
    return this.#size
  }

  /** How much of what was asked for it has; less than 1 on a small disk. */
  get share(): number {
    return this.#size / this.#bytes
  }

  /** Gives the space up. Never throws. @returns whether that was possible, and worth another attempt */
  release(): boolean {
    if (!this.#held) return false
    this.#held = !this.#empty()
    return !this.#held
  }

  /** Emptied, where that works: were the file removed, there might be no inode to make it again. */
  #empty(): boolean {
    const path = nameOf(this.#dir)
    const emptied = attempt(() => withFile(path, O_WRONLY, ftruncateSync)) === undefined
    return emptied || giveUpBallast(this.#dir) || !existsSync(path)
  }

  /** Takes the space; what an earlier process took counts. @returns false when the disk does not have it */
  take(): boolean {
    try {
      const trouble = this.#write()
      this.#held = trouble === undefined
      this.#trouble = this.#held ? undefined : diskTrouble(trouble)
    } catch (error) {
      this.#held = false
      this.#trouble = diskTrouble(error)
    }
    if (!this.#held) this.#empty()
    return this.#held
  }

  /** Why SQLite could not write, in words: which of its errors it was does not tell. Never throws. */
  explain(error: unknown): string {
    const probe = join(this.#dir, 'ballast.probe')
    attempt(() => rmSync(probe, { force: true }))
    const options = { flag: 'wx', flush: true }
    const found = attempt(() => writeFileSync(probe, chunk.subarray(0, 4096), options))
    attempt(() => rmSync(probe, { force: true }))
    return isKnownTrouble(found) ? diskTrouble(found) : diskTrouble(error)
  }

  /**
   * Fills the file to twice its size, so that it is known what is free, and keeps half of what came.
   *
   * @returns what was in the way, if anything
   */
  #write(): unknown {
    const { size, error } = withFile(nameOf(this.#dir), append, (file) =>
      fill(file, 2 * this.#bytes),
    )
    // One that is held and only grows does not shrink for what others took meanwhile.
    const least = this.#held ? this.#size : 0
    this.#size = Math.max(least, Math.min(this.#bytes, Math.floor(size / 2)))
    if (this.#size < this.#bytes * leastShare) return error
    const toHalf = (file: number) => {
      ftruncateSync(file, this.#size)
      fsyncSync(file)
    }
    const tooFull = attempt(() => withFile(nameOf(this.#dir), O_WRONLY, toHalf))
    return tooFull === undefined ? undefined : this.#rewrite()
  }

  /** A file system that copies on write cannot even make a file shorter when it is full. */
  #rewrite(): unknown {
    giveUpBallast(this.#dir)
    return withFile(nameOf(this.#dir), append, (file) => {
      const { error } = fill(file, this.#size)
      fsyncSync(file)
      return error
    })
  }
}

const { O_WRONLY, O_APPEND, O_CREAT, O_NOFOLLOW } = constants
const append = O_WRONLY | O_APPEND | O_CREAT

/** Follows no link: what it leads to is not ours to fill. */
function withFile<T>(path: string, flags: number, use: (file: number) => T): T {
  const file = openSync(path, flags | O_NOFOLLOW, 0o600)
  try {
    return use(file)
  } finally {
    closeSync(file)
  }
}

type Filled = { size: number; error?: unknown }

/** Appends up to a size. A full disk is an exception, or a part of what was to be written and then one. */
function fill(file: number, bytes: number): Filled {
  let { size } = fstatSync(file)
  while (size < bytes) {
    try {
      size += writeSync(file, chunk, 0, Math.min(bytes - size, chunk.length))
    } catch (error) {
      return { size, error }
    }
  }
  return { size }
}

/** Does at the start what may need the space of the ballast: once, and again without the ballast when it fails. */
export function withBallast<T>(dir: string, act: () => T): T {
  try {
    return act()
  } catch (error) {
    if (!giveUpBallast(dir)) throw error
    return act()
  }
}

/** Never throws. @returns false when there was none, or it cannot be removed */
function giveUpBallast(dir: string): boolean {
  return attempt(() => rmSync(nameOf(dir))) === undefined
}

/** @returns what it returns or throws */
function attempt(act: () => unknown): unknown {
  try {
    return act()
  } catch (error) {
    return error
  }
}
