import type { Admitted, Verdict } from '../core/admission.ts'
import type { Outgoing } from '../core/delivery.ts'
import type { Accounts } from './accounts.ts'
import { Appender, type Stored } from './appender.ts'
import { openBook } from './book.ts'
import { type Carrying, CarryOver } from './carry-over.ts'
import type { Db } from './db.ts'
import { unwritableError } from './disk-error.ts'
import { DiskGuard } from './disk-guard.ts'
import { Epochs } from './epochs.ts'
import { Guard } from './guard.ts'
import type { RefusedEvent } from './lanes.ts'
import type { AckMore, Ledger } from './ledger.ts'
import { type Opened, type OpenReport, openSpool } from './open.ts'
import { Pauses } from './pauses.ts'
import { readBatch } from './peek.ts'
import { Plans } from './plans.ts'
import { type LaneName, Positions } from './positions.ts'
import { Rejects } from './rejects.ts'
import { retry } from './retry.ts'
import { SeenKeys } from './seen-keys.ts'
import { Space } from './space.ts'
import type { SpoolOptions } from './spool-options.ts'
import type { Meta, Statements } from './statements.ts'
import { Tail } from './tail.ts'

/** See schema.ts for what always holds. One process, one spool, one thread. */
export class Spool {
  /** `resetSinks`: those whose recorded position was after the last event; see cursors.ts. */
  readonly #report: OpenReport & { resetSinks: readonly string[] }
  readonly rejects: Rejects
  /** Under which this opening gives numbers. */
  readonly source: { id: string; epoch: string }
  readonly dir: string
  readonly guard: Guard
  readonly #db: Db
  readonly #lock: Db
  readonly #space: Space
  readonly #disk: DiskGuard
  readonly #options: SpoolOptions
  readonly #plans: Plans
  readonly epochs: Epochs
  readonly #positions: Positions
  readonly #carry: CarryOver | undefined
  readonly #statements: Statements
  readonly #appender: Appender
  readonly #ledger: Ledger
  /** What became of the events of each sink. */
  readonly accounts: Accounts
  readonly #tail: Tail
  #closed = false
  readonly #wakers = new Set<() => void>()

