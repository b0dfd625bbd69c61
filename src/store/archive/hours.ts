import { must } from '../../core/must.ts'
import type { Micros } from '../../core/time.ts'
import type { Store } from '../connect.ts'
import { type ArchiveKind, archiveKinds, timeColumn } from './columns.ts'

/*
 * Which hours can be archived, and what is known of them. Only below the freeze horizon, where
 * "event" does not change any more; jobs do change there, by late events.
 */

/** One site's closed hour: `from` included, `to` not. */
export type Hour = { site: string; from: Micros; to: Micros }

const op = (operation: string, table: string) => ({ operation, table })

/**
 * The closed hours that have rows, oldest first: those that end at or below the freeze
 * horizon. Steps from hour to hour along the index, so it costs the same whatever an hour holds.
 */
export async function closedHours(store: Store, signal?: AbortSignal): Promise<Micros[]> {
  const found = new Set<Micros>()
  for (const kind of archiveKinds) {
    for (const { hour } of await closedHoursOf(store, kind, signal)) found.add(hour)
  }
  return [...found].sort()
}

function closedHoursOf(store: Store, kind: ArchiveKind, signal: AbortSignal | undefined) {
  return store.ask<{ hour: Micros }[]>(
    op('closedHours', kind),
    (sql) => {
      const time = sql(timeColumn(kind))
      const closed = sql`${time} < (select date_trunc('hour', frozen_before, 'UTC') from horizon)`
      return sql`
        /* archive.closedHours */
        with recursive step (hour) as (
          (select date_trunc('hour', ${time}, 'UTC') from ${sql(kind)}
           where ${closed} order by ${time} limit 1)
          union all
          select (select date_trunc('hour', ${time}, 'UTC') from ${sql(kind)}
                  where ${time} >= step.hour + interval '1 hour' and ${closed}
                  order by ${time} limit 1)
          from step where step.hour is not null)
        select hour from step where hour is not null`
    },
    signal,
  )
}

export type SiteHour = Hour & {
  events: number
  jobs: number
  /** When a job or subjob that ended in the hour last changed; null when none ended in it. */
  changedAt: Micros | null
  /** Seconds since then, by the trusted time. */
  quietS: number | null
  /** The hour ends so far below the horizon that its events wait for its jobs no longer. */
  overdue: boolean
}

/** The sites that have rows in a closed hour. `overdueHours` is how long events wait for jobs. */
export async function sitesOfHour(
  store: Store,
  from: Micros,
  overdueHours: number,
  signal?: AbortSignal,
): Promise<SiteHour[]> {
  const rows = await store.ask<SiteHour[]>(
    op('sitesOfHour', 'event'),
    (sql) => {
      const hour = sql`>= ${from}::timestamptz`
      const end = sql`< ${from}::timestamptz + interval '1 hour'`
      return sql`
        /* archive.sitesOfHour */
        select site_id as site, ${from}::timestamptz as from,
          ${from}::timestamptz + interval '1 hour' as to,
          sum(events)::int8 as events, sum(jobs)::int8 as jobs, max(changed_at) as changed_at,
          extract(epoch from least((select trusted_at from horizon), clock_timestamp()) - max(changed_at))::float8 as quiet_s,
          (select ${from}::timestamptz + make_interval(hours => ${overdueHours + 1}) < frozen_before
           from horizon) as overdue
        from (
          select site_id, count(*) as events, 0 as jobs, null::timestamptz as changed_at
          from event where at ${hour} and at ${end} group by 1
          union all
          select site_id, 0, count(*), max(updated_at)
          from job where ended_at ${hour} and ended_at ${end} group by 1
          union all
          select site_id, 0, count(*), max(updated_at)
          from subjob where ended_at ${hour} and ended_at ${end} group by 1) found
        group by 1 order by 1`
    },
    signal,
  )
  return [...rows]
}

/** The facts in a manifest besides its files. */
export type HourFacts = {
  frozenBefore: Micros
  /** Raw events of the hour are gone already: its manifest cannot claim to have them. */
  eventsDropped: boolean
  /** Events that came too late for the hour. They stay in "event_late" and are not archived. */
  lateEvents: number
}

export async function hourFacts(store: Store, hour: Hour): Promise<HourFacts> {
  const [row] = await store.ask<HourFacts[]>(
    op('hourFacts', 'horizon'),
    (sql) => sql`
      /* archive.hourFacts */
      select frozen_before, ${hour.from}::timestamptz < dropped_before as events_dropped,
        (select count(*) from event_late where at >= ${hour.from} and at < ${hour.to}
           and site_id = ${hour.site}) as late_events
      from horizon`,
  )
  return must(row, 'the horizon has one row')
}
