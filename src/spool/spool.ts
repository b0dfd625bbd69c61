import type { Admitted, Verdict } from '../core/admission.ts'
import type { Outgoing } from '../core/delivery.ts'
import { must } from '../core/must.ts'
import { clock } from '../platform/clock.ts'
import { Appender } from './appender.ts'
import { type Carrying, CarryOver, type CarryOverOptions } from './carry-over.ts'
import type { Db } from './db.ts'
import { isDiskError, unwritableError } from './disk-error.ts'
import { DiskGuard } from './disk-guard.ts'
import { Epochs } from './epochs.ts'
import { Guard, type GuardOptions } from './guard.ts'
import type { RefusedEvent } from './lanes.ts'
import { type Opened, type OpenReport, openSpool } from './open.ts'
import { readBatch } from './peek.ts'
import { Positions } from './positions.ts'
import { type RejectCount, Rejects, type RejectsOptions } from './rejects.ts'
import { toRetry } from './retry.ts'
import { SeenKeys } from './seen-keys.ts'
import { Space, type SpaceOptions } from './space.ts'
import type { Meta, Statements } from './statements.ts'

export type SpoolOptions = SpaceOptions &
  RejectsOptions &
  Pick<GuardOptions, 'onDamage'> &
  Pick<CarryOverOptions, 'onCarriedOver' | 'largeBytes'> & {
    /** Names of all sinks; an event stays until each has acknowledged it. */
    sinks: readonly string[]
    onCommit?: (events: number) => void
    /** Told when the disk begins to fail, and with undefined when it works again. */
    onTrouble?: (trouble: string | undefined) => void
  }

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
  readonly epochs: Epochs
  readonly #positions: Positions
  readonly #carry: CarryOver | undefined
  readonly #statements: Statements
  readonly #appender: Appender
  readonly #keys: SeenKeys
  #closed = false
  readonly #wakers = new Set<() => void>()

  constructor(options: SpoolOptions) {
    const opened = openSpool(options.dir, options.sinks)
    const { db, lock, sourceId, statements, cursors, lastSeq, report, carry } = opened
    this.#db = db
    this.#lock = lock
    this.#options = options
    this.dir = options.dir
    this.epochs = new Epochs(db, sourceId)
    this.source = { id: sourceId, epoch: this.epochs.epoch }
    this.#statements = statements
    const meta = db.prepare('select * from meta').get() as Meta
    this.#positions = new Positions(cursors, lastSeq)
    this.#keys = new SeenKeys(db, this.#statements, meta, options.maxBytes, lastSeq)
    this.#space = new Space(db, options)
    const onError = (error: unknown) => this.guard.isDamage(error)
    this.#disk = new DiskGuard(db, this.#space, { ...options, onError })
    const lastReject = Math.max(0, ...carry.map(({ last_reject }) => last_reject))
    this.rejects = new Rejects(db, this.#disk, lastReject, options)
    const parts = this.#parts(opened)
    this.#carry = carry.length > 0 ? new CarryOver(parts) : undefined
    const record = { spool: meta.id, last: lastSeq, delivered: this.#positions.delivered }
    const onChecked = () => this.#space.releaseLog()
    this.guard = new Guard({ ...options, report, record, isReplaced: carry.length > 0, onChecked })
    if (this.guard.checking) this.#space.holdLog()
    this.#appender = new Appender({ ...parts, guard: this.guard })
    this.#carry?.begin()
    this.#report = { ...report, recovered: this.count, resetSinks: opened.resetSinks }
  }

  /** For those who write, and what they ask and tell the spool. */
  #parts(opened: Opened) {
    return {
      ...{ ...opened, ...this.#options, disk: this.#disk, space: this.#space },
      ...{ positions: this.#positions, rejects: this.rejects, keys: this.#keys },
      epochs: this.epochs,
      canWrite: () => this.#canWrite(),
      trouble: () => this.trouble,
      onStored: (seq: number, given: number) => this.#stored(seq, given),
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

  /** Events that at least one sink has not acknowledged. */
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
    return this.guard.trouble ?? this.#disk.trouble
  }

  /** When the disk failed: finds out whether it works again. Cheap, and never throws. */
  recover(now = false): void {
    if (this.#closed || this.guard.isUnsound) return
    const write = () => this.#recordAcked()
    this.#disk.recover({ write, isEmpty: this.count === 0, now })
  }

  /** Tries it first where the disk had failed. */
  #canWrite(): boolean {
    this.recover()
    return this.guard.trouble === undefined
  }

  #recordAcked(): void {
    this.#db.transaction(() => {
      for (const [sink, seq] of this.#positions.sinks) this.#statements.setAcked.run(sink, seq)
      this.#statements.dropTo.run(this.#positions.ackedByAll)
      // SQLite writes nothing where nothing changes.
      for (const probe of this.#statements.probe) probe.run()
    })()
    this.#committed()
  }

  #committed(): void {
    this.guard.committed(this.#positions.last, this.#positions.delivered)
  }

  /** Everything up to this seq was acknowledged by a sink. */
  acked(sink: string): number {
    return this.#positions.acked(sink)
  }

  /** Events that a sink has not acknowledged. */
  lag(sink: string): number {
    return this.#positions.countAfter(this.acked(sink))
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
  #stored(seq: number, given: number): void {
    const { last } = this.#positions
    this.epochs.recorded(last + 1, given)
    this.#options.onCommit?.(seq - last)
    this.#positions.stored(seq)
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
    try {
      return readBatch(this.#statements, this.epochs, this.#positions, { from, limit, maxBytes })
    } catch (error) {
      if (this.guard.isDamage(error)) return []
      throw error
    }
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
  ack(sink: string, seq: number, refused: readonly RefusedEvent[] = []): void {
    const before = this.acked(sink)
    this.#positions.check(sink, seq, refused)
    const settled = this.#positions.settle(seq)
    this.#positions.setAcked(sink, settled)
    try {
      this.#writeAck(sink, settled, refused)
    } catch (error) {
      if (!this.guard.isUnsound && isDiskError(error) && refused.length === 0) return
      // Refusals must not be forgotten: these events stay, and are refused again.
      this.#positions.setAcked(sink, before)
      throw error
    }
    this.#committed()
    if (this.count === 0) this.#disk.attempt(() => this.#space.shrink())
    this.recover(this.count === 0)
  }

  #writeAck(sink: string, seq: number, refused: readonly RefusedEvent[]): void {
    const [gone, last] = [this.#positions.ackedByAll, this.#positions.last]
    const rotate = this.#keys.areDue(gone)
    const since = clock.nowMs()
    let aside: RejectCount | undefined
    const transaction = this.#db.transaction(() => {
      aside = this.rejects.put(sink, refused)
      this.#statements.setAcked.run(sink, seq)
      this.#statements.dropTo.run(gone)
      if (rotate) this.#keys.emptyOther(since, last)
    })
    this.#disk.write(transaction)
    this.rejects.changed(sink, 'set_aside', must(aside, 'the transaction counts them'))
    if (rotate) this.#keys.turn(since, last)
  }

  /**
   * Puts a reject back at the end of the spool, to be offered again; see retry.ts for its stamp.
   *
   * @returns false when there is no such reject
   * @throws AppError overloaded when the disk fails; it stays a reject then
   */
  retryReject(id: number): boolean {
    const row = this.rejects.get(id)
    if (!row) return false
    if (this.guard.trouble) throw unwritableError(new Error(this.guard.trouble))
    const { body, isNew } = toRetry(row)
    const [seq, given] = [this.#positions.last + 1, this.epochs.given + Number(isNew)]
    this.rejects.remove('retried', [id, id], () => {
      this.#statements.put.one.run(seq, isNew ? given : null, clock.nowMs(), body)
      if (isNew) this.epochs.record(seq, this.#positions.ackedByAll)
    })
    this.#stored(seq, given)
    return true
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
    this.#closed = true
    this.#carry?.stop()
    this.guard.close()
    this.#db.close()
    this.#lock.close()
  }
}
