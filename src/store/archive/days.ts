import { must } from '../../core/must.ts'
import { fromMs, type Micros, toMs } from '../../core/time.ts'
import type { Store } from '../connect.ts'
import { isChangedSql, type JobKind, shelvedAtSql, withArchivedSql } from './jobs-sql.ts'

/*
 * Which days of which sites have something to archive. Only below the freeze horizon, where "event" does not
 * change any more; late events and changed jobs still come there.
 */

/** A site's day (UTC): `from` included, `to` not. */
export type Day = { site: string; from: Micros; to: Micros }

const dayMs = 24 * 3_600_000

/** The day of a site that starts at `from`. */
export const toDay = (site: string, from: Micros): Day => ({
  site,
  from,
  to: fromMs(toMs(from) + dayMs),
})

/** `2026-03-01` */
export const toDate = ({ from }: Pick<Day, 'from'>): string => from.slice(0, 10)

/** A day with something to archive. Seconds are by the trusted time. */
export type DueDay = Day & {
  /** A manifest of the day is on record: what waits becomes a further part. */
  archived: boolean
  /** Rows of `event`; 0 when the day is archived. */
  events: number
  /** Rows of `event_late`, and how long the oldest of them has waited. */
  late: number
  lateS: number
  /** Jobs and subjobs that the archive lacks as they are, how long the oldest change has waited, and the age of the latest. */
  changed: number
  changedS: number
  quietS: number
  /** Jobs that have left the day, which the archive does not say there yet. */
  moves: number
  /** From the end of the day to the freeze horizon. */
  frozenS: number
}

const op = (operation: string, table: string) => ({ operation, table })

/** All closed days (they end at or below the freeze horizon) with something to archive, the oldest first. */
export async function dueDays(store: Store, signal?: AbortSignal): Promise<DueDay[]> {
  const rows = await store.ask<DueDay[]>(
    op('dueDays', 'event'),
    (sql) => sql`
      /* archive.dueDays */
      with recursive now as (
        select date_trunc('day', frozen_before, 'UTC') as closed, frozen_before,
          least(trusted_at, clock_timestamp()) as trusted from horizon),
      step (day) as (
        (select date_trunc('day', at, 'UTC') from event where at < (select closed from now) order by at limit 1)
        union all
        select (select date_trunc('day', at, 'UTC') from event
          where at >= step.day + interval '1 day' and at < (select closed from now) order by at limit 1)
        from step where step.day is not null),
      found (site, day, events, late, late_at, changed, changed_at, latest_at, moves) as (
        select e.site_id, s.day, count(*), 0, null::timestamptz, 0, null::timestamptz, null::timestamptz, 0
        from step s join event e on e.at >= s.day and e.at < s.day + interval '1 day'
        group by 1, 2
        union all
        select site_id, date_trunc('day', at, 'UTC'), 0, count(*), min(stored_at), 0, null, null, 0
        from event_late where at < (select closed from now) and restored_until is null group by 1, 2
        union all ${sql.unsafe(changedSql('job'))}
        union all ${sql.unsafe(changedSql('subjob'))}
        union all
        select site_id, day::timestamptz, 0, 0, null, 0, null, null, count(*) from archive_move group by 1, 2),
      days as (
        select site, day, sum(late)::int8 as late, min(late_at) as late_at, sum(changed)::int8 as changed,
          min(changed_at) as changed_at, max(latest_at) as latest_at, sum(moves)::int8 as moves,
          sum(events)::int8 as events,
          exists (select from archive_manifest m where m.site_id = site and m.day = (f.day at time zone 'UTC')::date) as archived
        from found f group by 1, 2)
      select site, day as "from", day + interval '1 day' as "to", archived,
        case when archived then 0 else events end::int8 as events, late,
        coalesce(extract(epoch from trusted - late_at), 0)::float8 as late_s, changed,
        coalesce(extract(epoch from trusted - changed_at), 0)::float8 as changed_s,
        coalesce(extract(epoch from trusted - latest_at), 'infinity')::float8 as quiet_s, moves,
        extract(epoch from frozen_before - (day + interval '1 day'))::float8 as frozen_s
      from days cross join now
      where late + changed + moves > 0 or (events > 0 and not archived)
      order by day, site`,
    signal,
  )
  return [...rows]
}

/** Days that jobs have left, which the archive does not say there yet. */
export async function leftDays(store: Store): Promise<Day[]> {
  const rows = await store.ask<{ site: string; date: string }[]>(
    op('leftDays', 'archive_move'),
    (sql) => sql`
      /* archive.leftDays */
      select distinct site_id as site, day::text as date from archive_move order by 2, 1`,
  )
  return rows.map(({ site, date }) => toDay(site, `${date}T00:00:00.000000Z`))
}

const changedSql = (kind: JobKind) => `
  select site_id, date_trunc('day', shelved_at, 'UTC'), 0, 0, null, count(*), min(updated_at), max(updated_at), 0
  from (select t.site_id, t.updated_at, ${shelvedAtSql} as shelved_at
    from ${withArchivedSql(kind)} where ${isChangedSql}) changed
  where shelved_at < (select closed from now) group by 1, 2`

/** The facts in a manifest besides its files. */
export type DayFacts = {
  frozenBefore: Micros
  /** Raw events of the day are gone already: without files of its hours its first manifest cannot have them. */
  eventsDropped: boolean
}

export async function dayFacts(store: Store, day: Day): Promise<DayFacts> {
  const [row] = await store.ask<DayFacts[]>(
    op('dayFacts', 'horizon'),
    (sql) => sql`
      /* archive.dayFacts */
      select frozen_before, ${day.from}::timestamptz < dropped_before as events_dropped from horizon`,
  )
  return must(row, 'the horizon has one row')
}

/** How many raw events of a day the hot store has, from where none were dropped on. */
export async function countEvents(store: Store, { site, from, to }: Day): Promise<number> {
  const [row] = await store.ask<{ n: number }[]>(
    op('countEvents', 'event'),
    (sql) => sql`
      /* archive.countEvents */
      select count(*)::int8 as n from event where at >= ${from} and at < ${to} and site_id = ${site}`,
  )
  return must(row, 'count(*) gives one row').n
}
