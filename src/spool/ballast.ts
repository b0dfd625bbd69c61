import { closeSync, existsSync, fsyncSync, openSync, rmSync, writeSync } from 'node:fs'
import { join } from 'node:path'

const chunk = Buffer.alloc(2 ** 20)

/**
 * Space held in reserve. SQLite in WAL mode cannot even delete on a full disk, so without it a
 * delivered spool would never shrink, and would send the same batch without end.
 */
export class Ballast {
  readonly #path: string
  readonly #bytes: number
  #held: boolean

  constructor(dir: string, bytes = 16 * 2 ** 20) {
    this.#path = join(dir, 'ballast')
    this.#bytes = bytes
    this.#held = existsSync(this.#path)
  }

  /** False after the space was given up; then nothing may be appended. */
  get held(): boolean {
    return this.#held
  }

  release(): void {
    rmSync(this.#path, { force: true })
    this.#held = false
  }

  /** Takes the space. @returns false when the disk does not have it */
  take(): boolean {
    // Written, not just allocated: only that makes file systems that compress or overcommit give real blocks.
    let file: number | undefined
    try {
      file = openSync(this.#path, 'w', 0o600)
      for (let left = this.#bytes; left > 0; left -= chunk.length) {
        if (
          writeSync(file, chunk, 0, Math.min(left, chunk.length)) < Math.min(left, chunk.length)
        ) {
          throw new Error('disk full')
        }
      }
      fsyncSync(file)
      this.#held = true
    } catch {
      this.release()
    } finally {
      if (file !== undefined) closeSync(file)
    }
    return this.#held
  }
}
