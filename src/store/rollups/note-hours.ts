import { searchedFacts } from '../../core/facts.ts'

/* How ingest notes which hours of rollups have to be made again: within its upsert of jobs or subjobs. */

/** Of metadata, what a search looks through. */
const searched = searchedFacts.map((name) => `'${name}'`)
const hasSearched = (metadata: string) => `${metadata} ?| array[${searched.join(', ')}]`
const differsIn = (a: string, b: string) =>
  searched.map((name) => `${a} -> ${name} is distinct from ${b} -> ${name}`).join(' or ')

/**
 * True unless rollups count a stored row of one attempt as before, and summaries of jobs have it as before: what they
 * have of it can only change when one of these does. Most events of a job are progress, and change none. The order is
 * that of the cost: the end of a job is known by the first.
 */
export const isCountedAnew = (table: 'job' | 'subjob') => `excluded.end_event_at is not null
    or least(j.given_started_at, excluded.given_started_at) is distinct from j.given_started_at
    or least(j.started_event_at, excluded.started_event_at) is distinct from j.started_event_at
    or excluded.first_event_at < j.first_event_at
    or (j.last_queued_at is not null and excluded.last_started_at is not null)
    or excluded.app_name <> j.app_name or excluded.site_id <> j.site_id
    ${table === 'job' ? isSummedAnew : ''}`

/** The same of what only summaries of jobs have (migration 0021): texts that are searched, and facts of jobs that ended. */
const isSummedAnew = `or excluded.error_at is not null or excluded.start_meta_at is not null
    or excluded.app_version <> j.app_version
    or (excluded.job_key is not null and excluded.job_key is distinct from j.job_key)
    or (excluded.sub_key is not null and excluded.sub_key is distinct from j.sub_key)
    or (excluded.progress_meta_at is not null and (j.end_event_at is not null
      or ((${hasSearched('excluded.progress_metadata')} or ${hasSearched('j.progress_metadata')})
        and (${differsIn('excluded.progress_metadata', 'j.progress_metadata')}))))`

/**
 * Notes the hours of rows that rollups count differently now: that in which each starts, and that in which it
 * started before. Both are read from the row itself, under its lock, so no hour is missed that a job has left.
 */
export const notingHours = (table: 'job' | 'subjob', upsert: string) => `/* ingest.fold */
with merged as (${upsert} returning started_at, start_before),
noted as (
  insert into rollup_due (entity_type, hours)
  select '${table === 'job' ? 'j' : 's'}', array_agg(distinct date_bin('1 hour', at, '2000-01-01T00:00:00Z'))
  from (
    select started_at as at from merged where start_before is not null
    union all
    select start_before from merged where start_before > '-infinity' and start_before <> started_at) hours
  having count(*) > 0)
select count(*)::int as n from merged`
