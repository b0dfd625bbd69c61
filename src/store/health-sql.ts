import type postgres from 'postgres'
import { healthLimits } from '../core/job-health.ts'
import type { Micros } from '../core/time.ts'
import type { Sql } from './driver.ts'
import type { JobTable } from './job-rows.ts'

type Fragment = postgres.PendingQuery<postgres.Row[]>

/** The judgments of `core/job-health.ts` in SQL, for all rows of a table and not only those of a page. */
export type HealthSql = {
  /**
   * Follows `from job` or `from subjob`: gives each row its baseline, as `b`, or nulls. It adds no name
   * that a column of the table has.
   */
  join: Fragment
  /** Booleans, never null. Rows that ended are never lost and never stuck. */
  lost: Fragment
  stuck: Fragment
  late: Fragment
  /** False where nothing says how long a run may be silent, or last: there is no history yet. */
  lostIsKnown: Fragment
  stuckIsKnown: Fragment
}

/**
 * The one other place that knows the limits of `judgeHealth`; test/store/health-sql.test.ts compares
 * the two on random rows. Columns are qualified by the table, so a question may join others.
 *
 * @param now the time of the question, as core is given it: never the database's `now()`
 */
export function healthSql(sql: Sql, table: JobTable, now: Micros): HealthSql {
  const { leastStuckS, leastLostS, factor } = healthLimits
  const t = sql(table)
  // greatest() ignores nulls, and without a baseline there is no usual time.
  const usualSilence = sql`case when b.runs is not null then greatest(${leastLostS}::float8, ${factor}::float8 * b.gap_s) end`
  const usualRun = sql`case when b.runs is not null then greatest(${leastStuckS}::float8, ${factor}::float8 * b.p99_s) end`
  const longestSilence = sql`coalesce(${t}.heartbeat_s, ${usualSilence})`
  const longestRun = sql`least(${usualRun}, ${t}.max_run_s)`
  const secondsSince = (time: Fragment) =>
    sql`extract(epoch from ${now}::timestamptz - ${time})::float8`
  const silence = secondsSince(sql`greatest(${t}.last_event_at, ${t}.updated_at)`)
  const run = secondsSince(sql`${t}.started_at`)
  const isRunning = sql`${t}.status = 'running'`
  const isSilent = sql`coalesce(${silence} > ${longestSilence}, false)`
  return {
    join: sql`
      left join lateral (
        select runs, gap_s, p99_s from baseline k
        where k.entity_type = ${table === 'job' ? 'j' : 's'}::"char" and k.site_id = ${t}.site_id
          and k.app_name = ${t}.app_name and k.app_version = ${t}.app_version
          and k.recipe = coalesce(${t}.recipe, '')) b on true`,
    lost: sql`(${isRunning} and ${isSilent})`,
    stuck: sql`(${isRunning} and not ${isSilent} and coalesce(${run} > ${longestRun}, false))`,
    late: sql`coalesce(case when ${t}.status = 'queued' then ${now}::timestamptz else ${t}.started_at end > ${t}.due_at, false)`,
    lostIsKnown: sql`(${longestSilence} is not null)`,
    stuckIsKnown: sql`(${longestRun} is not null)`,
  }
}
