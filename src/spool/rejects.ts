import type { Refused } from '../core/delivery.ts'
import { clock } from '../platform/clock.ts'
import type { Db } from './db.ts'
import { unwritableError } from './disk-error.ts'
import type { DiskGuard } from './disk-guard.ts'
import type { ClosedPrefix, RefusedEvent } from './lanes.ts'

/*
 * Events that a sink refused permanently, set aside with the reason.
 *
 * What always holds
 *   1. A reject leaves by an operator alone: retried, or dropped. Nothing else deletes one.
 *   2. A sink has at most `maxCount` of them, or `maxBytes` and the one that passes it. At the bound its
 *      next refusal is not recorded, so that it is not acknowledged either: the sink stops there.
 *   3. Counts are kept in memory and move once a transaction is durable: health asks for them often.
 *   4. An id is given once while the process runs, so that no operator drops another reject than the
 *      one that was shown.
 */

/** A refused event, set aside. */
export type Reject = ListedReject & { body: string }

/** The same without the event, which may be large. */
export type ListedReject = Refused & { id: number; sink: string; rejectedMs: number }

/** A row of `reject`. */
export type RejectRow = Refused & { id: number; sink: string; rejected_ms: number; body: string }

/** The rejects of a sink; bytes are those of their events. */
export type RejectCount = { count: number; bytes: number }

/** What became of a reject: it came, was offered again, or was dropped by an operator. */
export type RejectChange = 'set_aside' | 'retried' | 'dropped'

export type RejectsOptions = {
  /** Maximum bytes of the spool. */
  maxBytes: number
  /** Maximum rejects of a sink; for tests. */
  maxRejects?: number
  onReject?: (sink: string, change: RejectChange, count: number) => void
}

/** More would be read by nobody, and a cause that refuses everything is known long before. */
const standardMaxCount = 10_000
const standardMaxBytes = 64 * 2 ** 20
/** Of the spool: rejects alone never fill it. */
const largestShare = 1 / 4

type SinkCount = RejectCount & { sink: string }

export class Rejects {
  readonly #statements: ReturnType<typeof prepare>
  readonly #options: RejectsOptions
  readonly #db: Db
  readonly #guard: DiskGuard
  readonly #maxCount: number
  readonly #maxBytes: number
  readonly #counts = new Map<string, RejectCount>()
  #lastId: number

  /** @param lastId ids up to here are taken: by rejects that are still to be carried over */
  constructor(db: Db, guard: DiskGuard, lastId: number, options: RejectsOptions) {
    this.#db = db
    this.#guard = guard
    this.#statements = prepare(db)
    this.#options = options
    this.#maxCount = options.maxRejects ?? standardMaxCount
    this.#maxBytes = Math.min(standardMaxBytes, options.maxBytes * largestShare)
    for (const { sink, ...of } of this.#statements.counts.all() as SinkCount[]) {
      this.#counts.set(sink, of)
    }
    this.#lastId = Math.max(lastId, this.#statements.lastId.get() as number)
  }

  /** Newest first. */
  list(limit: number, beforeId = Number.MAX_SAFE_INTEGER): ListedReject[] {
    return this.#statements.list.all(beforeId, limit) as ListedReject[]
  }

  get(id: number): Reject | undefined {
    return this.#statements.byId.get(id) as Reject | undefined
  }

  /** Without a look at the disk. */
  count(sink: string): RejectCount {
    return this.#counts.get(sink) ?? { count: 0, bytes: 0 }
  }

  /** Within a transaction; {@link changed} once it is committed. @returns what came */
  put(sink: string, refused: readonly RefusedEvent[]): RejectCount {
    let sum = 0
    for (const { seq, field, detail, body, bytes } of refused) {
      sum += bytes
      this.#lastId++
      this.#statements.put.run(this.#lastId, sink, seq, clock.nowMs(), field, detail, body)
    }
    return { count: refused.length, bytes: sum }
  }

