import { clock } from '../platform/clock.ts'
import type { Db } from './db.ts'
import type { Statements } from './statements.ts'

/** A row of `gap`, see schema.ts. */
export type GapRow = {
  id: number
  sink: string
  from_seq: number
  to_seq: number
  events: number
  from_ms: number
  to_ms: number
  at_ms: number
  reason: string
}

/** Numbers of events that a sink does without, and how many there are. */
export type NewGap = { sink: string; from: number; to: number; events: number; reason: string }

/**
 * The gaps of all sinks. One that continues the last gap of its sink, for the same reason, makes that one
 * longer: an outage leaves a row, not one for each commit.
 */
export class Gaps {
  readonly #db: Db
  readonly #statements: Statements
  readonly #latest: Map<string, GapRow>
  readonly #waiting = new Map<number, GapRow>()
  #lastId: number

  constructor(db: Db, statements: Statements) {
    this.#db = db
    this.#statements = statements
    const latest = db
      .prepare('select * from gap where id in (select max(id) from gap group by sink)')
      .all() as GapRow[]
    this.#latest = new Map(latest.map((row) => [row.sink, row]))
    this.#lastId = Math.max(0, ...latest.map(({ id }) => id))
  }

  /** The last one of a sink. */
  latest(sink: string): GapRow | undefined {
    return this.#latest.get(sink)
  }

  get isWaiting(): boolean {
    return this.#waiting.size > 0
  }

  /** Takes one for the next commit. Its events are still on disk. */
  add({ sink, from, to, events, reason }: NewGap): void {
    const before = this.#latest.get(sink)
    const [to_ms, at_ms] = [this.#receivedMs(to), clock.nowMs()]
    const isLonger = before?.to_seq === from - 1 && before.reason === reason
    const row = isLonger
      ? { ...before, to_seq: to, to_ms, at_ms, events: before.events + events }
      : {
          ...{ id: ++this.#lastId, sink, from_seq: from, to_seq: to, events },
          ...{ from_ms: this.#receivedMs(from), to_ms, at_ms, reason },
        }
    this.#latest.set(sink, row)
    this.#waiting.set(row.id, row)
  }

  #receivedMs(seq: number): number {
    return (this.#statements.received.get(seq) as number | undefined) ?? clock.nowMs()
  }

  /** Within a transaction; {@link written} once it is committed. */
  write(): void {
    for (const row of this.#waiting.values()) this.#statements.putGap.run(row)
  }

  written(): void {
    this.#waiting.clear()
  }

  /** Within a transaction. */
  forget(sink: string): void {
    this.#db.prepare('delete from gap where sink = ?').run(sink)
    this.#latest.delete(sink)
  }
}
