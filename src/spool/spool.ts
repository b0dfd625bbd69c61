import { statSync } from 'node:fs'
import { join } from 'node:path'
import { Outgoing, type Refused } from '../core/delivery.ts'
import { ensure, must } from '../core/must.ts'
import { Ballast } from './ballast.ts'
import { type Db, type OpenReport, openSpool } from './open.ts'
import { SeenKeys } from './seen-keys.ts'
import { stamp } from './stamp.ts'
import { type Meta, prepare, type Row, type Statements } from './statements.ts'

/** An event on its way into the spool. */
export type Append = {
  /** 24 bytes: the time its sender reported and the idempotency key. See keys.ts. */
  key: Buffer
  /** The event as JSON. */
  body: string
  receivedMs: number
  /** May be refused while the spool is filling up. */
  tick: boolean
  /** Carries the stamp of an earlier spool. */
  stamped: boolean
}

/**
 * What became of an append. `stored` and `duplicate` are on disk; `shed` (above the soft cap,
 * progress and metric events only) and `full` are not, and may be sent again later.
 */
export type AppendVerdict = 'stored' | 'duplicate' | 'shed' | 'full'

/** A refused event, set aside. */
export type Reject = Refused & { id: number; sink: string; rejectedMs: number; body: string }

export type SpoolOptions = {
  dir: string
  /** Names of all sinks; an event stays until each has acknowledged it. */
  sinks: readonly string[]
  /** Most bytes on disk; above four fifths of it ticks are shed. */
  maxBytes: number
  /** Ballast, in bytes; for tests on small disks. */
  ballastBytes?: number
  onCommit?: (events: number) => void
}

/** `resetSinks`: those whose recorded position was after the last event; see toPosition. */
export type SpoolReport = OpenReport & { resetSinks: readonly string[] }

const softShare = 0.8
/** Files larger than this are shrunk once they are empty. */
const vacuumBytes = 64 * 2 ** 20

type Waiting = {
  items: readonly Append[]
  resolve: (verdicts: AppendVerdict[]) => void
  reject: (error: unknown) => void
}

/** See schema.ts for what always holds. One process, one spool, one thread. */
export class Spool {
  readonly report: SpoolReport
  readonly sourceId: string
  readonly epoch: string
  readonly dir: string
  readonly #db: Db
  readonly #lock: Db
  readonly #ballast: Ballast
  readonly #options: SpoolOptions
  readonly #acked = new Map<string, number>()
  readonly #statements: Statements
  #waiting: Waiting[] = []
  #lastSeq: number
  #forwarded: number
  readonly #keys: SeenKeys
  #pages: number
  #closed = false
  #lastError: string | undefined
  readonly #wakers = new Set<() => void>()

