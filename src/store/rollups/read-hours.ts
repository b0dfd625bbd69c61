import { fromMs, type Micros, toMs } from '../../core/time.ts'
import type { Sql } from '../driver.ts'
import { type Fragment, joined } from '../job-walks.ts'

/*
 * What the jobs of a window say, read from what is made of their hours. Where that is not up to date the jobs
 * themselves are read, in the same statement: so counts are those of the jobs, at any time. Of a window there are
 *
 *   whole hours      from what is made of them
 *   of them, those   whose jobs have changed since they were made (rollup_due): from the jobs
 *   the two ends     that do not fall on a whole hour: from the jobs
 */

export type Window = { from: Micros; to: Micros }

const hourMs = 3_600_000
const floor = (ms: number) => Math.floor(ms / hourMs) * hourMs

/** The start of the hour of a time. */
export const hourOf = (at: Micros): Micros => fromMs(floor(toMs(at)))

/** The hours that lie in a window as a whole, and its ends, which may be empty. */
export function toHours({ from, to }: Window): { whole: Window; ends: Window[] } {
  const [start, end] = [toMs(from), toMs(to)]
  const first = floor(start) === start ? start : floor(start) + hourMs
  const last = Math.max(first, floor(end))
  if (first >= end) return { whole: { from: to, to }, ends: [{ from, to }] }
  const whole = { from: fromMs(first), to: fromMs(last) }
  const ends = [
    { from, to: whole.from },
    { from: whole.to, to },
  ]
  return { whole, ends: ends.filter((one) => one.from < one.to) }
}

/**
 * The hours of the start of jobs that have changed since they were made again: `due (hour)`, for a `with`. Of those that
 * are frozen the jobs tell only a part, so they come as they were made last.
 */
export const dueSql = (sql: Sql) => sql`
  due as materialized (
    select hour from (select distinct unnest(hours) as hour from rollup_due where entity_type = 'j') noted
    where not exists (
      select from job_stats_frozen f where f.entity_type = 'j' and f.bucket = hour))`

/** True for the bucket of a row that is up to date. */
export const isMadeSql = (sql: Sql) => sql`bucket <> all(array(select hour from due))`

/** Jobs of some windows by a time, and of the hours that are due; with columns of `job`. */
export function jobsBesideSql(
  sql: Sql,
  {
    whole,
    ends,
    by,
    columns,
  }: ReturnType<typeof toHours> & { by: 'started_at' | 'ended_at' } & {
    columns: Fragment
  },
): Fragment {
  const within = ({ from, to }: Window) => sql`${sql(by)} >= ${from} and ${sql(by)} < ${to}`
  const parts = ends.map((end) => sql`select ${columns} from job where ${within(end)}`)
  // "offset 0" and "is true": each hour is found by its index, where the planner would rather read all jobs for it.
  const changed = sql`
    select found.* from due, lateral (
      select ${columns} from job
      where started_at >= hour and started_at < hour + interval '1 hour'
        and ${by === 'ended_at' ? sql`(${within(whole)}) is true` : sql`hour >= ${whole.from} and hour < ${whole.to}`} offset 0) found`
  return joined(sql, [...parts, changed], sql` union all `)
}
