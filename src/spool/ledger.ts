import { ensure, must } from '../core/must.ts'
import { clock } from '../platform/clock.ts'
import { planRow } from './cursors.ts'
import { isDiskError } from './disk-error.ts'
import type { ClosedPrefix } from './lanes.ts'
import type { LedgerOptions } from './ledger-options.ts'
import type { NamedPlan } from './plans.ts'
import { joinLanes, type LaneName } from './positions.ts'
import type { SinkRow } from './statements.ts'

/*
 * What sinks did with events: kept in memory, and written for all of them together.
 *
 * What always holds
 *   1. Memory is the truth, and the disk lags: rows, rejects, gaps and states are written in the next append's
 *      commit, or in one of their own after 100 ms, or at the stop. All that waits is one commit. A reject that leaves
 *      takes it along: the state of its sink that covers it is never on disk later than that.
 *   2. So a row on disk is never ahead of the rejects and gaps that explain it.
 *   3. Events are deleted by the positions that are written in the same commit, at most 4,000 of them.
 *   4. While the disk is in trouble each change is written when it comes: deliveries make the room. Without a
 *      refusal it is kept in memory when even that fails; with one it is as if nothing had been settled.
 */

/** Deleting a million events at once would hold the event loop for seconds. */
export const deletedPerCommit = 4000
/** How long changes wait for a commit that they can share, in milliseconds. */
const longestWaitMs = 100
/** Until the next slice of events is deleted. */
const nextSliceMs = 10
/** Refused events that wait in memory. */
const mostWaitingBytes = 2 ** 20

/** What else an acknowledgment says. `state`: text of the sink's own, kept with the position. */
export type AckMore = { lane?: LaneName; filtered?: readonly number[]; state?: string }

/** What a sink did with the events up to a number. */
export type Settled = ClosedPrefix & AckMore

export class Ledger {
  readonly #options: LedgerOptions
  readonly #dirty = new Set<string>()
  #forgotten: (() => void)[] = []
  #gone: number
  #timer: NodeJS.Timeout | undefined
  #isClosed = false
  /** What the transaction under way does, once it is durable. */
  #pending: (() => void) | undefined

  constructor(options: LedgerOptions) {
    this.#options = options
    this.#gone = options.gone
    options.rejects.flush = () => this.#flushBeforeLook()
    options.rejects.commit = (also) => this.#commit(also)
    if (this.#hasToDelete) this.#schedule(nextSliceMs)
  }

  /** Up to here no event is left on disk. */
  get gone(): number {
    return this.#gone
  }

  /**
   * Records what a sink did with everything up to a number.
   *
   * @throws ContractError when it was not offered that
   * @throws when the disk fails and something was refused: then nothing was recorded
   */
  settle(sink: string, { upTo, refused, filtered, state, lane = 'backlog' }: Settled): void {
    const { positions, rejects } = this.#options
    positions.check(sink, lane, upTo, refused)
    const before = positions.row(sink)
    const moved = this.#move(before, lane, upTo)
    const count = positions.lag(sink) - this.#lagOf(moved)
    const row = {
      ...joinLanes(moved),
      delivered: before.delivered + count - refused.length - filtered.length,
      filtered: before.filtered + filtered.length,
      rejected: before.rejected + refused.length,
      state: state ?? before.state,
    }
    const takeBack = rejects.add(sink, refused)
    this.#set(row)
    const isUrgent = rejects.waitingBytes > mostWaitingBytes
    if (this.#options.disk.works && !isUrgent) this.#schedule(longestWaitMs)
    else {
      this.#writeNow(refused.length > 0, () => {
        takeBack()
        positions.set(sink, before)
      })
    }
  }

