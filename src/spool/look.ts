import type { Outgoing } from '../core/delivery.ts'
import type { Spool } from './spool.ts'
import type { SinkRow } from './statements.ts'

/** An event that is still on disk, and the sinks that are owed it. */
export type SpooledEvent = { sent: Outgoing; owed: string[] }

export type Look = {
  /** The number before the first. */
  after: number
  limit: number
  maxBytes: number
  /** Those alone that this sink is owed. */
  sink?: string | undefined
}

/**
 * Events on disk, in the order they came.
 *
 * @returns those that were found, and the number to continue after; null at the end
 */
export function lookAt(
  spool: Spool,
  { after, limit, maxBytes, sink }: Look,
): { events: SpooledEvent[]; next: number | null } {
  const rows = spool.accounts.rows
  const found = spool.look(after, limit, maxBytes)
  const events = found.map((sent) => ({ sent, owed: findOwed(rows, sent.seq) }))
  const last = found.at(-1)?.seq
  const isEnd = last === undefined || last >= spool.lastOut
  return {
    events: events.filter(({ owed }) => sink === undefined || owed.includes(sink)),
    next: isEnd ? null : last,
  }
}

/** Names of the sinks that have not dealt with an event. */
function findOwed(rows: readonly SinkRow[], seq: number): string[] {
  const isOwed = ({ acked, live_from, live_acked }: SinkRow) =>
    seq > acked && !(live_from !== null && seq > live_from && seq <= (live_acked ?? 0))
  return rows.filter(isOwed).map(({ name }) => name)
}
