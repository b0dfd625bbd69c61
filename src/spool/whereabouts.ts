import { statSync } from 'node:fs'
import { join } from 'node:path'

const watched = ['spool.db', 'spool.db-wal', 'lock.db']

/** A file, whatever its name: its device and its number there. */
type Identity = { dev: number; ino: number | bigint }

type Known = { path: string; was: Identity | undefined }

/**
 * Whether the files that a spool has open are still those under their names. A file that was removed or
 * replaced continues to take writes, and is gone with the process.
 */
export class Whereabouts {
  readonly #known: readonly Known[]

  /** To be made when all files are open. */
  constructor(dir: string) {
    this.#known = watched.map((name) => {
      const path = join(dir, name)
      return { path, was: identify(path) }
    })
  }

  /** Why nothing may be answered for, in words. Looks each time: three calls of two microseconds. */
  get trouble(): string | undefined {
    const gone = this.#known.find((file) => {
      const now = identify(file.path)
      // SQLite makes the log when it first needs it.
      file.was ??= now
      return now?.ino !== file.was?.ino || now?.dev !== file.was?.dev
    })
    return (
      gone &&
      `${gone.path} was removed, moved or replaced while the sidecar runs; move it back, or let the sidecar deliver what it has (spool_count 0) and start it again`
    )
  }
}

/** The same for every name of one file; undefined where there is none. */
function identify(path: string): Identity | undefined {
  try {
    const { dev, ino } = statSync(path)
    // Numbers that a double would round are read again: asked for as a bigint each look takes four times as long.
    return { dev, ino: Number.isSafeInteger(ino) ? ino : statSync(path, { bigint: true }).ino }
  } catch {
    return undefined
  }
}
