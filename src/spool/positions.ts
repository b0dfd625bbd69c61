import type { Refused } from '../core/delivery.ts'
import { ensure, must } from '../core/must.ts'
import type { SinkRow } from './statements.ts'

/**
 * Events that come in are numbered from 1. Those that are carried over from a damaged database come before
 * them, and how many there are is known only once it is read: they are numbered upward from far below.
 */
export const firstCarried = -(10 ** 12) + 1

/** The backlog of a sink, or its live lane: new events, while the backlog waits. */
export type LaneName = 'backlog' | 'live'

/**
 * Which numbers there are, and where each sink is.
 *
 * Between the last event that was carried over and number 1 are numbers that no event has. While events
 * are still being carried over nothing after them is handed out, for it would overtake them; then the
 * numbers continue at 1. No sink rests between the two.
 */
export class Positions {
  readonly #rows: Map<string, SinkRow>
  #last: number
  /** The last event that was carried over; 0 where none was. */
  #carried = 0
  #isCarrying = false
  #left = 0

  /** @param last number of the last event that came in */
  constructor(rows: Map<string, SinkRow>, last: number) {
    this.#rows = rows
    this.#last = last
  }

  /** Number of the last event that came in; 0 before the first. */
  get last(): number {
    return this.#last
  }

  /** Number of the last event that may be handed out. */
  get lastOut(): number {
    return this.#isCarrying ? this.#carried : this.#last
  }

  /** Number of the last event that was carried over; 0 where none was. */
  get lastCarried(): number {
    return this.#carried
  }

  /** Up to here every sink has dealt with the events, configured or not. */
  get ackedByAll(): number {
    return this.least(() => true)
  }

  /** Up to here all of some sinks have; the last number when there are none of them. */
  least(isOne: (row: SinkRow) => boolean): number {
    const acked = this.rows.filter(isOne).map((row) => row.acked)
    return acked.length > 0 ? Math.min(...acked) : this.#last
  }

  /** True when the database has no event that some sink is owed; more may have to be carried over into it. */
  get isEmpty(): boolean {
    return this.countAfter(this.ackedByAll) === this.#left
  }

  /** How many events that came in are delivered; below 0 by those that were carried over and are not. */
  get delivered(): number {
    return this.#last + this.#left - this.countAfter(this.ackedByAll)
  }

  /** Of every sink, also of those that are not configured. */
  get rows(): SinkRow[] {
    return [...this.#rows.values()]
  }

  row(sink: string): SinkRow {
    const row = this.#rows.get(sink)
    if (row === undefined) throw new Error(`no sink is called ${sink}`)
    return row
  }

  /** Everything up to this number is dealt with by a sink, in one of its lanes. */
  acked(sink: string, lane: LaneName = 'backlog'): number {
    const { acked, live_acked } = this.row(sink)
    return lane === 'live' ? must(live_acked, `${sink} has a live lane`) : acked
  }

  /** Number of the last event that one of its lanes may be offered. */
  end(sink: string, lane: LaneName): number {
    const { live_from } = this.row(sink)
    return lane === 'live' ? this.lastOut : Math.min(live_from ?? Infinity, this.lastOut)
  }

  /** Events that a sink is owed. */
  lag(sink: string): number {
    return this.countAfter(this.row(sink).acked) - liveCount(this.row(sink))
  }

  /** Events that came in since a sink began. */
  accepted(sink: string): number {
    return this.countAfter(this.row(sink).first_seq - 1)
  }

  /** Events after a number, those that are still to be carried over among them. */
  countAfter(seq: number): number {
    return this.#last - seq + (seq < 0 ? this.#carried + this.#left : 0)
  }

  /** The number that follows: nothing may be missing in between. */
  next(seq: number): number {
    return this.settle(seq) + 1
  }

  /** Where a sink is that has dealt with everything up to a number. */
  settle(seq: number): number {
    return !this.#isCarrying && seq >= this.#carried && seq < 0 ? 0 : seq
  }

  /** Changes a row, or takes it away. */
  set(sink: string, row: SinkRow | undefined): void {
    if (row) this.#rows.set(sink, row)
    else this.#rows.delete(sink)
  }

  /** An event came in. */
  stored(last: number): void {
    this.#last = last
  }

  /**
   * Events were carried over, up to a number.
   *
   * @param left how many are still to be carried over, as far as that is known; 0 when it is done
   */
  carried(last: number, left: number): void {
    this.#carried = last
    this.#isCarrying = left > 0
    this.#left = left
    for (const row of this.#rows.values()) row.acked = this.settle(row.acked)
  }

  /**
   * What may be acknowledged: nothing twice, and nothing that the sink was never offered.
   *
   * @throws ContractError
   */
  check(sink: string, lane: LaneName, seq: number, refused: readonly Refused[]): void {
    const [before, last] = [this.acked(sink, lane), this.end(sink, lane)]
    const known = Number.isSafeInteger(seq) && seq >= before && seq <= last
    ensure(known, `${sink} acknowledges ${seq}, not one of ${before} to ${last}`)
    const covered = refused.every((one) => one.seq > before && one.seq <= seq)
    ensure(covered, `${sink} refuses events outside of ${before + 1} to ${seq}`)
  }
}

/** Events that a sink dealt with in its live lane. */
export const liveCount = ({ live_from, live_acked }: SinkRow) =>
  live_from === null ? 0 : must(live_acked, 'a live lane has a position') - live_from

/** Where a sink is once its backlog has reached its live lane: the two are one. */
export function joinLanes(row: SinkRow): SinkRow {
  if (row.live_from === null || row.acked < row.live_from) return row
  const acked = Math.max(row.acked, must(row.live_acked, 'a live lane has a position'))
  return { ...row, acked, live_from: null, live_acked: null }
}
