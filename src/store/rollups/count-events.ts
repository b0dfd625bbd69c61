import type { Event } from '../../core/event.ts'
import type { Micros } from '../../core/time.ts'
import type { Store } from '../connect.ts'
import type { Sql } from '../driver.ts'

/*
 * Counts of raw events by the hour of their time: event_stats_hourly. Raw events are dropped after days and may come
 * weeks late, so no hour can be made again from them. Each transaction that stores new events adds its counts to
 * event_stats_due, which has no key, so that writers never wait for each other; maintenance adds them to the hours, in
 * the transaction that deletes them: each is added once.
 */

/** The counts of some events, as a row each. */
export type EventCount = {
  bucket: Micros
  entity_type: 'j' | 's'
  site_id: string
  app_name: string
  kind: string
  n: number
}

/** Counts new events. A batch has few hours, apps and kinds. */
export function countEvents(events: readonly Event[]): EventCount[] {
  const counts = new Map<string, EventCount>()
  for (const { event, entity, site_id, app } of events) {
    // The hour of a time is its first thirteen characters. Between texts stands one that none of them has.
    const hour = event.at.slice(0, 13)
    const key = [hour, entity.type, event.kind, site_id, app.name].join('\u0000')
    const count = counts.get(key)
    if (count) {
      count.n++
      continue
    }
    counts.set(key, {
      bucket: `${hour}:00:00.000000Z`,
      entity_type: entity.type === 'job' ? 'j' : 's',
      site_id,
      app_name: app.name,
      kind: event.kind,
      n: 1,
    })
  }
  return [...counts.values()]
}

/** Notes counts in one row, as a part of a statement: `noted as (...)`. */
export const notingEventsSql = (counts: string) =>
  `noted as (insert into event_stats_due (counts) values (${counts}::text::json))`

/** Notes of one transaction: those of some minutes. */
const notesAtATime = 2000

/**
 * Adds some of the counts that are noted to their hours.
 *
 * @returns how many transactions had noted them; 0 when none is left
 */
export function addEventCounts(store: Store): Promise<number> {
  return store.begin({ operation: 'addEventCounts', table: 'event_stats_hourly' }, async (tx) => {
    const [row] = await (tx as unknown as Sql)<{ n: number }[]>`
      /* rollups.addEvents */
      with taken as (
        delete from event_stats_due where ctid = any(array(select ctid from event_stats_due limit ${notesAtATime}))
        returning counts),
      sums as materialized (
        select bucket, entity_type, site_id, app_name, kind, sum(n)::int8 as n
        from taken, json_to_recordset(counts)
          as c (bucket timestamptz, entity_type "char", site_id text, app_name text, kind text, n int8)
        group by 1, 2, 3, 4, 5),
      stale as (
        insert into rollup_stale (stats, level, bucket)
        select distinct 'event_stats', 'daily', date_bin('1 day', bucket, '2000-01-01T00:00:00Z') from sums
        on conflict do nothing),
      added as (
        insert into event_stats_hourly as s select * from sums
        on conflict (bucket, entity_type, site_id, app_name, kind) do update set n = s.n + excluded.n)
      select count(*)::int as n from taken`
    return row?.n ?? 0
  })
}
