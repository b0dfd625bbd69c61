import type postgres from 'postgres'
import type { Job, JobStatus, Usual } from '../core/job.ts'
import { type Baseline, judgeHealth } from '../core/job-health.ts'
import { ensure } from '../core/must.ts'
import type { Micros } from '../core/time.ts'
import type { Baselines } from './baselines.ts'
import type { Sql } from './driver.ts'

export type JobTable = 'job' | 'subjob'

/**
 * A row of `job` or `subjob`: the values of {@link jobColumnsSql} in their order. A list of values, since
 * for a row with names the driver looks up each name again, which costs as much as the SQL.
 */
export type JobRow = [
  id: string,
  entityType: 'job' | 'subjob',
  parentId: string | null,
  appId: string,
  appName: string,
  appVersion: string,
  siteId: string,
  jobKey: string | null,
  subKey: string | null,
  status: JobStatus,
  startedAt: Micros,
  endedAt: Micros | null,
  durationS: number | null,
  cpuUserS: number | null,
  cpuSystemS: number | null,
  memMaxMb: number | null,
  progress: number | null,
  /** name -> [which event gave it, the value]. */
  metrics: Record<string, [order: string, value: number]> | null,
  errorCount: number,
  lastError: string | null,
  lastEventAt: Micros,
  eventCount: number,
  insertedAt: Micros,
  updatedAt: Micros,
  metadata: Record<string, unknown>,
  attempt: number,
  failedAttempts: number,
  queuedAt: Micros | null,
  queueS: number | null,
  lastQueuedAt: Micros | null,
]

/** How many values a row has. */
export const rowLength: JobRow['length'] = 30

/** The selected columns of a job or subjob; metadata is overlaid here, the latest on top. */
export function jobColumnsSql(sql: Sql, table: JobTable) {
  const overlaid = sql`(coalesce(start_metadata, '{}') || coalesce(progress_metadata, '{}')
      || coalesce(end_metadata, '{}'))`
  return sql`
    ${sql(`${table}_id`)} as id, ${table}::text as entity_type, parent_id, app_id, app_name, app_version,
    site_id, ${table === 'job' ? sql`job_key` : lotSql(sql)} as job_key, sub_key, status, started_at, ended_at, duration_s, cpu_user_s, cpu_system_s,
    mem_max_mb, progress, metrics, error_count, last_error, last_event_at, event_count,
    inserted_at, updated_at,
    case when queue_metadata is null then ${overlaid} else queue_metadata || ${overlaid} end as metadata,
    attempt, ${failedAttemptsSql(sql)} as failed_attempts, queued_at, ${queueSql(sql)} as queue_s,
    last_queued_at`
}

/** The tries of a job that failed, the one it shows included. */
export const failedAttemptsSql = (sql: Sql) => sql`
  ((end_status is not distinct from 'failed')::int + case when attempts is null then 0 else count_failed(attempts) end)`

/** How long it waited for its start, in seconds: toSpans in core. Null until an event tells the start. */
export const queueSql = (sql: Sql) => sql`
  case when queued_at is not null and (given_started_at is not null or started_event_at is not null
      or (ended_at is not null and given_duration_s is not null))
    then greatest(0, extract(epoch from started_at - queued_at)::float8) end`

/** Maximum subjobs above a subjob that its business key may come through. */
export const maxLevels = 8

/**
 * The business key of a subjob, or else of the job above it. A job is found by one probe; above a
 * subjob of a subjob the walk ends after `maxLevels`, also when they form a circle.
 */
export const lotSql = (sql: Sql) => sql`
  coalesce(subjob.job_key,
    (select p.job_key from job p where p.job_id = subjob.parent_id),
    (with recursive up (id, key, level) as (
      select s.parent_id, s.job_key, 1 from subjob s where s.subjob_id = subjob.parent_id
      union all
      select s.parent_id, s.job_key, level + 1 from up join subjob s on s.subjob_id = up.id
      where up.key is null and level < ${maxLevels})
    select coalesce(up.key, p.job_key) from up left join job p on p.job_id = up.id
    order by level desc limit 1))`

/**
 * True for the subjobs of a business key, which is what {@link lotSql} would say: those that have it, and those
 * below its jobs and subjobs that have none of their own. Found from the key downwards, along indexes, so it costs
 * as much as the lot has subjobs: an array and `offset 0`, or the planner may read all subjobs for a small part of them.
 */
export const isOfLotSql = (sql: Sql, key: string) => sql`
  subjob_id = any(array(
    with recursive down (id, level) as (
      select j.job_id, 0 from job j where j.job_key = ${key}
      union all
      select s.subjob_id, 1 from subjob s where s.job_key = ${key}
      union all
      select s.subjob_id, level + 1 from down, lateral (
        select * from subjob where parent_id = down.id and job_key is null offset 0) s
      where level <= ${maxLevels})
    select id from down where level > 0))`

/** Has the rows of {@link jobColumnsSql} come as lists of values. */
export const asJobRows = (question: postgres.PendingQuery<postgres.Row[]>) =>
  question.values() as unknown as postgres.PendingQuery<JobRow[]>

/** The job of a row, with what depends on the time of the question. */
export function jobFromRow(row: JobRow, baselines: Baselines, now: Micros): Job {
  ensure(row.length === rowLength, 'a row has the values of jobColumnsSql')
  // biome-ignore format: one line each would be fifty
  const [
    id, entityType, parentId, appId, appName, appVersion, siteId, jobKey, subKey, status,
    startedAt, endedAt, durationS, cpuUserS, cpuSystemS, memMaxMb, progress, metrics, errorCount,
    lastError, lastEventAt, eventCount, insertedAt, updatedAt, metadata, attempt, failedAttempts,
    queuedAt, queueS, lastQueuedAt,
  ] = row
  const baseline = baselines.of({ entityType, siteId, appName, appVersion, metadata })
  const { stuck, lost, late } = judgeHealth(
    { status, startedAt, lastEventAt, updatedAt, metadata },
    baseline,
    now,
  )
  return {
    id,
    entityType,
    parentId,
    appId,
    appName,
    appVersion,
    siteId,
    jobKey,
    subKey,
    status,
    startedAt,
    endedAt,
    durationS,
    cpuUserS,
    cpuSystemS,
    memMaxMb,
    progress,
    metrics: valuesOf(metrics),
    metadata,
    errorCount,
    lastError,
    lastEventAt,
    eventCount,
    insertedAt,
    updatedAt,
    stuck,
    lost,
    late,
    endBeforeStart: endedAt !== null && endedAt < startedAt,
    attempt,
    failedAttempts,
    queuedAt,
    queueS,
    lastQueuedAt,
    truncated: metadata.truncated === true,
    usual: baseline && usualOf(baseline),
  }
}

const usualOf = ({ runs, p05S, p50S, p95S }: Baseline): Usual => ({ runs, p05S, p50S, p95S })

function valuesOf(slots: JobRow[17]): Record<string, number> {
  if (slots === null) return {}
  return Object.fromEntries(Object.entries(slots).map(([name, [, value]]) => [name, value]))
}
