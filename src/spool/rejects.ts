import { Outgoing, type Refusal, type Refused } from '../core/delivery.ts'
import { clock } from '../platform/clock.ts'
import type { Db } from './db.ts'
import { unwritableError } from './disk-error.ts'
import type { DiskGuard } from './disk-guard.ts'
import type { ClosedPrefix, RefusedEvent } from './lanes.ts'
import { type RejectCount, RejectCounts } from './reject-counts.ts'
import { prepareRejects, type RejectStatements } from './reject-statements.ts'

/*
 * Events that a sink refused permanently, set aside with the reason.
 *
 * What always holds
 *   1. A reject leaves by an operator alone: dropped, or retried and then taken by its sink. Nothing else
 *      deletes one.
 *   2. A sink has at most `maxCount` of them, or `maxBytes` and the one that passes it. At the bound its
 *      next refusal is not recorded, so that it is not acknowledged either: the sink stops there.
 *   3. Counts are kept in memory: health asks for them often. Those that are offered again count against
 *      the bound only.
 *   4. An id is given once while the process runs, so that no operator drops another reject than the
 *      one that was shown. A reject keeps its id when it is refused again.
 */

/** A refused event, set aside. */
export type Reject = ListedReject & { body: string }

/** The same without the event, which may be large. */
export type ListedReject = Refused & { id: number; sink: string; rejectedMs: number }

/** A row of `reject`. */
export type RejectRow = Refused & {
  id: number
  sink: string
  rejected_ms: number
  body: string
}

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

type SinkCount = RejectCount & { sink: string; isRetried: number }
type Waiting = RefusedEvent & { sink: string; rejectedMs: number }

/** A reject on its way to its sink again, and what that said. */
export type Retried = { id: number; event: Outgoing }
export type SettledRetry = Retried & { verdict: 'taken' | Refusal }

export class Rejects {
  readonly #statements: RejectStatements
  readonly #options: RejectsOptions
  readonly #maxCount: number
  readonly #maxBytes: number
  readonly #resting = new RejectCounts()
  readonly #retried = new RejectCounts()
  #waiting: Waiting[] = []
  /** Writes what waits, before somebody looks. */
  flush: () => void = () => {}
  /** Commits with all that waits; set by the ledger. */
  commit: (transaction: () => void) => void
  #lastId: number

  /** @param lastId ids up to here are taken: by rejects that are still to be carried over */
  constructor(db: Db, guard: DiskGuard, lastId: number, options: RejectsOptions) {
    this.commit = (transaction) => guard.write(db.transaction(transaction))
    this.#statements = prepareRejects(db)
    this.#options = options
    this.#maxCount = options.maxRejects ?? standardMaxCount
    this.#maxBytes = Math.min(standardMaxBytes, options.maxBytes * largestShare)
    for (const { sink, isRetried, ...of } of this.#statements.counts.all() as SinkCount[]) {
      const counts = isRetried === 0 ? this.#resting : this.#retried
      counts.add(sink, of)
    }
    this.#lastId = Math.max(lastId, this.#statements.lastId.get() as number)
  }

  /** Those that rest, newest first; of one sink when it is named. */
  list(limit: number, beforeId = Number.MAX_SAFE_INTEGER, sink?: string): ListedReject[] {
    this.flush()
    return this.#statements.list.all({ beforeId, limit, sink: sink ?? null }) as ListedReject[]
  }

  get(id: number): Reject | undefined {
    this.flush()
    return this.#statements.byId.get(id) as Reject | undefined
  }

  /** Those that rest, or wait for the next commit; without a look at the disk. */
  count(sink: string): RejectCount {
    const waiting = this.#waiting.filter((one) => one.sink === sink)
    const { count, bytes } = this.#resting.of(sink)
    return { count: count + waiting.length, bytes: bytes + sumBytes(waiting) }
  }

  /** All that are on disk, resting or not, of some sinks. */
  bytes(isOne: (sink: string) => boolean = () => true): number {
    return this.#resting.bytes(isOne) + this.#retried.bytes(isOne)
  }