  constructor(options: SpoolOptions) {
    const opened = openSpool(options.dir, options.sinks)
    const { db, lock, sourceId, statements, rows, lastSeq, report, carry, gone } = opened
    this.#db = db
    this.#lock = lock
    this.#options = options
    this.#plans = new Plans(options.sinks)
    this.dir = options.dir
    this.epochs = new Epochs(db, sourceId)
    this.source = { id: sourceId, epoch: this.epochs.epoch }
    this.#tail = new Tail(this.epochs)
    this.#statements = statements
    const meta = db.prepare('select * from meta').get() as Meta
    this.#positions = new Positions(rows, lastSeq)
    this.#space = new Space(db, options)
    const onError = (error: unknown) => this.guard.isDamage(error)
    this.#disk = new DiskGuard(db, this.#space, { ...options, onError })
    const lastReject = Math.max(0, ...carry.map(({ last_reject }) => last_reject))
    this.rejects = new Rejects(db, this.#disk, lastReject, options)
    const keys = new SeenKeys(db, statements, meta, options.maxBytes, lastSeq)
    const parts = { ...this.#parts(opened), keys }
    const book = openBook({
      ...{ ...parts, gone, plans: this.#plans, wake: () => this.#wake() },
      pauses: new Pauses(options.dir),
      isSound: () => !this.guard.isUnsound,
      onCommit: () => this.#written(),
    })
    this.#ledger = book.ledger
    this.accounts = book.accounts
    this.#space.held = () => book.share.required
    const ofCarry = { ...parts, gone: () => this.#ledger.gone }
    this.#carry = carry.length > 0 ? new CarryOver(ofCarry) : undefined
    const record = { spool: meta.id, last: lastSeq, delivered: this.#positions.delivered }
    const onChecked = () => this.#space.releaseLog()
    this.guard = new Guard({ ...options, report, record, isReplaced: carry.length > 0, onChecked })
    if (this.guard.checking) this.#space.holdLog()
    this.#appender = new Appender({ ...parts, ...book, guard: this.guard })
    this.#carry?.begin()
    this.#report = { ...report, recovered: this.count, resetSinks: opened.resetSinks }
  }

  /** For those who write, and what they ask and tell the spool. */
  #parts(opened: Opened) {
    return {
      ...{ ...opened, ...this.#options, disk: this.#disk, space: this.#space },
      ...{ positions: this.#positions, rejects: this.rejects, epochs: this.epochs },
      canWrite: () => this.#canWrite(),
      trouble: () => this.trouble,
      isTight: () => this.#carry?.tightness !== undefined,
      onStored: (stored: Stored) => this.#stored(stored),
      onPart: () => this.#wake(),
    }
  }

  get report(): OpenReport & { resetSinks: readonly string[] } {
    const damaged = this.#carry?.damage
    return { ...this.#report, ...(damaged ? { damaged } : {}) }
  }

  /** Set while events of a damaged database are being carried over. */
  get carrying(): Carrying | undefined {
    return this.#carry?.carrying
  }

  /** Events that at least one sink is owed, configured or not. */
  get count(): number {
    return this.#positions.countAfter(this.#positions.ackedByAll)
  }

  /** Number of the last event that {@link peek} hands out. */
  get lastOut(): number {
    return this.#positions.lastOut
  }

  /** Bytes in use on disk. */
  get bytes(): number {
    return this.#space.bytes
  }

  /** Why nothing can be appended at the moment, in words; undefined when all is well. */
  get trouble(): string | undefined {
    const trouble = this.guard.trouble ?? this.#disk.trouble
    if (!trouble) return this.#carry?.tightness
    return this.guard.trouble ? trouble : this.accounts.explain(trouble)
  }

  /** When the disk failed: finds out whether it works again. Cheap, and never throws. */
  recover(now = false): void {
    if (this.#closed || this.guard.isUnsound) return
    const write = () => {
      // SQLite writes nothing where nothing changes.
      this.#ledger.transaction(() => {
        for (const probe of this.#statements.probe) probe.run()
      })
      this.#ledger.written()
      this.#written()
    }
    this.#disk.recover({ write, isEmpty: this.#isEmpty, now })
  }

  /** Nothing is on disk, and nothing is to come from a damaged one. */
  get #isEmpty(): boolean {
    return this.#positions.isEmpty && this.#ledger.gone >= this.#positions.lastOut
  }

  /** Tries it first where the disk had failed. */
  #canWrite(): boolean {
    this.recover()
    return this.guard.trouble === undefined
  }

  #committed(): void {
    this.guard.committed(this.#positions.last, this.#positions.delivered)
  }

  /** After a commit that brought no event. */
  #written(): void {
    this.#committed()
    if (this.#isEmpty) this.#disk.attempt(() => this.#space.shrink())
  }

  /** Everything up to this seq is dealt with by a sink, in its backlog or in its live lane. */
  acked(sink: string, lane?: LaneName): number {
    return this.#positions.acked(sink, lane)
  }

  /** Names of the configured sinks. */
  get sinks(): string[] {
    return this.#plans.names
  }

  /** Events that a sink is owed. */
  lag(sink: string): number {
    return this.#positions.lag(sink)
  }

  /** When the oldest event that a sink has not acknowledged came in; ms since 1970. */
  oldestMs(sink?: string): number | undefined {
    const from = sink === undefined ? this.#positions.ackedByAll : this.acked(sink)
    try {
      return this.guard.watch(() => this.#statements.oldest.get(from)) as number | undefined
    } catch {
      // Health asks, and says why nothing can be read; an age is not worth its answer.
      return undefined
    }
  }

  /**
   * Puts events on disk; what it guarantees is in core/admission.ts. Requests share commits, see
   * append-queue.ts: that is 4.6 times the throughput of a commit each.
   *
   * @throws AppError overloaded when the disk fails in another way than being full
   */
  append(items: readonly Admitted[]): Promise<Verdict[]> {
    if (this.#closed) return Promise.reject(new Error('the spool is closed'))
    return this.#appender.append(items)
  }

  /** Right after the commit, before anything may throw: a number that is given must not be given again. */
  #stored({ seq, given, rows }: Stored): void {
    const { last } = this.#positions
    this.epochs.recorded(last + 1, given)
    this.#options.onCommit?.(seq - last)
    this.#positions.stored(seq)
    this.#tail.add(rows)
    this.#committed()
    this.#wake()
  }

  #wake(): void {
    for (const wake of this.#wakers) wake()
  }

  /**
   * The next events for a sink, in the order they came, at most `limit` and about `maxBytes`.
   *
   * @param from the seq before the first; what the sink has acknowledged unless given
   */
  peek(sink: string, limit: number, maxBytes: number, from = this.acked(sink)): Outgoing[] {
    if (this.guard.isUnsound) return []
    const kept = this.carrying ? undefined : this.#tail.read(from, limit, maxBytes)
    if (kept) return kept
    try {
      return readBatch(this.#statements, this.epochs, this.#positions, { from, limit, maxBytes })
    } catch (error) {
      if (this.guard.isDamage(error)) return []
      throw error
    }
  }

  /** Events on disk after a number, whoever is owed them. */
  look(after: number, limit: number, maxBytes: number): Outgoing[] {
    return this.peek('', limit, maxBytes, Math.max(after, this.#ledger.gone))
  }

  /**
   * Records what a sink did with everything up to `seq`: written soon, see ledger.ts.
   *
   * @throws ContractError when `seq` is not between what is acknowledged and the last event: events
   * that the sink was never offered would be deleted
   * @throws when nothing was recorded: the disk fails, or is too full for what was refused
   */
  ack(sink: string, seq: number, refused: readonly RefusedEvent[] = [], more: AckMore = {}): void {
    this.#ledger.settle(sink, { upTo: seq, refused, filtered: [], ...more })
    this.recover(this.count === 0)
  }

  /** Writes what waits to be recorded. @throws when the disk fails */
  flush(): void {
    this.#ledger.flush()
  }

  /**
   * Offers a reject to its sink again, as {@link retry} does.
   *
   * @throws AppError overloaded also when the files of the spool are gone or damaged
   */
  retryReject(id: number): boolean {
    if (this.guard.trouble) throw unwritableError(new Error(this.guard.trouble))
    const { rejects, epochs, sinks } = this
    const [seq, gone] = [this.#positions.last + 1, this.#ledger.gone]
    const isThere = retry(id, { rejects, epochs, sinks, seq, gone })
    if (isThere) this.#wake()
    return isThere
  }

  /** Calls `wake` after every commit that brought events. @returns what stops that */
  onAppend(wake: () => void): () => void {
    this.#wakers.add(wake)
    return () => this.#wakers.delete(wake)
  }

  /** Answers the waiting appends, then closes. Safe to call twice. */
  close(): void {
    if (this.#closed) return
    this.#appender.flush()
    // What could not be recorded would be delivered again.
    this.recover(true)
    this.#ledger.close()
    this.#closed = true
    this.#carry?.stop()
    this.guard.close()
    this.#db.close()
    this.#lock.close()
  }
}
