import type { Refused } from '../core/delivery.ts'
import { ensure } from '../core/must.ts'

/**
 * Events that come in are numbered from 1. Those that are carried over from a damaged database come before
 * them, and how many there are is known only once it is read: they are numbered upward from far below.
 */
export const firstCarried = -(10 ** 12) + 1

/**
 * Which numbers there are, and where each sink is.
 *
 * Between the last event that was carried over and number 1 are numbers that no event has. While events
 * are still being carried over nothing after them is handed out, for it would overtake them; then the
 * numbers continue at 1. No sink rests between the two.
 */
export class Positions {
  readonly #acked: Map<string, number>
  #last: number
  /** The last event that was carried over; 0 where none was. */
  #carried = 0
  #isCarrying = false
  #left = 0

  /** @param last number of the last event that came in */
  constructor(acked: Map<string, number>, last: number) {
    this.#acked = acked
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

  /** Up to here every sink has acknowledged. */
  get ackedByAll(): number {
    return Math.min(...this.#acked.values())
  }

  /** How many events that came in are delivered; below 0 by those that were carried over and are not. */
  get delivered(): number {
    return this.#last + this.#left - this.countAfter(this.ackedByAll)
  }

  get sinks(): Iterable<[sink: string, acked: number]> {
    return this.#acked
  }

  /** Everything up to this number was acknowledged by a sink. */
  acked(sink: string): number {
    const acked = this.#acked.get(sink)
    if (acked === undefined) throw new Error(`no sink is called ${sink}`)
    return acked
  }

  /** Events after a number, those that are still to be carried over among them. */
  countAfter(seq: number): number {
    return this.#last - seq - (seq < 0 ? -this.#carried : 0) + this.#left
  }

  /** The number that follows: nothing may be missing in between. */
  next(seq: number): number {
    return this.settle(seq) + 1
  }

  /** Where a sink is that has acknowledged up to a number. */
  settle(seq: number): number {
    return !this.#isCarrying && seq >= this.#carried && seq < 0 ? 0 : seq
  }

  setAcked(sink: string, seq: number): void {
    this.#acked.set(sink, seq)
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
    for (const [sink, seq] of this.#acked) this.#acked.set(sink, this.settle(seq))
  }

  /**
   * What may be acknowledged: nothing twice, and nothing that the sink was never offered.
   *
   * @throws ContractError
   */
  check(sink: string, seq: number, refused: readonly Refused[]): void {
    const [before, last] = [this.acked(sink), this.lastOut]
    const known = Number.isSafeInteger(seq) && seq >= before && seq <= last
    ensure(known, `${sink} acknowledges ${seq}, not one of ${before} to ${last}`)
    const covered = refused.every((one) => one.seq > before && one.seq <= seq)
    ensure(covered, `${sink} refuses events outside of ${before + 1} to ${seq}`)
  }
}
