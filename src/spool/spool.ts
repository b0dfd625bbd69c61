import type { Admitted, Verdict } from '../core/admission.ts'
import type { Outgoing } from '../core/delivery.ts'
import { must } from '../core/must.ts'
import { clock } from '../platform/clock.ts'
import { AppendQueue } from './append-queue.ts'
import { checkAck } from './cursors.ts'
import type { Db } from './db.ts'
import { isDiskError, unwritableError } from './disk-error.ts'
import { DiskGuard } from './disk-guard.ts'
import { Epochs } from './epochs.ts'
import { EventWriter, sizeOf } from './event-writer.ts'
import { Guard, type GuardOptions } from './guard.ts'
import type { RefusedEvent } from './lanes.ts'
import { type OpenReport, openSpool } from './open.ts'
import { readBatch } from './peek.ts'
import { type RejectCount, Rejects, type RejectsOptions } from './rejects.ts'
import { toRetry } from './retry.ts'
import { SeenKeys } from './seen-keys.ts'
import { Space, type SpaceOptions } from './space.ts'
import type { Meta, Statements } from './statements.ts'

export type SpoolOptions = SpaceOptions &
  RejectsOptions &
  Pick<GuardOptions, 'onDamage'> & {
    /** Names of all sinks; an event stays until each has acknowledged it. */
    sinks: readonly string[]
    onCommit?: (events: number) => void
    /** Told when the disk begins to fail, and with undefined when it works again. */
    onTrouble?: (trouble: string | undefined) => void
  }

/** See schema.ts for what always holds. One process, one spool, one thread. */
export class Spool {
  /** `resetSinks`: those whose recorded position was after the last event; see cursors.ts. */
  readonly report: OpenReport & { resetSinks: readonly string[] }
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
  readonly #epochs: Epochs
  readonly #acked: Map<string, number>
  readonly #statements: Statements
  readonly #queue = new AppendQueue((groups) => this.#write(groups))
  #lastSeq: number
  readonly #keys: SeenKeys
  readonly #writer: EventWriter
  #closed = false
  readonly #wakers = new Set<() => void>()

