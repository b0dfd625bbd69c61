import { Outgoing } from '../core/delivery.ts'
import type { Epochs } from './epochs.ts'
import type { Row } from './statements.ts'

/** Sinks that are up to date are served from here. */
const maxBytes = 2 * 2 ** 20

/** The newest events as they are sent: made once, for all sinks that are up to date. */
export class Tail {
  readonly #epochs: Epochs
  #rows: Row[] = []
  #bytes = 0
  #made = new Map<number, Outgoing>()

  constructor(epochs: Epochs) {
    this.#epochs = epochs
  }

  /** Of a commit, once it is durable: rows in their order, without a gap after those before. */
  add(rows: readonly Row[]): void {
    this.#rows.push(...rows)
    this.#bytes += rows.reduce((sum, { body }) => sum + body.length, 0)
    let dropped = 0
    while (this.#bytes > maxBytes && dropped < this.#rows.length) {
      const row = this.#rows[dropped++] as Row
      this.#bytes -= row.body.length
      this.#made.delete(row.seq)
    }
    // Not for every commit: it moves all that stay.
    if (dropped > 0) this.#rows.splice(0, dropped)
  }

  /**
   * The events after a number, up to so many and so many bytes; undefined when it does not have the first
   * of them.
   */
  read(after: number, limit: number, bytes: number): Outgoing[] | undefined {
    const first = this.#rows[0]?.seq
    if (first === undefined || after < first - 1) return undefined
    const from = after + 1 - first
    const batch: Outgoing[] = []
    let sum = 0
    for (const row of this.#rows.slice(from, from + limit)) {
      sum += row.body.length
      if (batch.length > 0 && sum > bytes) break
      batch.push(this.#make(row))
    }
    return batch
  }

  #make(row: Row): Outgoing {
    const made = this.#made.get(row.seq) ?? toOutgoing(this.#epochs, row)
    this.#made.set(row.seq, made)
    return made
  }
}

/** An event on disk as it is sent, with its stamp. */
export const toOutgoing = (epochs: Epochs, row: Row): Outgoing =>
  new Outgoing(row.seq, epochs.stamp(row), { lane: row.lane, eventClass: row.class })