  /** Bytes that wait for the next commit. */
  get waitingBytes(): number {
    return sumBytes(this.#waiting)
  }

  /** Takes refusals for the next commit. @returns what takes them back, until then */
  add(sink: string, refused: readonly RefusedEvent[]): () => void {
    const before = this.#waiting
    const rejectedMs = clock.nowMs()
    this.#waiting = [...before, ...refused.map((event) => ({ ...event, sink, rejectedMs }))]
    return () => {
      this.#waiting = before
    }
  }

  /** Within a transaction; {@link written} once it is committed. */
  write(): void {
    for (const { sink, seq, rejectedMs, field, detail, body } of this.#waiting) {
      this.#lastId++
      this.#statements.put.run(this.#lastId, sink, seq, rejectedMs, field, detail, body)
    }
  }

  written(): void {
    const waiting = this.#waiting
    this.#waiting = []
    for (const [sink, of] of Object.entries(Object.groupBy(waiting, (one) => one.sink))) {
      const rows = of ?? []
      this.#changed(sink, 'set_aside', { count: rows.length, bytes: sumBytes(rows) })
    }
  }

  /** Of what a sink closed, the part for whose refusals there is room. */
  cut(sink: string, closed: ClosedPrefix): ClosedPrefix {
    let [{ count, bytes: sum }, retried] = [this.count(sink), this.#retried.of(sink)]
    count += retried.count
    sum += retried.bytes
    for (const [i, { seq, bytes }] of closed.refused.entries()) {
      if (count >= this.#maxCount || sum >= this.#maxBytes) {
        const filtered = closed.filtered.filter((one) => one < seq)
        return { upTo: seq - 1, refused: closed.refused.slice(0, i), filtered }
      }
      count++
      sum += bytes
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
   * @param sink of this one alone
   * @returns how many there were
   * @throws AppError overloaded when the disk fails; all stay rejects then
   */
  drop([first, last]: readonly [first: number, last: number], sink?: string): number {
    this.flush()
    let gone: SinkCount[] = []
    this.#write(() => {
      const of = { first, last, sink: sink ?? null }
      gone = this.#statements.countsOf.all(of) as SinkCount[]
      this.#statements.drop.run(of)
    })
    for (const { sink, ...count } of gone) this.#changed(sink, 'dropped', count)
    return gone.reduce((sum, { count }) => sum + count, 0)
  }

  /**
   * Marks a reject to be offered to its sink again.
   *
   * @param body the event as it is to be sent
   * @param also in the same transaction
   * @throws AppError overloaded when the disk fails; it rests then
   */
  retry({ id, sink, body: had }: Reject, body: string, also: () => void): void {
    this.#write(() => {
      this.#statements.retry.run(clock.nowMs(), body, id)
      also()
    })
    this.#changed(sink, 'retried', { count: 1, bytes: Buffer.byteLength(had) })
    this.#retried.add(sink, { count: 1, bytes: Buffer.byteLength(body) })
  }

  /** How many of a sink are to be offered again; without a look at the disk. */
  countDue(sink: string): number {
    return this.#retried.of(sink).count
  }

  /** Those of a sink that are to be offered again, the oldest first. */
  due(sink: string, limit: number, maxBytes: number): Retried[] {
    const due: Retried[] = []
    let sum = 0
    for (const row of this.#statements.due.iterate(sink, limit) as Iterable<RejectRow>) {
      const event = new Outgoing(row.seq, row.body)
      sum += event.bytes
      if (due.length > 0 && sum > maxBytes) break
      due.push({ id: row.id, event })
    }
    return due
  }

  /** Records those that were taken at last, or refused again: then they rest, with the new reason. */
  settleRetried(sink: string, settled: readonly SettledRetry[]): void {
    const { rest, taken } = this.#statements
    const nowMs = clock.nowMs()
    this.#write(() => {
      for (const { id, verdict } of settled) {
        if (verdict === 'taken') taken.run(id)
        else rest.run(verdict.field, verdict.detail, nowMs, id)
      }
    })
    this.#retried.take(sink, toCount(settled))
    const refused = settled.filter(({ verdict }) => verdict !== 'taken')
    this.#changed(sink, 'set_aside', toCount(refused))
  }

  /** Within a transaction: deletes all of a sink. @returns what to do once it is committed */
  forget(sink: string): () => void {
    this.#statements.dropOf.run(sink)
    return () => {
      this.#retried.clear(sink)
      this.#changed(sink, 'dropped', this.count(sink))
    }
  }

  #write(transaction: () => void): void {
    try {
      this.commit(transaction)
    } catch (error) {
      throw unwritableError(error)
    }
  }

  /** Counts what a transaction did, once it is durable. */
  #changed(sink: string, change: RejectChange, count: RejectCount): void {
    if (count.count === 0) return
    if (change === 'set_aside') this.#resting.add(sink, count)
    else this.#resting.take(sink, count)
    this.#options.onReject?.(sink, change, count.count)
  }

  /**
   * Within a transaction: puts back rejects as they were in another database, each once.
   *
   * @returns those that were not there; {@link carriedOver} once it is committed
   */
  carryOver(rows: readonly RejectRow[]): RejectRow[] {
    return rows.filter(({ id, sink, seq, rejected_ms, field, detail, body }) => {
      if (this.#statements.exists.get(id)) return false
      this.#statements.put.run(id, sink, seq, rejected_ms, field, detail, body)
      return true
    })
  }

  /** Counts them: nothing was refused now. */
  carriedOver(rows: readonly RejectRow[]): void {
    for (const { sink, body } of rows) {
      this.#resting.add(sink, { count: 1, bytes: Buffer.byteLength(body) })
    }
  }
}

const sumBytes = (all: readonly { bytes: number }[]) =>
  all.reduce((sum, { bytes }) => sum + bytes, 0)

const toCount = (all: readonly Retried[]): RejectCount => ({
  count: all.length,
  bytes: sumBytes(all.map(({ event }) => event)),
})
