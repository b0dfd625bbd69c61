import { statSync } from 'node:fs'
import { join } from 'node:path'

const watched = ['spool.db', 'spool.db-wal', 'lock.db']

/**
 * Whether the files that a spool has open are still those under their names. A file that was removed or
 * replaced continues to take writes, and is gone with the process.
 */
export class Whereabouts {
  readonly #dir: string
  readonly #known: (string | undefined)[]

  /** To be made when all files are open. */
  constructor(dir: string) {
    this.#dir = dir
    this.#known = watched.map((name) => this.#identify(name))
  }

  /** Why nothing may be answered for, in words. Looks each time: three calls of some microseconds. */
  get trouble(): string | undefined {
    const i = watched.findIndex((name, at) => {
      const now = this.#identify(name)
      // SQLite makes the log when it first needs it.
      this.#known[at] ??= now
      return now !== this.#known[at]
    })
    if (i < 0) return undefined
    return `${join(this.#dir, watched[i] as string)} was removed, moved or replaced while the sidecar runs; move it back, or let the sidecar deliver what it has (spool_count 0) and start it again`
  }

  /** The same for every name of one file; undefined where there is none. */
  #identify(name: string): string | undefined {
    try {
      const { dev, ino } = statSync(join(this.#dir, name), { bigint: true })
      return `${dev}:${ino}`
    } catch {
      return undefined
    }
  }
}
