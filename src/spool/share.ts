import type { Ledger } from './ledger.ts'
import type { Positions } from './positions.ts'
import type { Rejects } from './rejects.ts'
import type { Sizes } from './sizes.ts'
import type { Space } from './space.ts'
import type { SinkRow } from './statements.ts'

/** Above this share of the cap sinks that are not required do without their oldest events. */
export const skipShare = 0.7
/** So much more is skipped, so that it is not done for every commit. */
const marginShare = 0.01

export type ShareOptions = {
  positions: Positions
  ledger: Ledger
  sizes: Sizes
  rejects: Rejects
  space: Space
  maxBytes: number
}

const isRequired = (row: SinkRow) => row.required === 1

/**
 * Whose bytes are on disk. The door looks at those that required sinks are owed, and at their rejects;
 * what only other sinks are owed never refuses an event, because it is skipped above 70 % of the cap.
 */
export class Share {
  readonly #options: ShareOptions

  constructor(options: ShareOptions) {
    this.#options = options
  }

  /** Bytes on disk that required sinks hold. */
  get required(): number {
    const { positions, rejects } = this.#options
    const of = new Set(positions.rows.filter(isRequired).map(({ name }) => name))
    const held = this.#part(positions.least(isRequired))
    return held + rejects.bytes((sink) => of.has(sink))
  }

  /** Of the bytes on disk that are no rejects, those of the events after a number. */
  #part(seq: number): number {
    const { sizes, ledger } = this.#options
    const all = sizes.after(ledger.gone)
    return all === 0 ? 0 : (this.#events * sizes.after(seq)) / all
  }

  /** Bytes on disk that are no rejects. */
  get #events(): number {
    const { space, rejects } = this.#options
    return Math.max(0, space.bytes - rejects.bytes())
  }

  /** Lets sinks that are not required do without their oldest events, as far as that makes room. */
  makeRoom(): void {
    const { positions, ledger, sizes, maxBytes, space } = this.#options
    if (space.bytes <= maxBytes * skipShare) return
    const optional = positions.rows.filter((row) => !isRequired(row))
    const limit = Math.min(positions.least(isRequired), positions.lastOut)
    const furthest = Math.min(...optional.map(({ acked }) => acked))
    // What all have acknowledged is deleted soon: it does not count.
    const over = this.#part(positions.ackedByAll) - maxBytes * skipShare
    if (over <= 0 || furthest >= limit) return
    const factor = sizes.after(ledger.gone) / Math.max(1, this.#events)
    const bytes = (over + maxBytes * marginShare) * factor
    const upTo = positions.settle(sizes.findAfter(furthest, bytes, limit))
    for (const { name, acked } of optional) {
      if (acked < upTo) ledger.skip(name, upTo, reason)
    }
  }
}

const reason = 'the spool was above 70 % of SPOOL_MAX_BYTES'
