import type { Db } from './open.ts'
import { type Meta, otherTable, type Statements } from './statements.ts'

/**
 * The identity of an event as 24 bytes. The time comes first: events come about in its order, so
 * that even random keys go in at the end of the table and not each into a page of its own.
 */
export function eventKey(idempotencyKey: string, reportedAtUs: bigint): Buffer {
  const key = Buffer.allocUnsafe(24)
  key.writeBigInt64BE(reportedAtUs, 0)
  key.write(idempotencyKey.replaceAll('-', ''), 8, 16, 'hex')
  return key
}

const keyLimit = 1_000_000
const keyAgeMs = 24 * 3600 * 1000

/**
 * The keys of what is in the spool and of what was there of late, so that a repeat is seen. Two tables
 * take turns: when one is old or full enough, the other is emptied and filled.
 */
export class SeenKeys {
  readonly #db: Db
  readonly #statements: Statements
  readonly #limit: number
  #table: 'key_a' | 'key_b'
  #since: number
  #count: number
  /** Highest seq whose key is in the table that is not being filled. */
  #oldSeq: number
  #hasOld: boolean

  /** @param maxBytes most bytes of the spool; keys take a twentieth of them */
  constructor(db: Db, statements: Statements, meta: Meta, maxBytes: number) {
    this.#db = db
    this.#statements = statements
    this.#limit = Math.min(keyLimit, (maxBytes * 0.05) / 48)
    this.#table = meta.key_table
    this.#since = meta.key_since
    this.#oldSeq = meta.key_old_seq
    this.#count = this.#countIn(meta.key_table)
    this.#hasOld = this.#countIn(otherTable(meta.key_table)) > 0
  }

  has(key: Buffer): boolean {
    const { keys } = this.#statements
    return this.#isOld(key) || keys[this.#table].has.get(key) !== undefined
  }

  /** @returns false when it is there already */
  put(key: Buffer): boolean {
    return !this.#isOld(key) && this.#statements.keys[this.#table].put.run(key).changes > 0
  }

  #isOld(key: Buffer): boolean {
    const old = this.#statements.keys[otherTable(this.#table)]
    return this.#hasOld && old.has.get(key) !== undefined
  }

  /** So many more are there, once that is committed. */
  added(count: number): void {
    this.#count += count
  }

  /** @param acked up to here every event is gone: the keys to be forgotten must belong to such */
  areDue(acked: number): boolean {
    const due = this.#count >= this.#limit || Date.now() - this.#since >= keyAgeMs
    return due && this.#oldSeq <= acked
  }

  /** Within a transaction; {@link turn} once it is committed. */
  emptyOther(since: number, lastSeq: number): void {
    const next = otherTable(this.#table)
    this.#db.exec(`delete from ${next}`)
    this.#statements.setKeys.run(next, since, lastSeq)
  }

  turn(since: number, lastSeq: number): void {
    this.#hasOld = this.#count > 0
    this.#table = otherTable(this.#table)
    this.#count = 0
    this.#since = since
    this.#oldSeq = lastSeq
  }

  #countIn(table: string): number {
    return this.#db.prepare(`select count(*) from ${table}`).pluck().get() as number
  }
}