  constructor(options: SpoolOptions) {
    const opened = openSpool(options.dir, options.sinks)
    const { db, lock, sourceId, statements, cursors, lastSeq, report } = opened
    this.#db = db
    this.#lock = lock
    this.#options = options
    this.dir = options.dir
    this.#epochs = new Epochs(db, sourceId)
    this.source = { id: sourceId, epoch: this.#epochs.epoch }
    this.#statements = statements
    const meta = db.prepare('select * from meta').get() as Meta
    this.#acked = cursors
    this.#lastSeq = lastSeq
    this.#keys = new SeenKeys(db, this.#statements, meta, options.maxBytes, lastSeq)
    this.#writer = new EventWriter(this.#statements, this.#keys)
    this.#space = new Space(db, options)
    const onError = (error: unknown) => this.guard.isDamage(error)
    this.#disk = new DiskGuard(db, this.#space, { ...options, onError })
    this.rejects = new Rejects(db, this.#disk, options)
    const record = { spool: meta.id, last: lastSeq, delivered: this.#ackedByAll }
    const more = { report, record, onChecked: () => this.#space.releaseLog() }
    this.guard = new Guard({ ...options, ...more })
    if (this.guard.checking) this.#space.holdLog()
    this.report = { ...report, recovered: this.count, resetSinks: opened.resetSinks }
  }

  /** Events that at least one sink has not acknowledged. */
  get count(): number {
    return this.#lastSeq - this.#ackedByAll
  }

  get #ackedByAll(): number {
    return Math.min(...this.#acked.values())
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

  #recordAcked(): void {
    this.#db.transaction(() => {
      for (const [sink, seq] of this.#acked) this.#statements.setAcked.run(sink, seq)
      this.#statements.dropTo.run(this.#ackedByAll)
      // SQLite writes nothing where nothing changes.
      for (const probe of this.#statements.probe) probe.run()
    })()
    this.guard.committed(this.#lastSeq, this.#ackedByAll)
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
    const from = sink === undefined ? this.#ackedByAll : this.acked(sink)
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
    return this.#queue.add(items)
  }

  #write(groups: readonly Group[]): Verdict[][] {
    this.recover()
    if (this.guard.trouble) return this.#refuse(groups)
    const room = this.#disk.works ? this.#space.room() : 'none'
    if (room === 'none') return this.#refuse(groups)
    try {
      if (this.#space.fits(sizeOf(groups))) return this.#commit(groups, room)
      if (groups.length > 1) return groups.flatMap((group) => this.#write([group]))
      return this.#refuse(groups, 'the disk of the spool has too little space for this many events')
    } catch (error) {
      this.#disk.failed(error)
      if (this.guard.isUnsound || isDiskError(error)) return this.#refuse(groups)
      throw unwritableError(error)
    }
  }

  #refuse(groups: readonly Group[], why = this.trouble ?? 'the spool is full'): Verdict[][] {
    const full = { later: why }
    return groups.map((items) => items.map(() => full))
  }

  /** One transaction for all that wait. Counters move only once it is durable. */
  #commit(groups: readonly Group[], room: 'all' | 'ends'): Verdict[][] {
    const began = performance.now()
    this.#statements.begin.run()
    const from = { seq: this.#lastSeq, given: this.#epochs.given }
    const { verdicts, seq, given } = this.#writer.write(groups, room, from)
    if (given > from.given) this.#epochs.record(from.seq + 1, this.#ackedByAll)
    this.#statements.commit.run()
    if (seq > from.seq) this.#stored(seq, given)
    this.#keys.added(seq - from.seq)
    this.#disk.attempt(() => this.#space.checkLog())
    return this.guard.troubleSince(began) ? this.#refuse(groups) : verdicts
  }

  /** Right after the commit, before anything may throw: a number that is given must not be given again. */
  #stored(seq: number, given: number): void {
    this.#epochs.recorded(this.#lastSeq + 1, given)
    this.#options.onCommit?.(seq - this.#lastSeq)
    this.#lastSeq = seq
    this.guard.committed(seq, this.#ackedByAll)
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
      return readBatch(this.#statements, this.#epochs, { from, limit, maxBytes })
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
    checkAck({ sink, before, last: this.#lastSeq }, seq, refused)
    this.#acked.set(sink, seq)
    try {
      this.#writeAck(sink, seq, refused)
    } catch (error) {
      if (!this.guard.isUnsound && isDiskError(error) && refused.length === 0) return
      // Refusals must not be forgotten: these events stay, and are refused again.
      this.#acked.set(sink, before)
      throw error
    }
    this.guard.committed(this.#lastSeq, this.#ackedByAll)
    if (this.count === 0) this.#disk.attempt(() => this.#space.shrink())
    this.recover(this.count === 0)
  }

  #writeAck(sink: string, seq: number, refused: readonly RefusedEvent[]): void {
    const gone = this.#ackedByAll
    const rotate = this.#keys.areDue(gone)
    const since = clock.nowMs()
    let aside: RejectCount | undefined
    const transaction = this.#db.transaction(() => {
      aside = this.rejects.put(sink, refused)
      this.#statements.setAcked.run(sink, seq)
      this.#statements.dropTo.run(gone)
      if (rotate) this.#keys.emptyOther(since, this.#lastSeq)
    })
    this.#disk.write(transaction)
    this.rejects.changed(sink, 'set_aside', must(aside, 'the transaction counts them'))
    if (rotate) this.#keys.turn(since, this.#lastSeq)
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
    const [seq, given] = [this.#lastSeq + 1, this.#epochs.given + Number(isNew)]
    this.rejects.remove('retried', [id, id], () => {
      this.#statements.put.one.run(seq, isNew ? given : null, clock.nowMs(), body)
      if (isNew) this.#epochs.record(seq, this.#ackedByAll)
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
    this.#queue.flush()
    // What could not be recorded would be delivered again.
    this.recover(true)
    this.#closed = true
    this.guard.close()
    this.#db.close()
    this.#lock.close()
  }
}

type Group = readonly Admitted[]
