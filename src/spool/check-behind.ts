import { type ChildProcess, execFile } from 'node:child_process'
import { statSync } from 'node:fs'
import { Backoff } from '../platform/backoff.ts'
import type { Db } from './db.ts'

/*
 * The check of a whole database reads all of it: 22 s for 900 MiB on a cold disk, in which a sidecar
 * would be deaf. So a large one is opened after a check of what new events need (its log, its header,
 * its tables, its first and last event), and a process of its own checks the rest meanwhile.
 *
 * That process reads the file as it was when the spool was opened: its log was emptied into it before,
 * and everything new goes into the log alone. So the answer is about one state, the same that a check
 * before the opening would have seen. Should SQLite write to the file in between, because the log has
 * grown too long, the answer is not believed and the check begins again, by then from memory.
 */

/** Larger databases are checked behind the opening. The slowest disk seen reads this in a second. */
const largeBytes = 32 * 2 ** 20
/** How soon to try again when the check could not be made at all, in milliseconds. */
const againMs = 60_000

export const isLarge = (path: string, bytes = largeBytes): boolean =>
  (statSync(path, { throwIfNoEntry: false })?.size ?? 0) > bytes

/** Empties the log into the file; from then on `Space.holdLog` keeps SQLite from writing to it for a while. */
export const prepareCheckBehind = (db: Db): unknown => db.pragma('wal_checkpoint(truncate)')

/** Reads without locks, which the spool holds; it says what is wrong, `ok`, or nothing. */
const script = `
const { DatabaseSync } = require('node:sqlite')
const url = require('node:url').pathToFileURL(process.argv[1])
url.search = 'immutable=1'
try {
  const db = new DatabaseSync(url, { readOnly: true })
  process.stdout.write(db.prepare('pragma quick_check(1)').get().quick_check)
} catch (error) {
  if ([11, 26].includes(error.errcode & 255)) process.stdout.write(error.message)
  else throw error
}`

export type CheckBehindOptions = {
  /** Of the database. */
  path: string
  /** Called once when the database is damaged, with what is wrong. */
  onDamaged: (reason: string) => void
  /** Called once, when there is an answer. */
  onChecked: () => void
}

/** One check, begun again until it has an answer. */
export class CheckBehind {
  readonly #options: CheckBehindOptions
  #child: ChildProcess | undefined
  #later: NodeJS.Timeout | undefined
  #ended = false
  /** Under a steady load the file changes again and again, and every check reads all of it. */
  readonly #changed = new Backoff({ firstMs: 1000, maxMs: againMs })

  constructor(options: CheckBehindOptions) {
    this.#options = options
    this.#start()
  }

  get running(): boolean {
    return !this.#ended
  }

  stop(): void {
    this.#ended = true
    clearTimeout(this.#later)
    this.#child?.kill('SIGKILL')
  }

  #start(): void {
    try {
      this.#run()
    } catch {
      // No room for a process, or a disk that fails for a moment.
      this.#later = setTimeout(() => this.#start(), againMs).unref()
    }
  }

  #run(): void {
    const before = this.#look()
    const env = { ...process.env, NODE_OPTIONS: '' }
    const args = ['-e', script, this.#options.path]
    this.#child = execFile(process.execPath, args, { env }, (error, stdout) => {
      if (this.#ended) return
      const isSame = before !== undefined && this.#look() === before
      if (!error && isSame && stdout !== '') this.#end(stdout)
      else {
        const waitMs = error ? againMs : this.#changed.next()
        this.#later = setTimeout(() => this.#start(), waitMs).unref()
      }
    })
    this.#child.unref()
  }

  #end(result: string): void {
    this.#ended = true
    this.#options.onChecked()
    if (result !== 'ok') this.#options.onDamaged(result.replaceAll(/\s+/g, ' '))
  }

  /** Which file it is and when it was last written. */
  #look(): string | undefined {
    const found = statSync(this.#options.path, { bigint: true, throwIfNoEntry: false })
    return found && [found.dev, found.ino, found.size, found.mtimeNs].join(' ')
  }
}
