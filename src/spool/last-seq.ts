import {
  closeSync,
  constants,
  fdatasync,
  fdatasyncSync,
  openSync,
  readFileSync,
  writeSync,
} from 'node:fs'
import { join } from 'node:path'
import { crc32 } from 'node:zlib'
import { writeDurably } from '../platform/durable-file.ts'

/*
 * The highest number of the spool once more, outside of the database: what a missing log, a lost
 * folder or a restored copy took away cannot be seen in the database itself.
 *
 * `last-seq` has two places for the same record, and they are written in turn: one torn by a power cut
 * leaves the other. It is written before every answer, and synced within a second: so a killed process
 * leaves it exact, and a power cut at most a second behind, when it counts too little and never too
 * much.
 */

/**
 * `last`: highest seq that was answered for. `delivered`: up to here every sink has acknowledged; less by
 * what was carried over from a damaged database and is not delivered, so it may be below 0.
 */
export type LastRecord = { spool: string; last: number; delivered: number }

/** What the record says and the database does not have. */
export type Behind = {
  /** Highest number by the record, and by the database. */
  recorded: number
  found: number
  /** Events that were answered for, not delivered to every sink, and are gone. */
  lost: number
}

const placeBytes = 4096
const syncAfterMs = 1000

/** @returns undefined where there is none, `damaged` where neither place can be read */
export function readLastSeq(dir: string): LastRecord | 'damaged' | undefined {
  let bytes: Buffer
  try {
    bytes = readFileSync(join(dir, 'last-seq'))
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'ENOENT' ? undefined : 'damaged'
  }
  const [a, b] = [parse(bytes, 0), parse(bytes, placeBytes)]
  if (a && b) return a.turn > b.turn ? a : b
  return a ?? b ?? 'damaged'
}

type Written = LastRecord & { turn: number }

function parse(bytes: Buffer, at: number): Written | undefined {
  const [sum, text] = bytes
    .toString('utf8', at, at + placeBytes)
    .trimEnd()
    .split('\t')
  if (text === undefined || sum !== String(crc32(text))) return undefined
  return JSON.parse(text) as Written
}

const toText = (record: Written) => {
  const text = JSON.stringify(record)
  return `${crc32(text)}\t${text}`.padEnd(256)
}

/**
 * Compares a database at start with the record.
 *
 * @returns undefined when nothing is missing
 */
export function findBehind(
  record: LastRecord,
  { spool, last: found }: Pick<LastRecord, 'spool' | 'last'>,
): Behind | undefined {
  const { last: recorded, delivered } = record
  if (record.spool === spool) {
    const lost = Math.max(0, recorded - Math.max(found, delivered))
    return recorded > found ? { recorded, found, lost } : undefined
  }
  // Another database has taken its place.
  const lost = recorded - delivered - found
  return lost > 0 ? { recorded, found, lost } : undefined
}

/** Writes the record of an open spool. Never throws: what fails is told by {@link trouble}. */
export class LastSeq {
  readonly #spool: string
  readonly #path: string
  #isThere: boolean
  #file: number | undefined
  #closed = false
  #turn = 0
  #sync: NodeJS.Timeout | undefined
  #syncing = false
  #unsynced = false
  #trouble: string | undefined

  /** Leaves a record that was found as it is, until the first {@link write}. */
  constructor(dir: string, spool: string, found: LastRecord | 'damaged' | undefined) {
    this.#path = join(dir, 'last-seq')
    this.#spool = spool
    this.#isThere = found !== undefined && found !== 'damaged'
    if (this.#isThere) this.#turn = (found as Written).turn
    this.#try(() => this.#open())
  }

  /** Again with each write until it works: at the start the disk may have been full. */
  #open(): number {
    if (!this.#isThere) {
      const empty = toText({ spool: this.#spool, last: 0, delivered: 0, turn: 0 })
      writeDurably(this.#path, empty.padEnd(placeBytes) + empty)
      this.#isThere = true
    }
    this.#file ??= openSync(this.#path, constants.O_RDWR | constants.O_NOFOLLOW)
    return this.#file
  }

  /** Why the record is not kept, in words. */
  get trouble(): string | undefined {
    return this.#trouble
  }

  /** After a commit, before anything is answered. */
  write(last: number, delivered: number): void {
    this.#try(() => {
      if (this.#closed) return
      const file = this.#open()
      const turn = this.#turn + 1
      const text = toText({ spool: this.#spool, last, delivered, turn })
      writeSync(file, text, (turn % 2) * placeBytes)
      this.#turn = turn
      // One that cannot be synced is in trouble until a sync works.
      if (!this.#unsynced) this.#trouble = undefined
      this.#sync ??= setTimeout(() => this.#startSync(), syncAfterMs).unref()
    })
  }

  #startSync(): void {
    const file = this.#file
    this.#sync = undefined
    if (file === undefined) return
    if (this.#syncing) {
      this.#sync = setTimeout(() => this.#startSync(), syncAfterMs).unref()
      return
    }
    this.#syncing = true
    fdatasync(file, (error) => {
      this.#syncing = false
      this.#unsynced = error !== null
      if (error) this.#note(error)
      if (this.#file === undefined) closeSync(file)
    })
  }

  close(): void {
    this.#closed = true
    clearTimeout(this.#sync)
    const file = this.#file
    this.#file = undefined
    if (file === undefined) return
    this.#try(() => fdatasyncSync(file))
    // The one that is under way needs it still.
    if (!this.#syncing) closeSync(file)
  }

  #try(work: () => void): void {
    try {
      work()
    } catch (error) {
      this.#note(error)
    }
  }

  #note(error: unknown): void {
    const { code = 'unknown' } = error as { code?: string }
    this.#trouble = `last-seq cannot be written (${code}); if a file of the spool is lost, it will not be known how many events were in it`
  }
}
