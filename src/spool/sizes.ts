import type { Db } from './db.ts'
import type { Positions } from './positions.ts'
import type { Statements } from './statements.ts'

/** Of an event, where nothing is known. */
const usualBytes = 500

export type SizesOptions = {
  db: Db
  statements: Statements
  positions: Positions
  /** Bytes of all that is on disk, and up to where no event is left. */
  used: () => number
  gone: () => number
}

/**
 * How many bytes of events lie between two places, without reading them: each event bears the sum of all
 * up to it. Events that were carried over, and those of a spool from before that, have none; all of
 * them come before those that have, and count as the average of what is on disk.
 */
export class Sizes {
  readonly #options: SizesOptions
  /** Number of the last event that came in without a sum; 0 where there is none. */
  readonly #lastUnknown: number
  #end: number
  /** What was asked last, by place: sinks move, but not between two commits. */
  readonly #known = new Map<number, number>()

  constructor(options: SizesOptions) {
    this.#options = options
    const { last } = options.positions
    const sum = options.statements.bytesTo
    this.#lastUnknown = findLastUnknown(options.db, last, (seq) => sum.get(seq) as number)
    this.#end = this.#lastUnknown === last ? 0 : ((sum.get(last) as number | undefined) ?? 0)
  }

  /** Sum of the bodies up to the last event. */
  get end(): number {
    return this.#end
  }

  /** Events came in. */
  stored(end: number): void {
    this.#end = end
  }

  /** Bytes of the events after a number. */
  after(seq: number): number {
    const { positions } = this.#options
    if (seq >= positions.last) return 0
    const isKnown = seq >= this.#lastUnknown
    return this.#end - (isKnown ? this.#upTo(seq) : 0) + (isKnown ? 0 : this.#estimate(seq))
  }

  #estimate(seq: number): number {
    const { positions, used, gone } = this.#options
    const unknown = positions.countAfter(seq) - (positions.last - this.#lastUnknown)
    const all = positions.countAfter(gone())
    return unknown * (all > 0 ? Math.max(1, used() / all) : usualBytes)
  }

  #upTo(seq: number): number {
    const known = this.#known.get(seq)
    if (known !== undefined) return known
    const { bytesTo, bytesBefore } = this.#options.statements
    const found = (bytesTo.get(seq) ?? bytesBefore.get(seq) ?? this.#end) as number
    if (this.#known.size >= 1000) this.#known.clear()
    this.#known.set(seq, found)
    return found
  }

  /** The first place after a number up to which at least so many bytes lie, or the limit. */
  findAfter(seq: number, bytes: number, limit: number): number {
    const wanted = this.after(seq) - bytes
    let [low, high] = [seq, limit]
    while (high - low > 1) {
      const middle = Math.floor((low + high) / 2)
      if (this.after(middle) <= wanted) high = middle
      else low = middle
    }
    return high
  }
}

/** Those without a sum come first: found by halving. */
function findLastUnknown(db: Db, last: number, sumAt: (seq: number) => number): number {
  const first = db.prepare('select min(seq) from event where seq > 0').pluck().get()
  if (first === null) return 0
  let [low, high] = [(first as number) - 1, last + 1]
  while (high - low > 1) {
    const middle = Math.floor((low + high) / 2)
    if (sumAt(middle) === 0) low = middle
    else high = middle
  }
  return low === (first as number) - 1 ? 0 : low
}
