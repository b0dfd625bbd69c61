import type { Statement } from 'better-sqlite3'
import type { Event } from '../core/event.ts'
import { type Micros, toMicros, toMicrosNumber } from '../core/time.ts'
import { clock } from '../platform/clock.ts'
import type { Db } from './db.ts'
import { type Meta, otherTable, type Statements } from './statements.ts'

/**
 * The identity of an event as 24 bytes. The time comes first: events come roughly in its order, so
 * that even random keys go in at the end of the table and not each into a page of its own. It is the
 * sender's own time: a correction differs from one retry to the next.
 */
export function toKey({ idempotency_key, event }: Event): Buffer {
  const key = Buffer.allocUnsafe(24)
  writeTime(key, event.reported_at ?? event.at)
  for (let i = 0; i < digits.length; i++) {
    const at = digits[i] as number
    key[8 + i] = hexDigit(idempotency_key, at) * 16 + hexDigit(idempotency_key, at + 1)
  }
  return key
}

/** Where the bytes of a UUID are in its text. By hand this costs a quarter of what Buffer.write does. */
const digits = [0, 2, 4, 6, 9, 11, 14, 16, 19, 21, 24, 26, 28, 30, 32, 34]

/** Of a UUID in its normal form, lower case. */
function hexDigit(text: string, at: number): number {
  const code = text.charCodeAt(at)
  return code < 58 ? code - 48 : code - 87
}

/** Microseconds since 1970 in eight bytes, without a bigint where a double is exact. */
function writeTime(key: Buffer, time: Micros): void {
  const us = toMicrosNumber(time)
  if (!Number.isSafeInteger(us)) {
    key.writeBigInt64BE(toMicros(time), 0)
    return
  }
  key.writeInt32BE(Math.floor(us / 2 ** 32), 0)
  key.writeUInt32BE(us >>> 0, 4)
}

const keyLimit = 1_000_000
const keyAgeMs = 24 * 3600 * 1000

/**
 * The keys of what came in recently, so that a repeat is seen, whether it was delivered meanwhile or not. Two
 * tables take turns: when one is old or full enough, the other is emptied and filled.
 */
export class SeenKeys {
  readonly #db: Db
  readonly #statements: Statements
  readonly #limit: number
  #table: 'key_a' | 'key_b'
  #since: number
  #count: number
  #hasOld: boolean

  /**
   * @param maxBytes maximum bytes of the spool; keys take a twentieth of them
   * @param lastSeq of the spool: counting the keys of a long backlog would take seconds
   */
  constructor(db: Db, statements: Statements, meta: Meta, maxBytes: number, lastSeq: number) {
    this.#db = db
    this.#statements = statements
    this.#limit = Math.min(keyLimit, (maxBytes * 0.05) / 48)
    this.#table = meta.key_table
    this.#since = meta.key_since
    this.#count = Math.max(0, lastSeq - meta.key_old_seq)
    const old = `select 1 from ${otherTable(meta.key_table)} limit 1`
    this.#hasOld = db.prepare(old).pluck().get() !== undefined
  }

  has(key: Buffer): boolean {
    const { keys } = this.#statements
    return this.#isOld(key) || keys[this.#table].has.get(key) !== undefined
  }

  /** @returns of each key whether it is new; a key that is there twice is new once */
  put(keys: readonly Buffer[]): boolean[] {
    const { put } = this.#statements.keys[this.#table]
    const fresh: boolean[] = []
    for (let i = 0; i < keys.length; i += put.chunk) {
      const some = keys.slice(i, i + put.chunk)
      const whole = some.length === put.chunk && !some.some((key) => this.#isOld(key))
      if (whole && isInserted(put.many, some)) for (const _ of some) fresh.push(true)
      else for (const key of some) fresh.push(!this.#isOld(key) && isInserted(put.one, [key]))
    }
    return fresh
  }

  #isOld(key: Buffer): boolean {
    const old = this.#statements.keys[otherTable(this.#table)]
    return this.#hasOld && old.has.get(key) !== undefined
  }

  /** Counts what a commit has put in, once it is durable. */
  added(count: number): void {
    this.#count += count
  }

  /** The tables are to take turns. */
  get areDue(): boolean {
    return this.#count >= this.#limit || clock.nowMs() - this.#since >= keyAgeMs
  }

  /** Within a transaction; {@link turn} once it is committed. */
  emptyOther(since: number, lastSeq: number): void {
    const next = otherTable(this.#table)
    this.#db.exec(`delete from ${next}`)
    this.#statements.setKeys.run(next, since, lastSeq)
  }

  turn(since: number): void {
    this.#hasOld = this.#count > 0
    this.#table = otherTable(this.#table)
    this.#count = 0
    this.#since = since
  }
}

/**
 * A repeat makes the whole statement fail, and SQLite undoes that statement alone; the transaction continues.
 *
 * @returns false when a key is there already: then none was inserted
 */
function isInserted(insert: Statement, keys: readonly Buffer[]): boolean {
  try {
    insert.run(keys)
    return true
  } catch (error) {
    if ((error as { code?: string }).code === 'SQLITE_CONSTRAINT_PRIMARYKEY') return false
    throw error
  }
}
