import type { Micros } from '../../core/time.ts'
import type { Store } from '../connect.ts'

/* Which events of a job the hot store does not have any more. */

/** When there may be events of a job, and how many there are. */
export type EventSpan = { site: string; first: Micros; last: Micros; count: number }

/** What the hot store lacks of them. */
export type LostEvents = {
  /** Days whose files may have some, in order. */
  days: string[]
  /** Raw events before this time were dropped; null while none were. */
  droppedBefore: Micros | null
  /** How many the hot store has. */
  hot: number
  /** The time of the first that came late and is still there. */
  hotFrom: Micros | null
}

const op = (operation: string, table: string) => ({ operation, table })

/**
 * The span of the events of a job that the hot store has. Of several attempts each is in it, as far as they are kept.
 *
 * @throws as {@link Store.ask}
 */
export async function findEventSpan(
  store: Store,
  id: string,
  signal: AbortSignal,
): Promise<EventSpan | undefined> {
  const [row] = await store.ask<EventSpan[]>(
    op('findEventSpan', 'job'),
    (sql) => {
      const of = (table: 'job' | 'subjob') => sql`
        select site_id as site, event_count as count, last_event_at as last,
          least(first_event_at, (select min((value ->> 'first_event_at')::timestamptz)
            from jsonb_each(attempts))) as first
        from ${sql(table)} where ${sql(`${table}_id`)} = ${id}`
      return sql`
        /* events.span */
        ${of('job')} union all ${of('subjob')} limit 1`
    },
    signal,
  )
  return row
}

/**
 * The days of a span of which the archive has events that the hot store lacks: those that were dropped, and those that came
 * late and have left "event_late".
 *
 * @throws as {@link Store.ask}
 */
export async function findLostEvents(
  store: Store,
  id: string,
  { site, first, last }: EventSpan,
  signal: AbortSignal,
): Promise<LostEvents> {
  const [row] = await store.ask<(Omit<LostEvents, 'days'> & { days: string[] | null })[]>(
    op('findLostEvents', 'archive_manifest'),
    (sql) => sql`
      /* events.lost */
      with h as (select dropped_before from horizon),
      newest as (
        select distinct on (day) day, late_events from archive_manifest
        where site_id = ${site} and day >= (${first}::timestamptz at time zone 'UTC')::date
          and day <= (${last}::timestamptz at time zone 'UTC')::date
        order by day, number desc)
      select nullif(h.dropped_before, '-infinity') as dropped_before,
        (select array_agg(day::text order by day) from newest n
          where (day::timestamp at time zone 'UTC' < h.dropped_before or late_events > 0)
            and exists (select from archive_file f where f.kind = 'event' and f.site_id = ${site}
              and f.starts_at >= n.day::timestamp at time zone 'UTC'
              and f.starts_at < (n.day + 1)::timestamp at time zone 'UTC')) as days,
        case when ${first} < h.dropped_before or exists (select from newest where late_events > 0)
          then (select count(*) from event where entity_id = ${id} and at between ${first} and ${last})
            + (select count(*) from event_late where entity_id = ${id}) else 0 end::int8 as hot,
        (select min(at) from event_late where entity_id = ${id}) as hot_from
      from h`,
    signal,
  )
  const { droppedBefore = null, days, hot = 0, hotFrom = null } = row ?? {}
  return { droppedBefore, days: days ?? [], hot, hotFrom }
}
