import type { Event } from '../core/event.ts'
import { hashIdentity, tickBit } from '../core/event-hash.ts'
import type { Micros } from '../core/time.ts'
import type { Store, TransactionSql } from './connect.ts'
import { lockHorizonAlone } from './horizon.ts'

/*
 * A corrected clock gives `at` the time of receipt, which differs from one copy of an event to the
 * next; and a copy that came through a sidecar whose clock is right is not corrected at all. The first
 * copy decides for all:
 *
 * - A decision is made in a short transaction of its own, which holds the horizon's lock alone. So it
 *   sees every copy that was stored before, and every copy that is stored after sees it.
 * - It stays, also when its event is not stored after all: the event comes again, and finds it.
 * - It is kept as long as a job remembers its events.
 */

/** True for an event whose time was put right on its way, which another copy of it may not need. */
export const isCorrected = ({ event }: Event): boolean => !!event.reported_at

/** When it happened by the clock of its sender. */
const reportedAt = ({ event }: Event): Micros => event.reported_at ?? event.at

/** Longest wait for the lock, in milliseconds: those that hold it meanwhile are commits of events. */
const lockWaitMs = 5000

/**
 * Decides which time corrected events have. A copy that was stored as it came is the first; after its
 * raw row is gone the job remembers it. Not by `exists`, for which PostgreSQL may read the whole table.
 *
 * @throws AppError overloaded, when the lock was not free in time
 */
export function decideCorrections(store: Store, corrected: readonly Event[]): Promise<void> {
  return store.begin({ operation: 'decideCorrections', table: 'clock_correction' }, async (tx) => {
    await lockHorizonAlone(tx, lockWaitMs)
    const remembers = (table: 'job' | 'subjob') => tx`
      w.entity_type = ${table} and (select true from ${tx(table)} j where
        j.${tx(`${table}_id`)} = w.entity_id
        and j.event_hashes && array[w.hash, w.hash + ${tickBit}::int8])`
    const stored = (table: 'event' | 'event_late') => tx`
      (select true from ${tx(table)} e
        where e.at = w.reported_at and e.idempotency_key = w.idempotency_key limit 1) is not null`
    await tx`
      /* corrections.decide */
      with wanted as materialized (
        select distinct on (1, 2) * from json_to_recordset(${toJson(corrected)}::text::json)
          as w (idempotency_key uuid, reported_at timestamptz, at timestamptz, entity_type text,
            entity_id uuid, hash int8) order by 1, 2, 3)
      insert into clock_correction (idempotency_key, reported_at, at)
      select idempotency_key, reported_at, case
        when ${stored('event')} or ${stored('event_late')}
          or (${remembers('job')}) or (${remembers('subjob')})
        then reported_at else at end
      from wanted w order by 1, 2
      on conflict (idempotency_key, reported_at) do nothing`
  })
}

const toJson = (events: readonly Event[]): string =>
  JSON.stringify(
    events.map((event) => ({
      idempotency_key: event.idempotency_key,
      reported_at: reportedAt(event),
      at: event.event.at,
      entity_type: event.entity.type,
      entity_id: event.entity.id,
      hash: hashIdentity(reportedAt(event), event.idempotency_key),
    })),
  )

/** Gives each copy of a corrected event the time that was decided. @returns the events in their order */
export async function settleClocks(
  tx: TransactionSql,
  events: readonly Event[],
): Promise<readonly Event[]> {
  const wanted = events.map((event) => ({
    idempotency_key: event.idempotency_key,
    reported_at: reportedAt(event),
  }))
  const rows = await tx<{ idempotencyKey: string; reportedAt: Micros; at: Micros }[]>`
    /* corrections.settle */
    select idempotency_key, reported_at, c.at
    from json_to_recordset(${JSON.stringify(wanted)}::text::json)
      as w (idempotency_key uuid, reported_at timestamptz)
    join clock_correction c using (idempotency_key, reported_at)`
  const decided = new Map(rows.map((row) => [row.idempotencyKey + row.reportedAt, row.at]))
  return events.map((event) => {
    const at = decided.get(event.idempotency_key + reportedAt(event))
    if (at === undefined) return event
    return { ...event, event: { ...event.event, at, reported_at: reportedAt(event) } }
  })
}
