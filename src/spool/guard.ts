import { join } from 'node:path'
import { writeDurably } from '../platform/durable-file.ts'
import { CheckBehind } from './check-behind.ts'
import { type Behind, findBehind, type LastRecord, LastSeq, readLastSeq } from './last-seq.ts'
import type { OpenReport } from './open.ts'
import { unsoundSuffix } from './swap.ts'
import { Whereabouts } from './whereabouts.ts'

export type GuardOptions = {
  dir: string
  /** What the database has. */
  record: LastRecord
  report: OpenReport
  /** Events were carried over from another one, and what is missing is counted there. */
  isReplaced: boolean
  /** Called once when the whole database has been checked. */
  onChecked: () => void
  /** Called once when the database is found damaged while it is in use: the process has to start again. */
  onDamage?: (reason: string) => void
}

/** How old the last look at the files may be when something is answered. */
const longestUnseenMs = 100

/** Thrown where events are missing in the middle of what should be there. */
export class DamageError extends Error {
  override readonly name = 'DamageError'
}

/** Watches what SQLite does not: its files from outside, the record of the last number, damage in use. */
export class Guard {
  /** What the record of the last number says and the database does not have. */
  readonly behind: Behind | undefined
  /** Why it is not known whether something is missing. */
  readonly noRecord: string | undefined
  readonly #options: GuardOptions
  readonly #whereabouts: Whereabouts
  readonly #lastSeq: LastSeq
  readonly #check: CheckBehind | undefined
  #unsound: string | undefined

  constructor(options: GuardOptions) {
    const { dir, record, report, isReplaced } = options
    this.#options = options
    const { spool, last, delivered } = record
    const found = readLastSeq(dir)
    if (found === 'damaged') this.noRecord = 'last-seq is damaged'
    else if (found && !(isReplaced && found.spool !== spool))
      this.behind = findBehind(found, record)
    else if (!found && last > 0 && !report.upgraded) this.noRecord = 'last-seq is missing'
    this.#lastSeq = new LastSeq(dir, spool, found)
    // What is missing is reported again until there is something new.
    if (!this.behind) this.#lastSeq.write(last, delivered)
    this.#whereabouts = new Whereabouts(dir)
    const path = join(dir, 'spool.db')
    const onDamaged = (reason: string) => this.damaged(reason)
    const { onChecked } = options
    if (report.unchecked) this.#check = new CheckBehind({ path, onDamaged, onChecked })
  }

  /** Why nothing may be answered for, in words. */
  get trouble(): string | undefined {
    return this.#unsound ?? this.#whereabouts.trouble
  }

  /**
   * The same once more when the last look is too old to be answered on: a slow disk takes its time.
   *
   * @param lookedAt by performance.now()
   */
  troubleSince(lookedAt: number): string | undefined {
    return performance.now() - lookedAt > longestUnseenMs ? this.trouble : undefined
  }

  /** Why the record of the last number is of no use at the moment, in words. */
  get recordTrouble(): string | undefined {
    return this.#lastSeq.trouble ?? this.noRecord
  }

  /** True while the database is still being checked. */
  get checking(): boolean {
    return this.#check?.running ?? false
  }

  /** After every commit, before anything is answered. What is missing stays on record until a new event. */
  committed(last: number, delivered: number): void {
    if (this.behind && last <= this.#options.record.last) return
    this.#lastSeq.write(last, delivered)
  }

  /** @returns true when the error means that the database is damaged */
  isDamage(error: unknown): boolean {
    const code = String((error as { code?: string } | undefined)?.code)
    const isDamage =
      error instanceof DamageError || /^SQLITE_(CORRUPT|NOTADB|IOERR_SHORT_READ)/.test(code)
    if (isDamage) this.damaged((error as Error).message)
    return isDamage
  }

  /** Runs work on the database. An error that means damage is noted before it is thrown on. */
  watch<T>(work: () => T): T {
    try {
      return work()
    } catch (error) {
      this.isDamage(error)
      throw error
    }
  }

  /** From here on nothing is taken or handed out; the next start carries over what can be read. */
  damaged(reason: string): void {
    if (this.#unsound !== undefined) return
    this.#unsound = `spool.db is damaged (${reason}); the next start repairs it`
    try {
      writeDurably(join(this.#options.dir, `spool.db${unsoundSuffix}`), `${reason}\n`)
    } catch {
      // Without the note the next start finds it by its own check.
    }
    this.#options.onDamage?.(reason)
  }

  get isUnsound(): boolean {
    return this.#unsound !== undefined
  }

  close(): void {
    this.#check?.stop()
    this.#lastSeq.close()
  }
}
