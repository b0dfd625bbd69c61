import { coverWindow, type Level } from '../../core/cover-window.ts'
import { must } from '../../core/must.ts'
import type { StatsBucket } from '../../core/questions/stats.ts'
import { fromMs, type Micros, toMs } from '../../core/time.ts'
import type { Store } from '../connect.ts'
import type { Sql } from '../driver.ts'
import { failedAttemptsSql, queueSql } from '../job-rows.ts'
import { type Fragment, joined } from '../job-walks.ts'
import { dueSql, hourOf, isMadeSql, jobsBesideSql, toHours, type Window } from './read-hours.ts'

/** The longest level of rollups from which a bucket can be made; none of less than an hour. */
export const topLevels: Partial<Record<StatsBucket, Level>> = {
  hour: 'hourly',
  day: 'daily',
  week: 'weekly',
  month: 'monthly',
}

const hourMs = 3_600_000

/**
 * The rows of rollups that make up a window, with the jobs of its two ends where it does not begin and end on a
 * whole hour: bucket, site_id, app_name, status, n, timed, sum_s, min_s, max_s, histogram, failed, waits. An
 * hour of which jobs were deleted is counted as a whole, for its jobs cannot be told apart any more.
 *
 * @returns what makes the SQL
 */
export async function rollupRowsSql(
  store: Store,
  { from, to }: { from: Micros; to: Micros },
  top: Level,
  signal: AbortSignal,
): Promise<(sql: Sql) => Fragment> {
  const [first, last] = [hourOf(from), hourOf(to)]
  const frozen = await store.ask<{ bucket: Micros }[]>(
    { operation: 'frozenHours', table: 'job_stats_frozen' },
    (sql) => sql`
      /* rollups.frozenEnds */
      select bucket from job_stats_frozen where entity_type = 'j' and bucket in (${first}, ${last})`,
    signal,
  )
  const isFrozen = (hour: Micros) => frozen.some(({ bucket }) => bucket === hour)
  const start = isFrozen(first) ? first : from
  const end = isFrozen(last) && last !== to ? fromMs(toMs(last) + hourMs) : to
  const stretches = coverWindow(toMs(start), toMs(end), top)
  return (sql) =>
    joined(
      sql,
      stretches.map(({ of, fromMs: startMs, toMs: endMs }) => {
        const window = { from: fromMs(startMs), to: fromMs(endMs) }
        return of === 'job' ? jobsSql(sql, window) : levelSql(sql, of, window)
      }),
      sql` union all `,
    )
}

const levelSql = (sql: Sql, level: Level, { from, to }: Window) => sql`
  select bucket, site_id, app_name, status, n, timed, sum_s, min_s, max_s, histogram, failed, waits
  from ${sql(`job_stats_${level}`)} where entity_type = 'j' and bucket >= ${from} and bucket < ${to}`

const jobsSql = (sql: Sql, { from, to }: Window) => sql`
  select ${asRowSql(sql, 'started_at')} from job where started_at >= ${from} and started_at < ${to}`

/** A job as a row of rollups. */
const asRowSql = (sql: Sql, at: 'started_at' | 'ended_at') => sql`
  ${sql(at)} as bucket, site_id, app_name, status, 1 as n, (duration_s is not null)::int as timed,
  duration_s as sum_s, duration_s as min_s, duration_s as max_s,
  histogram_bin(duration_s) || ':1' as histogram, ${failedAttemptsSql(sql)} as failed,
  histogram_bin(${queueSql(sql)}) || ':1' as waits`

/** The time by which jobs are counted. */
export type CountedBy = 'started' | 'ended'

const hourly = {
  started: { table: 'job_stats_hourly', at: 'bucket', by: 'started_at' },
  ended: { table: 'job_ends_hourly', at: 'ended', by: 'ended_at' },
} as const

/**
 * The same of hours, with the jobs of those that have changed meanwhile: its counts are those of the jobs. For a window
 * with more jobs than can be looked at one by one.
 */
export function hourRowsSql(sql: Sql, window: Window, time: CountedBy): Fragment {
  const { table, at, by } = hourly[time]
  const hours = toHours(window)
  const { from, to } = hours.whole
  return sql`
    with ${dueSql(sql)}
    select ${sql(at)} as bucket, site_id, app_name, status, n, timed, sum_s, min_s, max_s, histogram, failed, waits
    from ${sql(table)} where ${sql(at)} >= ${from} and ${sql(at)} < ${to} and ${isMadeSql(sql)}
      ${time === 'started' ? sql`and entity_type = 'j'` : sql``}
    union all ${jobsBesideSql(sql, { ...hours, by, columns: asRowSql(sql, by) })}`
}

/** About how many jobs a window has, and whether some of its hours lost jobs. @param filter `and ...`, of each row */
export async function weighWindow(
  store: Store,
  { window, time, filter }: { window: Window; time: CountedBy; filter: (sql: Sql) => Fragment },
  signal: AbortSignal,
): Promise<{ jobs: number; isFrozen: boolean }> {
  const { table, at } = hourly[time]
  const { from, to } = { from: hourOf(window.from), to: window.to }
  const [row] = await store.ask<{ jobs: number; isFrozen: boolean }[]>(
    { operation: 'weighWindow', table },
    (sql) => sql`
      /* rollups.weigh */
      select coalesce(sum(n), 0)::int8 as jobs, exists (
        select from job_stats_frozen where entity_type = 'j' and bucket >= ${from} and bucket < ${to}) as is_frozen
      from ${sql(table)} where ${sql(at)} >= ${from} and ${sql(at)} < ${to}
        ${time === 'started' ? sql`and entity_type = 'j'` : sql``} ${filter(sql)}`,
    signal,
  )
  return must(row, 'a sum is one row')
}
