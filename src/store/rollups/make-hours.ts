import type { Micros } from '../../core/time.ts'
import type { Store } from '../connect.ts'
import type { Sql } from '../driver.ts'
import { failedAttemptsSql, type JobTable, queueSql } from '../job-rows.ts'
import type { Fragment } from '../job-walks.ts'
import { makeSummaries } from './make-summaries.ts'

/*
 * The hours of job_stats_hourly. Invariants:
 *
 * - A transaction that changes what rollups count of a job notes the hours of its start, before and
 *   after (note-hours.ts). Hours are taken and made in one transaction, the notes first: whatever was noted is
 *   committed, so it is seen. What is noted meanwhile stays for the next round.
 * - An hour of which no job was deleted is made anew from its jobs.
 * - Whoever deletes jobs leaves them in job_stats_gone, in the same transaction (a trigger). The first time that
 *   an hour has some it is made anew once more, with them, and frozen: its remaining jobs are written down as
 *   they are counted.
 * - A frozen hour is never made anew: what is there now is compared with what was written down, and the
 *   difference is added. So a job that runs for 100 days still moves from "running" to "succeeded", and the
 *   jobs that were deleted meanwhile stay counted. Its least and greatest duration never shrink.
 * - A job that was deleted and reports again is counted already, and is not counted a second time: archived_job says
 *   that it was deleted. Without an archive nothing does.
 * - Each statement reads jobs, gone ones and what was written down in one snapshot.
 * - Days of changed hours are noted as stale in the same transaction; refresh-levels.ts makes them.
 */

/** Hours of one transaction: each is some thousand jobs. */
const hoursAtATime = 24
/** Notes that are taken at a time: those of some minutes. */
const notesAtATime = 20_000

const op = { operation: 'makeHours', table: 'job_stats_hourly' }

/**
 * Makes some of the hours that are due.
 *
 * @returns how many; 0 when none is due any more
 */
export function makeHours(store: Store): Promise<number> {
  return store.begin(op, async (tx) => {
    const sql = tx as unknown as Sql
    let made = 0
    for (const table of ['job', 'subjob'] as const) {
      const hours = await takeHours(sql, table)
      if (hours.length === 0) continue
      const { thawed, frozen } = await sortOut(sql, table, hours)
      if (thawed.length > 0) await makeAnew(sql, table, thawed)
      if (frozen.length > 0) await addDifferences(sql, table, frozen)
      if (table === 'job') await makeSummaries(sql, hours)
      made += hours.length
    }
    return made
  })
}

export const entityType = (table: JobTable) => (table === 'job' ? 'j' : 's')

/** Takes notes, keeps back the hours that are too many for a transaction, and notes the days of the others. */
async function takeHours(sql: Sql, table: JobTable): Promise<Micros[]> {
  const rows = await sql<{ hour: Micros }[]>`
    /* rollups.take */
    with taken as (
      delete from rollup_due where ctid = any(array(
        select ctid from rollup_due where entity_type = ${entityType(table)} limit ${notesAtATime}))
      returning hours),
    due as (select distinct hour from taken, unnest(hours) hour),
    now as materialized (select hour from due order by hour desc limit ${hoursAtATime}),
    kept as (
      insert into rollup_due
      select ${entityType(table)}, array_agg(hour) from due where hour not in (select hour from now)
      having count(*) > 0),
    stale as (
      insert into rollup_stale
      select distinct 'daily', date_bin('1 day', hour, '2000-01-01T00:00:00Z') from now on conflict do nothing)
    select hour from now`
  return rows.map(({ hour }) => hour)
}

async function sortOut(sql: Sql, table: JobTable, hours: Micros[]) {
  const rows = await sql<{ bucket: Micros }[]>`
    /* rollups.frozen */
    select bucket from job_stats_frozen
    where entity_type = ${entityType(table)} and bucket = any(${hours}::timestamptz[])`
  const known = new Set(rows.map(({ bucket }) => bucket))
  return {
    thawed: hours.filter((hour) => !known.has(hour)),
    frozen: hours.filter((hour) => known.has(hour)),
  }
}

/** The jobs of hours as rollups count them, those included that were deleted and are not counted so yet. */
const jobsOfHours = (sql: Sql, table: JobTable, hours: Micros[]) => sql`
  select hour as bucket, id, false as is_gone, site_id, app_name, status, duration_s, failed, waited_s
  from unnest(${hours}::timestamptz[]) hour, lateral (
    select ${sql(`${table}_id`)} as id, site_id, app_name, status, duration_s,
      ${failedAttemptsSql(sql)} as failed, ${queueSql(sql)} as waited_s
    from ${sql(table)} t where started_at >= hour and started_at < hour + interval '1 hour'
      and not exists (select from archived_job a where a.kind = ${table} and a.id = ${sql(`t.${table}_id`)} and a.deleted)) jobs
  union all
  select bucket, id, true, site_id, app_name, status, duration_s, failed, waited_s
  from job_stats_gone where entity_type = ${entityType(table)} and bucket = any(${hours}::timestamptz[])`

/** What was gone when the jobs were read is counted now. */
const emptyGone = (sql: Sql, table: JobTable) => sql`
  delete from job_stats_gone g using jobs
  where jobs.is_gone and g.entity_type = ${entityType(table)} and g.bucket = jobs.bucket and g.id = jobs.id`

export const statsColumns =
  'bucket, entity_type, site_id, app_name, status, n, timed, sum_s, min_s, max_s, histogram, failed, waits'

