import { must } from '../core/must.ts'
import { fromMs, type Micros, toMs } from '../core/time.ts'
import type { ArchivedFile } from './archive/files.ts'
import type { Store } from './connect.ts'
import { dropEventsBefore, type Partition, partitionsBefore } from './horizon.ts'

/*
 * The raw events that are old enough to drop, and the reasons not to, as far as the database knows
 * them; the archive checks its files. Everything asked here lies below the freeze horizon, so no
 * answer can change before the drop.
 */

export type Range = Pick<Partition, 'startsAt' | 'endsAt'>

/**
 * The days (UTC) with raw events that end before retention and below the freeze horizon; oldest first. The archive's unit
 * is a day, so the hours of one go together.
 */
export async function expiredDays(store: Store, hours: number): Promise<Range[]> {
  const days = new Map<string, Range>()
  const until = await expiry(store, hours)
  for (const { startsAt } of await partitionsBefore(store, startOfDay(until))) {
    const from = startOfDay(startsAt)
    days.set(from, { startsAt: from, endsAt: fromMs(toMs(from) + 24 * 3_600_000) })
  }
  return [...days.values()]
}

const startOfDay = (time: Micros): Micros => `${time.slice(0, 10)}T00:00:00.000000Z`

/** The time below which raw events are past retention, and frozen. */
async function expiry(store: Store, hours: number): Promise<Micros> {
  const [row] = await store.ask<{ until: Micros }[]>(
    { operation: 'expired', table: 'horizon' },
    (sql) => sql`
      /* retention.until */
      select least(frozen_before, trusted_at - make_interval(secs => ${hours * 3600})) as until
      from horizon`,
  )
  return must(row, 'the horizon is one row').until
}

/**
 * The reason why a range is still in use: an event in it was stored less than `hours` ago, or belongs
 * to a running job. A job that was silent for as long counts as lost and does not hold up the drop.
 */
export async function inUse(
  store: Store,
  { startsAt, endsAt }: Range,
  hours: number,
): Promise<string | undefined> {
  const [row] = await store.ask<{ storedAt: Micros | null; running: string | null }[]>(
    { operation: 'inUse', table: 'event' },
    (sql) => {
      // By our own time: a sidecar whose clock runs ahead must not hold up retention for years.
      const since = sql`(select trusted_at - make_interval(secs => ${hours * 3600}) from horizon)`
      const running = (table: 'job' | 'subjob') => sql`
        select r.${sql(`${table}_id`)} as id from ${sql(table)} r
        where r.status in ('running', 'queued') and r.updated_at > ${since}
          and exists (select from event e where e.entity_id = r.${sql(`${table}_id`)}
            and e.at >= ${startsAt} and e.at < ${endsAt})`
      return sql`
        /* retention.inUse */
        select
          (select max(stored_at) from event where at >= ${startsAt} and at < ${endsAt}
             having max(stored_at) > ${since}) as stored_at,
          (select id from (${running('job')} union all ${running('subjob')}) r limit 1) as running`
    },
  )
  const { storedAt, running } = must(row, 'a select without a table answers one row')
  if (storedAt) return `some of the events were taken in at ${storedAt}`
  return running ? `${running} has not ended` : undefined
}

/**
 * Without an archive: drops raw events by age alone, except those of running jobs. Late events go below
 * what was dropped already: there a repeat is recognized by the number of its source. An event without
 * a source counts again when it is sent again.
 *
 * @throws AppError overloaded, when a lock was not free in time: the next round continues
 */
export async function dropUnarchived(
  store: Store,
  hours: number,
  signal: AbortSignal,
): Promise<string[]> {
  const dropped: string[] = []
  for (const partition of await partitionsBefore(store, await expiry(store, hours))) {
    signal.throwIfAborted()
    if ((await inUse(store, partition, hours)) !== undefined) break
    dropped.push(...(await dropEventsBefore(store, partition.endsAt)))
  }
  await store.ask(
    { operation: 'dropLate', table: 'event_late' },
    (sql) => sql`
      /* retention.dropLate */
      delete from event_late
      where at < (select dropped_before from horizon) and restored_until is null
        and stored_at < (select trusted_at - make_interval(secs => ${hours * 3600}) from horizon)`,
    signal,
  )
  return dropped
}

/** The first site of a day of which the archive does not have exactly the events on record. */
export async function unmatchedSite(store: Store, { startsAt, endsAt }: Range) {
  const [row] = await store.ask<{ site: string; events: number; archived: number }[]>(
    { operation: 'unmatchedSite', table: 'event' },
    (sql) => sql`
      /* retention.unmatched */
      with hot as (
        select site_id, count(*) as n from event
        where at >= ${startsAt} and at < ${endsAt} group by 1),
      -- Of a day that earlier versions archived and dropped by the hour, the hours that are still there. What a crash kept
      -- from being dropped after the horizon said so is there too.
      files as (
        select site_id, sum(rows)::int8 as n from archive_file f
        where kind = 'event' and starts_at >= ${startsAt} and starts_at < ${endsAt}
          and (ends_at > (select dropped_before from horizon) or exists (select from event e
            where e.site_id = f.site_id and e.at >= f.starts_at and e.at < f.ends_at)) group by 1),
      -- Events that came late were never in "event".
      late as (
        select distinct on (site_id) site_id, late_events as n from archive_manifest
        where day = (${startsAt}::timestamptz at time zone 'UTC')::date order by site_id, number desc),
      archived as (
        select site_id, files.n - coalesce(late.n, 0) as n from files left join late using (site_id))
      select site_id as site, coalesce(hot.n, 0)::int8 as events,
        coalesce(archived.n, 0)::int8 as archived
      from hot full join archived using (site_id)
      where coalesce(hot.n, 0) <> coalesce(archived.n, 0) order by site_id limit 1`,
  )
  return row
}

export type NotedFile = ArchivedFile & { site: string }

/** The files of raw events of a day that are on record. */
export async function notedEventFiles(
  store: Store,
  { startsAt, endsAt }: Range,
): Promise<NotedFile[]> {
  const rows = await store.ask<NotedFile[]>(
    { operation: 'notedEventFiles', table: 'archive_file' },
    (sql) => sql`
      /* retention.files */
      select kind, site_id as site, path, rows, bytes, sha256, at_min, at_max
      from archive_file
      where kind = 'event' and starts_at >= ${startsAt} and starts_at < ${endsAt} order by path`,
  )
  return [...rows]
}
