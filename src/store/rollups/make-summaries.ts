import { factNames, searchedFacts } from '../../core/facts.ts'
import type { Micros } from '../../core/time.ts'
import type { Sql } from '../driver.ts'
import { errorClassSql } from '../error-class.ts'
import { failedAttemptsSql, queueSql } from '../job-rows.ts'

/*
 * Summaries of the jobs that are there (migration 0021), by the hour of their start: their ends, their facets, and
 * the texts that a search looks through. Invariants:
 *
 * - An hour that is not in rollup_due has exactly what its jobs say. A question reads the summaries of the other hours
 *   and the jobs of those that are due, both in one statement: so its answer is as if it had read all jobs.
 * - Hours are made whole, in the transaction that takes their notes.
 * - Deleting a job notes its hour, so what is deleted leaves them. No hour is frozen.
 */

/** Texts of a row of job_texts_hourly: it is read as a whole. */
const textsOfRow = 4000

/** Each fact of a job with its value, as `causeFacts` of core names them. */
const facets = [
  `('all', null, '')`,
  `('site', null, site_id)`,
  `('app', null, app_name)`,
  `('version', app_name, app_version)`,
  ...factNames.map((name) => `('${name}', ${name === 'chamber' ? 'tool' : 'null'}, ${name})`),
  `('error', null, error)`,
].join(', ')

/** Makes the summaries of hours again. */
export async function makeSummaries(sql: Sql, hours: Micros[]): Promise<void> {
  for (const table of ['job_ends_hourly', 'job_facets_hourly', 'job_texts_hourly']) {
    await sql`
      /* summaries.clear */ delete from ${sql(table)} where bucket = any(${hours}::timestamptz[])`
  }
  await sql`
    /* summaries.make */
    with jobs as materialized (
      select hour as bucket, date_bin('1 hour', ended_at, '2000-01-01T00:00:00Z') as ended, found.*
      from unnest(${hours}::timestamptz[]) hour, lateral (
        select ended_at, site_id, app_name, app_version, status, duration_s, ${failedAttemptsSql(sql)} as failed,
          ${queueSql(sql)} as waited_s, job_key, sub_key, last_error, ${sql(factNames)},
          case when status = 'failed' then ${errorClassSql(sql)} end as error
        from job where started_at >= hour and started_at < hour + interval '1 hour') found),
    ends as (
      insert into job_ends_hourly
      select bucket, ended, site_id, app_name, status, count(*), count(duration_s), coalesce(sum(duration_s), 0),
        min(duration_s), max(duration_s),
        histogram_of(array_agg(histogram_bin(duration_s)) filter (where duration_s is not null)), sum(failed),
        histogram_of(array_agg(histogram_bin(waited_s)) filter (where waited_s is not null))
      from jobs where ended is not null group by 1, 2, 3, 4, 5),
    facets as (
      insert into job_facets_hourly
      select bucket, ended, site_id, fact, of, value, count(*), count(*) filter (where status = 'failed')
      from jobs, lateral (values ${sql.unsafe(facets)}) facet (fact, of, value)
      where ended is not null and status <> 'unknown' and (value <> '' or fact = 'all') group by 1, 2, 3, 4, 5, 6)
    insert into job_texts_hourly
    select bucket, string_agg(given, chr(31))
    from (
      select bucket, given, (row_number() over (partition by bucket order by given) - 1) / ${textsOfRow}::int as part
      from (
        select distinct bucket, lower(given) as given
        from jobs, unnest(array[job_key, sub_key, app_name, last_error, ${sql(searchedFacts)}]) given
        where given <> '') texts) numbered
    group by bucket, part`
}