async function makeAnew(sql: Sql, table: JobTable, hours: Micros[]): Promise<void> {
  const kind = entityType(table)
  await sql`
    /* rollups.makeAnew */
    with jobs as materialized (${jobsOfHours(sql, table, hours)}),
    freezing as (select distinct bucket from jobs where is_gone),
    frozen as (
      insert into job_stats_frozen select ${kind}, bucket from freezing on conflict do nothing),
    written as (
      insert into job_stats_counted
      select ${kind}, bucket, id, site_id, app_name, status, duration_s, failed, waited_s from jobs
      where not is_gone and bucket in (select bucket from freezing)),
    emptied as (${emptyGone(sql, table)}),
    made as materialized (
      select bucket, site_id, app_name, status, count(*) as n, count(duration_s) as timed,
        coalesce(sum(duration_s), 0) as sum_s, min(duration_s) as min_s, max(duration_s) as max_s,
        histogram_of(array_agg(histogram_bin(duration_s)) filter (where duration_s is not null)) as histogram,
        sum(failed) as failed,
        histogram_of(array_agg(histogram_bin(waited_s)) filter (where waited_s is not null)) as waits
      from jobs group by 1, 2, 3, 4),
    cleared as (
      delete from job_stats_hourly s
      where s.entity_type = ${kind} and s.bucket = any(${hours}::timestamptz[]) and not exists (
        select from made m where m.bucket = s.bucket and m.site_id = s.site_id and m.app_name = s.app_name
          and m.status = s.status))
    insert into job_stats_hourly (${sql.unsafe(statsColumns)})
    select bucket, ${kind}, site_id, app_name, status, n, timed, sum_s, min_s, max_s, histogram, failed, waits
    from made
    on conflict (bucket, entity_type, site_id, app_name, status) do update set
      n = excluded.n, timed = excluded.timed, sum_s = excluded.sum_s, min_s = excluded.min_s,
      max_s = excluded.max_s, histogram = excluded.histogram, failed = excluded.failed, waits = excluded.waits`
}

/** Every value of a job that rollups count, to compare two rows. */
const isSame = (sql: Sql, a: string, b: string): Fragment =>
  sql.unsafe(
    ['bucket', 'id', 'site_id', 'app_name', 'status', 'duration_s', 'failed', 'waited_s']
      .map((name) => `${a}.${name} is not distinct from ${b}.${name}`)
      .join(' and '),
  ) as unknown as Fragment

async function addDifferences(sql: Sql, table: JobTable, hours: Micros[]): Promise<void> {
  const kind = entityType(table)
  const ofHours = sql`entity_type = ${kind} and bucket = any(${hours}::timestamptz[])`
  await sql`
    /* rollups.differ */
    with jobs as materialized (${jobsOfHours(sql, table, hours)}),
    before as materialized (select * from job_stats_counted where ${ofHours}),
    emptied as (${emptyGone(sql, table)}),
    forgotten as (
      delete from job_stats_counted c where ${ofHours} and not exists (
        select from jobs where not jobs.is_gone and jobs.bucket = c.bucket and jobs.id = c.id)),
    written as (
      insert into job_stats_counted
      select ${kind}, bucket, id, site_id, app_name, status, duration_s, failed, waited_s from jobs where not is_gone
      on conflict (entity_type, bucket, id) do update set
        site_id = excluded.site_id, app_name = excluded.app_name, status = excluded.status,
        duration_s = excluded.duration_s, failed = excluded.failed, waited_s = excluded.waited_s),
    differences as materialized (
      select 1 as sign, bucket, site_id, app_name, status, duration_s, failed, waited_s from jobs
      where not exists (select from before where ${isSame(sql, 'before', 'jobs')})
      union all
      select -1, bucket, site_id, app_name, status, duration_s, failed, waited_s from before
      where not exists (select from jobs where ${isSame(sql, 'before', 'jobs')})),
    added as (${groupsOfDifferences(sql)})
    insert into job_stats_hourly as s (${sql.unsafe(statsColumns)})
    select bucket, ${kind}, site_id, app_name, status, n, timed, sum_s, min_s, max_s, histogram, failed, waits
    from added
    on conflict (bucket, entity_type, site_id, app_name, status) do update set
      n = s.n + excluded.n, timed = s.timed + excluded.timed, sum_s = s.sum_s + excluded.sum_s,
      min_s = least(s.min_s, excluded.min_s), max_s = greatest(s.max_s, excluded.max_s),
      histogram = histogram_merge(array[s.histogram, excluded.histogram]),
      failed = s.failed + excluded.failed, waits = histogram_merge(array[s.waits, excluded.waits])`
  await sql`/* rollups.clear */ delete from job_stats_hourly where n = 0 and ${ofHours}`
}

const groupsOfDifferences = (sql: Sql) => {
  const bins = (column: string) => sql`
    histogram_merge(array_agg(histogram_bin(${sql(column)}) || ':' || sign) filter (where ${sql(column)} is not null))`
  return sql`
    select bucket, site_id, app_name, status, sum(sign) as n,
      coalesce(sum(sign) filter (where duration_s is not null), 0) as timed,
      coalesce(sum(sign * duration_s), 0) as sum_s, min(duration_s) filter (where sign > 0) as min_s,
      max(duration_s) filter (where sign > 0) as max_s, ${bins('duration_s')} as histogram,
      sum(sign * failed) as failed, ${bins('waited_s')} as waits
    from differences group by 1, 2, 3, 4`
}