  #move(row: SinkRow, lane: LaneName, upTo: number): SinkRow {
    const seq = this.#options.positions.settle(upTo)
    return lane === 'live' ? { ...row, live_acked: seq } : { ...row, acked: seq }
  }

  #lagOf({ acked, live_from, live_acked }: SinkRow): number {
    return this.#options.positions.countAfter(acked) - ((live_acked ?? 0) - (live_from ?? 0))
  }

  #writeNow(hasRefused: boolean, takeBack: () => void): void {
    try {
      this.flush()
    } catch (error) {
      // What was not refused is kept in memory, so that it is not sent again and again.
      if (hasRefused || !isDiskError(error)) {
        takeBack()
        throw error
      }
      this.#schedule(longestWaitMs)
    }
  }

  /** A sink does without its events up to a number. @param reason in words */
  skip(sink: string, upTo: number, reason: string): void {
    const { positions, gaps } = this.#options
    let row = positions.row(sink)
    while (row.acked < upTo) {
      const to = positions.settle(Math.min(upTo, row.live_from ?? upTo))
      const events = positions.countAfter(row.acked) - positions.countAfter(to)
      gaps.add({ sink, from: positions.next(row.acked), to, events, reason })
      row = joinLanes({ ...row, acked: to, skipped: row.skipped + events })
    }
    this.#set(row)
    this.#schedule(longestWaitMs)
  }

  /**
   * Gives each of the configured sinks a row, as the next start would: a new one begins with the oldest event that
   * some sink is owed, or with the next. All others keep theirs. Written soon when the disk fails.
   */
  configure(plans: readonly NamedPlan[]): void {
    const { positions } = this.#options
    const starts = { oldest: positions.ackedByAll, now: positions.last }
    for (const plan of plans) {
      const before = positions.rows.find(({ name }) => name === plan.name)
      const row = planRow(plan, before, starts)
      if (row.required !== before?.required) this.#set(row)
    }
    this.#flushBeforeLook()
  }

  /** From here on a sink takes new events before its backlog. */
  openLive(sink: string): void {
    const { positions } = this.#options
    const row = positions.row(sink)
    ensure(row.live_from === null, `${sink} has one live lane`)
    this.#set({ ...row, live_from: positions.last, live_acked: positions.last })
    this.#schedule(longestWaitMs)
  }

  /** Gives up all that a sink is owed, its rejects and its gaps. @throws when the disk fails; all is as it was */
  forget(sink: string): void {
    const { positions, rejects, gaps } = this.#options
    const row = positions.row(sink)
    this.flush()
    positions.set(sink, undefined)
    this.#forgotten.push(() => {
      this.#options.statements.dropSink.run(sink)
      gaps.forget(sink)
      const counted = rejects.forget(sink)
      this.#afterCommit(counted)
    })
    try {
      this.flush()
    } catch (error) {
      this.#forgotten = []
      positions.set(sink, row)
      throw error
    }
  }

  #afterCommit(act: () => void): void {
    const before = this.#pending
    this.#pending = () => {
      before?.()
      act()
    }
  }

  #set(row: SinkRow): void {
    this.#options.positions.set(row.name, row)
    this.#dirty.add(row.name)
  }

  /**
   * Within a transaction: writes all that waits; {@link written} once it is committed.
   *
   * @param last number of the last event, those of this transaction among them
   */
  write(last: number): void {
    const { statements, positions, rejects, gaps, keys } = this.#options
    this.#pending = undefined
    for (const forget of this.#forgotten) forget()
    for (const row of positions.rows) if (this.#dirty.has(row.name)) statements.setSink.run(row)
    rejects.write()
    gaps.write()
    const gone = this.#nextGone()
    if (gone > this.#gone) statements.dropTo.run(gone)
    this.#afterCommit(() => {
      this.#gone = gone
    })
    if (keys.areDue) {
      const since = clock.nowMs()
      keys.emptyOther(since, last)
      this.#afterCommit(() => keys.turn(since))
    }
  }

  written(): void {
    const pending = must(this.#pending, 'a commit has written what waited')
    this.#pending = undefined
    this.#forgotten = []
    this.#dirty.clear()
    this.#options.rejects.written()
    this.#options.gaps.written()
    pending()
    clearTimeout(this.#timer)
    this.#timer = undefined
    if (this.#hasToDelete) this.#schedule(nextSliceMs)
  }

  #nextGone(): number {
    const { positions } = this.#options
    const from = positions.settle(this.#gone)
    const to = Math.min(positions.ackedByAll, from + deletedPerCommit)
    return from < 0 && to > positions.lastCarried ? positions.lastCarried : to
  }

  get #hasToDelete(): boolean {
    return this.#nextGone() > this.#gone
  }

  /** Writes all that waits in a commit of its own. @throws when the disk fails; it waits on then */
  flush(): void {
    if (this.#isClosed || !this.#options.isSound() || !this.#isWaiting) return
    this.#commit()
  }

  /** @param also in the same commit; alone where the database is damaged */
  #commit(also?: () => void): void {
    const { db, disk, isSound, onCommit } = this.#options
    if (also && !isSound()) return void disk.write(db.transaction(also))
    disk.write(() => this.transaction(also))
    this.written()
    onCommit()
  }

  get #isWaiting(): boolean {
    const { rejects, gaps } = this.#options
    const isWaiting = this.#dirty.size > 0 || this.#forgotten.length > 0 || gaps.isWaiting
    return isWaiting || rejects.waitingBytes > 0 || this.#hasToDelete
  }

  /** One transaction, whose failures are the caller's; {@link written} after it. */
  transaction(also?: () => void): void {
    this.#options.db.transaction(() => {
      this.write(this.#options.positions.last)
      also?.()
    })()
  }

  #flushBeforeLook(): void {
    try {
      this.flush()
    } catch {
      // What is on disk can be looked at all the same.
    }
  }

  #schedule(ms: number): void {
    if (this.#isClosed) return
    this.#timer ??= setTimeout(() => {
      this.#timer = undefined
      try {
        this.flush()
      } catch {
        // The disk guard has it, and tries again by itself.
      }
    }, ms).unref()
  }

  close(): void {
    this.#flushBeforeLook()
    this.#isClosed = true
    clearTimeout(this.#timer)
  }
}