  /** Of what a sink closed, the part for whose refusals there is room. */
  cut(sink: string, closed: ClosedPrefix): ClosedPrefix {
    const sum = { ...this.count(sink) }
    for (const [i, { seq, bytes }] of closed.refused.entries()) {
      if (sum.count >= this.#maxCount || sum.bytes >= this.#maxBytes) {
        return { upTo: seq - 1, refused: closed.refused.slice(0, i) }
      }
      sum.count++
      sum.bytes += bytes
    }
    return closed
  }

  /** Why a sink stops for which {@link cut} leaves nothing. */
  get full(): string {
    const mib = Math.floor(this.#maxBytes / 2 ** 20)
    return `its rejects have reached their limit (${this.#maxCount} events or ${mib} MiB); look at them with wafermon spool rejects list, then retry or drop them`
  }

  /**
   * Deletes rejects with their events: nothing else ever deletes an event that was not delivered.
   *
   * @param ids the first and the last
   * @returns how many there were
   * @throws AppError overloaded when the disk fails; all stay rejects then
   */
  drop(ids: readonly [first: number, last: number]): number {
    return this.remove('dropped', ids)
  }

  /** As {@link drop}; `also` in the same transaction. */
  remove(
    change: 'retried' | 'dropped',
    ids: readonly [first: number, last: number],
    also?: () => void,
  ): number {
    let gone: SinkCount[] = []
    const transaction = this.#db.transaction(() => {
      gone = this.#statements.countsOf.all(...ids) as SinkCount[]
      this.#statements.drop.run(...ids)
      also?.()
    })
    try {
      this.#guard.write(transaction)
    } catch (error) {
      throw unwritableError(error)
    }
    for (const { sink, ...count } of gone) this.changed(sink, change, count)
    return gone.reduce((sum, { count }) => sum + count, 0)
  }

  /** Counts what a transaction did, once it is durable. */
  changed(sink: string, change: RejectChange, { count, bytes }: RejectCount): void {
    if (count === 0) return
    const sign = change === 'set_aside' ? 1 : -1
    this.#add(sink, sign * count, sign * bytes)
    this.#options.onReject?.(sink, change, count)
  }

  #add(sink: string, count: number, bytes: number): void {
    const had = this.count(sink)
    this.#counts.set(sink, { count: had.count + count, bytes: had.bytes + bytes })
  }

  /**
   * Within a transaction: puts back rejects as they were in another database, each once.
   *
   * @returns those that were not there; {@link carriedOver} once it is committed
   */
  carryOver(rows: readonly RejectRow[]): RejectRow[] {
    return rows.filter(({ id, sink, seq, rejected_ms, field, detail, body }) => {
      if (this.#statements.byId.get(id)) return false
      this.#statements.put.run(id, sink, seq, rejected_ms, field, detail, body)
      return true
    })
  }

  /** Counts them: nothing was refused now. */
  carriedOver(rows: readonly RejectRow[]): void {
    for (const { sink, body } of rows) this.#add(sink, 1, Buffer.byteLength(body))
  }
}

function prepare(db: Db) {
  const columns = 'id, sink, seq, rejected_ms as rejectedMs, field, detail'
  // octet_length does not read the pages of a long body.
  const counts = 'sink, count(*) as count, sum(octet_length(body)) as bytes'
  return {
    list: db.prepare(`select ${columns} from reject where id < ? order by id desc limit ?`),
    byId: db.prepare(`select ${columns}, body from reject where id = ?`),
    counts: db.prepare(`select ${counts} from reject group by sink`),
    countsOf: db.prepare(`select ${counts} from reject where id between ? and ? group by sink`),
    lastId: db.prepare('select coalesce(max(id), 0) from reject').pluck(),
    put: db.prepare(
      'insert into reject (id, sink, seq, rejected_ms, field, detail, body) values (?, ?, ?, ?, ?, ?, ?)',
    ),
    drop: db.prepare('delete from reject where id between ? and ?'),
  }
}