  constructor(options: SpoolOptions) {
    const { db, lock, sourceId, report } = openSpool(options.dir)
    this.#db = db
    this.#lock = lock
    this.#options = options
    this.dir = options.dir
    this.sourceId = sourceId
    this.#statements = prepare(db)
    const meta = db.prepare('select * from meta').get() as Meta
    this.epoch = meta.epoch
    this.#forwarded = meta.forwarded
    this.#keys = new SeenKeys(db, this.#statements, meta, options.maxBytes)
    const resetSinks = this.#registerSinks()
    const highest = db.prepare('select max(seq) from event').pluck().get() as number | null
    this.#lastSeq = Math.max(highest ?? 0, ...this.#acked.values())
    this.#pages = this.#usedPages()
    this.#ballast = new Ballast(options.dir, options.ballastBytes)
    if (!this.#ballast.held) this.#ballast.take()
    this.report = { ...report, recovered: this.count, resetSinks }
  }

  /** Events that at least one sink has not acknowledged. */
  get count(): number {
    return this.#lastSeq - Math.min(...this.#acked.values())
  }

  /** Bytes in use on disk: pages with something in them, and the write-ahead log. */
  get bytes(): number {
    return this.#pages * pageSize + this.#walBytes()
  }

  /** Why nothing can be appended at the moment, in words; undefined when all is well. */
  get trouble(): string | undefined {
    if (!this.#ballast.held) return 'the disk of the spool is full'
    if (this.#isFull()) return 'the spool has reached SPOOL_MAX_BYTES'
    return this.#lastError
  }

  /** Everything up to this seq was acknowledged by a sink. */
  acked(sink: string): number {
    const acked = this.#acked.get(sink)
    if (acked === undefined) throw new Error(`no sink is called ${sink}`)
    return acked
  }

  /** Events that a sink has not acknowledged. */
  lag(sink: string): number {
    return this.#lastSeq - this.acked(sink)
  }

  /** When the oldest event that a sink has not acknowledged came in; ms since 1970. */
  oldestMs(sink?: string): number | undefined {
    const from = sink === undefined ? Math.min(...this.#acked.values()) : this.acked(sink)
    return this.#statements.oldest.get(from) as number | undefined
  }

  /**
   * Puts events on disk. All that wait in one turn of the event loop share one commit: that is 4.6
   * times the throughput of a commit per request.
   *
   * @returns a verdict per event, after the commit was synced
   * @throws when the database fails for another reason than a full disk; nothing was stored then
   */
  append(items: readonly Append[]): Promise<AppendVerdict[]> {
    if (this.#closed) return Promise.reject(new Error('the spool is closed'))
    return new Promise((resolve, reject) => {
      if (this.#waiting.push({ items, resolve, reject }) === 1) setImmediate(() => this.#flush())
    })
  }

  #flush(): void {
    const waiting = this.#waiting
    this.#waiting = []
    if (waiting.length === 0) return
    try {
      const verdicts = this.#canAppend() ? this.#commit(waiting) : waiting.map(refused)
      for (const [i, w] of waiting.entries()) w.resolve(verdicts[i]!)
    } catch (error) {
      this.#afterFailure(error)
      for (const w of waiting) {
        if (isDiskFull(error)) w.resolve(refused(w))
        else w.reject(error)
      }
    }
  }

  /** One transaction for everybody who waits. Counters move only once it is durable. */
  #commit(waiting: readonly Waiting[]): AppendVerdict[][] {
    const draft = { seq: this.#lastSeq, forwarded: this.#forwarded, stored: 0 }
    const soft = this.bytes > this.#options.maxBytes * softShare
    this.#db.exec('begin immediate')
    const verdicts = waiting.map((w) => w.items.map((item) => this.#put(item, soft, draft)))
    if (draft.forwarded > this.#forwarded) this.#statements.setForwarded.run(draft.forwarded)
    this.#db.exec('commit')
    this.#lastSeq = draft.seq
    this.#forwarded = draft.forwarded
    this.#keys.added(draft.stored)
    this.#lastError = undefined
    this.#pages = this.#usedPages()
    if (draft.stored > 0) {
      this.#options.onCommit?.(draft.stored)
      for (const wake of this.#wakers) wake()
    }
    return verdicts
  }

  #put(
    item: Append,
    soft: boolean,
    draft: { seq: number; forwarded: number; stored: number },
  ): AppendVerdict {
    if (soft && item.tick) return this.#keys.has(item.key) ? 'duplicate' : 'shed'
    if (!this.#keys.put(item.key)) return 'duplicate'
    draft.seq++
    draft.stored++
    if (item.stamped) draft.forwarded++
    const sourceSeq = item.stamped ? null : draft.seq - draft.forwarded
    this.#statements.put.run(draft.seq, sourceSeq, item.receivedMs, item.body)
    return 'stored'
  }

  /**
   * The next events for a sink, in the order they came, at most `limit` and about `maxBytes`.
   *
   * @param from the seq before the first; what the sink has acknowledged unless given
   */
  peek(sink: string, limit: number, maxBytes: number, from = this.acked(sink)): Outgoing[] {
    const batch: Outgoing[] = []
    let bytes = 0
    for (const row of this.#statements.after.iterate(from, limit) as Iterable<Row>) {
      bytes += row.body.length
      if (batch.length > 0 && bytes > maxBytes) break
      const body = stamp(row.body, this.sourceId, this.epoch, row.source_seq)
      batch.push(new Outgoing(row.seq, body))
    }
    return batch
  }

  /**
   * Records that a sink took or refused everything up to `seq`, sets aside what it refused, and
   * deletes what all sinks have acknowledged. When even that fails for lack of space, the position is
   * kept in memory, so that nothing is sent again and again, and written with the next one.
   *
   * @throws ContractError when `seq` is not between what is acknowledged and the last event: events
   * that the sink was never offered would be deleted
   * @throws when nothing was recorded: the disk fails, or is too full for what was refused
   */
  ack(sink: string, seq: number, refused: readonly Refused[] = []): void {
    const before = this.acked(sink)
    this.#checkAck(sink, before, seq, refused)
    this.#acked.set(sink, seq)
    try {
      this.#writeAck(sink, seq, refused)
    } catch (error) {
      this.#afterFailure(error)
      if (isDiskFull(error) && refused.length === 0) return
      // Refusals must not be forgotten: these events stay, and are refused again.
      this.#acked.set(sink, before)
      throw error
    }
    this.#lastError = undefined
    this.#pages = this.#usedPages()
    if (this.count === 0) this.#shrink()
    if (!this.#ballast.held && this.#ballast.take()) this.#lastError = undefined
  }

  #checkAck(sink: string, before: number, seq: number, refused: readonly Refused[]): void {
    const known = Number.isSafeInteger(seq) && seq >= before && seq <= this.#lastSeq
    ensure(known, `${sink} acknowledges ${seq}, not one of ${before} to ${this.#lastSeq}`)
    const covered = refused.every((one) => one.seq > before && one.seq <= seq)
    ensure(covered, `${sink} refuses events outside of ${before + 1} to ${seq}`)
  }

  #writeAck(sink: string, seq: number, refused: readonly Refused[]): void {
    const gone = Math.min(...this.#acked.values())
    const rotate = this.#keys.areDue(gone)
    const since = Date.now()
    this.#db.transaction(() => {
      for (const one of refused) this.#setAside(sink, one)
      this.#statements.setAcked.run(sink, seq)
      this.#statements.dropTo.run(gone)
      if (rotate) this.#keys.emptyOther(since, this.#lastSeq)
    })()
    if (rotate) this.#keys.turn(since, this.#lastSeq)
  }

  #setAside(sink: string, { seq, field, detail }: Refused): void {
    const found = this.#statements.one.get(seq) as Row | undefined
    const row = must(found, 'an event stays until every sink has acknowledged it')
    const body = stamp(row.body, this.sourceId, this.epoch, row.source_seq)
    this.#statements.reject.run(sink, seq, Date.now(), field, detail, body)
  }

  /** Rejects, newest first. */
  rejects(limit: number, beforeId = Number.MAX_SAFE_INTEGER): Reject[] {
    return this.#statements.rejects.all(beforeId, limit) as Reject[]
  }

  reject(id: number): Reject | undefined {
    return this.#statements.rejectById.get(id) as Reject | undefined
  }

  countRejects(): { sink: string; count: number }[] {
    return this.#statements.countRejects.all() as { sink: string; count: number }[]
  }

  /**
   * Puts a reject back at the end of the spool, to be offered again with the stamp it had.
   *
   * @returns false when there is no such reject
   */
  retryReject(id: number): boolean {
    const row = this.reject(id)
    if (!row) return false
    this.#db.transaction(() => {
      this.#statements.put.run(this.#lastSeq + 1, null, Date.now(), row.body)
      this.#statements.setForwarded.run(this.#forwarded + 1)
      this.#statements.dropReject.run(id)
    })()
    this.#lastSeq++
    this.#forwarded++
    for (const wake of this.#wakers) wake()
    return true
  }

  /** Calls `wake` after every commit that brought events. @returns what stops that */
  onAppend(wake: () => void): () => void {
    this.#wakers.add(wake)
    return () => this.#wakers.delete(wake)
  }

  /** Answers those who wait, then closes. Safe to call twice. */
  close(): void {
    if (this.#closed) return
    this.#flush()
    this.#closed = true
    this.#db.close()
    this.#lock.close()
  }

  /** @returns the sinks whose recorded position was not believed */
  #registerSinks(): string[] {
    // A new sink starts after what is there; one that went away no longer holds events.
    const rows = this.#db.prepare('select name, acked from sink').all() as SinkRow[]
    const ends = this.#db.prepare(endsSql).raw().get() as Ends
    const known = new Map(rows.map(({ name, acked }) => [name, toPosition(acked, ends)]))
    const start = known.size > 0 ? Math.min(...known.values()) : 0
    for (const name of this.#options.sinks) {
      this.#acked.set(name, known.get(name) ?? start)
      // Written only when it is news: on a full disk even this would fail.
      const recorded = rows.find((row) => row.name === name)?.acked
      if (recorded !== this.acked(name)) this.#statements.setAcked.run(name, this.acked(name))
    }
    for (const name of known.keys()) {
      if (!this.#acked.has(name)) this.#db.prepare('delete from sink where name = ?').run(name)
    }
    return rows.filter(({ name, acked }) => known.get(name) !== acked).map(({ name }) => name)
  }

  #canAppend(): boolean {
    if (!this.#ballast.held) this.#ballast.take()
    return this.#ballast.held && !this.#isFull()
  }

  #isFull(): boolean {
    return this.bytes >= this.#options.maxBytes
  }

  #afterFailure(error: unknown): void {
    if (this.#db.inTransaction) this.#db.exec('rollback')
    this.#lastError = `the spool cannot be written (${(error as { code?: string }).code ?? 'unknown'})`
    if (isDiskFull(error)) this.#ballast.release()
  }

  #usedPages(): number {
    return this.#statements.usedPages.get() as number
  }

  #walBytes(): number {
    try {
      return statSync(join(this.dir, 'spool.db-wal')).size
    } catch {
      return 0
    }
  }

  /** Gives space back to the disk: only when empty, because then it takes milliseconds. */
  #shrink(): void {
    const pages = this.#db.pragma('page_count', { simple: true }) as number
    // After a full disk every byte is wanted: the ballast has to fit in again.
    const large = pages * pageSize >= vacuumBytes && this.#pages * 2 <= pages
    if (!large && this.#ballast.held) return
    try {
      this.#db.exec('vacuum')
      this.#db.pragma('wal_checkpoint(truncate)')
    } catch (error) {
      // No space to shrink in: the pages are free for new events all the same.
      this.#afterFailure(error)
    }
    this.#pages = this.#usedPages()
  }
}

const pageSize = 4096

type SinkRow = { name: string; acked: number }
/** The first and the last number in the spool. */
type Ends = [number, number] | [null, null]
/** Two questions: asked for both in one, SQLite reads the whole table. */
const endsSql = 'select (select min(seq) from event), (select max(seq) from event)'

/**
 * Where a sink begins. Events leave the spool from its front only, so while there are any, the last of
 * them is the last that was ever accepted. A position after it cannot be true, and which events the
 * sink has seen is unknown: all that are there are offered again, because none may be lost.
 */
const toPosition = (acked: number, [first, last]: Ends): number =>
  last !== null && acked > last ? first - 1 : acked

const refused = (waiting: Waiting): AppendVerdict[] => waiting.items.map(() => 'full')

const isDiskFull = (error: unknown) => (error as { code?: string }).code === 'SQLITE_FULL'
