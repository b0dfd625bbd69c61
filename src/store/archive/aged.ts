import { must } from '../../core/must.ts'
import type { Micros } from '../../core/time.ts'
import type { Store } from '../connect.ts'
import type { ArchiveKind } from './columns.ts'
import type { Day } from './days.ts'

/* Archived days that are past the years for which they are kept, as the database has them on record. */

/** How many years a kind is kept; null: forever. Without a site it is for all that have no rule of their own. */
export type KeepRule = { site: string | null; kind: ArchiveKind; years: number | null }

/** One kind of an archived day that is past its years. */
export type AgedKind = {
  site: string
  from: Micros
  kind: ArchiveKind
  years: number
  files: number
  bytes: number
  rows: number
}

const op = (operation: string, table: string) => ({ operation, table })

/**
 * The kinds of archived days whose end lies more than their years back, by the trusted time; the oldest day first.
 *
 * @param site the only one to look at; all unless set
 */
export async function agedKinds(
  store: Store,
  rules: readonly KeepRule[],
  site?: string,
): Promise<AgedKind[]> {
  const rows = await store.ask<AgedKind[]>(
    op('agedKinds', 'archive_file'),
    (sql) => sql`
      /* archive.aged */
      with rule as (
        select * from jsonb_to_recordset(${JSON.stringify(rules)}::text::jsonb)
          as r (site text, kind text, years int)),
      now as (select least(trusted_at, clock_timestamp()) at time zone 'UTC' as at from horizon),
      days as (
        select site_id, kind, date_trunc('day', starts_at at time zone 'UTC') as day, count(*)::int as files,
          sum(bytes)::int8 as bytes, sum(rows)::int8 as rows
        from archive_file where ${site === undefined ? sql`true` : sql`site_id = ${site}`}
          and starts_at < (select at - make_interval(years => (select min(years) from rule)) from now) at time zone 'UTC'
        group by 1, 2, 3)
      select d.site_id as site, d.day at time zone 'UTC' as "from", d.kind, r.years, d.files, d.bytes, d.rows
      from days d cross join now
      cross join lateral (
        select years from rule where rule.kind = d.kind and (rule.site = d.site_id or rule.site is null)
        order by rule.site nulls last limit 1) r
      where d.day + interval '1 day' + make_interval(years => r.years) <= now.at
      order by d.day, d.site_id, d.kind`,
  )
  return [...rows]
}

/**
 * The reason why a day cannot leave the archive yet: the hot store still has something that lies there, which would only
 * be archived again.
 */
export async function findHot(store: Store, { site, from, to }: Day): Promise<string | undefined> {
  const [row] = await store.ask<{ events: boolean; late: boolean; jobs: boolean }[]>(
    op('findHot', 'event'),
    (sql) => {
      const jobs = (kind: 'job' | 'subjob') => sql`
        exists (select from archived_job a join ${sql(kind)} t on t.${sql(`${kind}_id`)} = a.id
          where a.kind = ${kind} and a.site_id = ${site} and a.day = (${from}::timestamptz at time zone 'UTC')::date)`
      const within = sql`at >= ${from} and at < ${to} and site_id = ${site}`
      return sql`
        /* archive.findHot */
        select exists (select from event where ${within}) as events,
          exists (select from event_late where ${within}) as late, ${jobs('job')} or ${jobs('subjob')} as jobs`
    },
  )
  const { events, late, jobs } = must(row, 'a select without a table answers one row')
  if (events) return 'the hot store still has raw events of it'
  if (late) return 'late events wait for the archive'
  return jobs ? 'the hot store still has jobs that lie in it' : undefined
}
