import { closeSync, fdatasync, fdatasyncSync, fstatSync, openSync } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'

/**
 * SQLite's write-ahead log as a file, to sync it in a thread of Node's own: inside SQLite a sync
 * holds up the event loop, and with it the requests that could share the next commit. It is the
 * file that counts, not the descriptor, so a sync through ours covers what SQLite wrote before.
 * SQLite keeps the file as long as the database is open, and takes no locks on it.
 */
export class WalFile {
  readonly #fd: number
  readonly #sync: (fd: number) => Promise<void>
  #running = false
  #closed = false

  constructor(dir: string, sync: (fd: number) => Promise<void> = promisify(fdatasync)) {
    this.#fd = openSync(join(dir, 'spool.db-wal'), 'r')
    this.#sync = sync
  }

  get bytes(): number {
    return fstatSync(this.#fd).size
  }

  /** Resolves once everything written so far is on disk. One at a time. */
  async sync(): Promise<void> {
    this.#running = true
    try {
      await this.#sync(this.#fd)
    } finally {
      this.#running = false
      if (this.#closed) closeSync(this.#fd)
    }
  }

  syncNow(): void {
    fdatasyncSync(this.#fd)
  }

  /** A sync under way keeps the descriptor until it is done: its number must not be another file's. */
  close(): void {
    this.#closed = true
    if (!this.#running) closeSync(this.#fd)
  }
}
