-- Summaries of the jobs that are there, by the hour of their start: so that a question about a week of a million
-- jobs need not look at each. Made with the rollups (src/store/rollups/make-summaries.ts), from the same notes: an hour
-- that is not in rollup_due has exactly what its jobs say. They are no rollups: what is deleted leaves them.

-- Counts and durations by the hour of the end, as job_stats_hourly has them by that of the start.
create table job_ends_hourly (
  -- The hour of the start.
  bucket    timestamptz not null,
  -- The hour of the end.
  ended     timestamptz not null,
  site_id   text        not null,
  app_name  text        not null,
  status    text        not null,
  n         int8        not null,
  timed     int8        not null,
  sum_s     float8      not null,
  min_s     float8,
  max_s     float8,
  histogram text,
  failed    int8        not null,
  waits     text
);
create index job_ends_hourly_bucket on job_ends_hourly (bucket);
create index job_ends_hourly_ended on job_ends_hourly (ended);

-- Facets: jobs that ended, of which it is known how, by each value of each fact (app, version, tool, recipe ..).
create table job_facets_hourly (
  bucket  timestamptz not null,
  ended   timestamptz not null,
  site_id text        not null,
  -- As core/questions/causes.ts names them; 'all' counts every job.
  fact    text        not null,
  -- The app of a version, the tool of a chamber.
  of      text,
  value   text        not null,
  n       int8        not null,
  failed  int8        not null
);
create index job_facets_hourly_bucket on job_facets_hourly (bucket);
create index job_facets_hourly_ended on job_facets_hourly (ended);

-- What a search looks through: the distinct texts of the jobs of an hour, in lower case, some thousand a row. A
-- search reads them first, and then only the jobs of hours that have what it looks for. Not compressed: to
-- unpack them would take longer than to search them.
create table job_texts_hourly (
  bucket timestamptz not null,
  texts  text        not null
);
alter table job_texts_hourly alter column texts set storage external;
create index job_texts_hourly_bucket on job_texts_hourly (bucket);

-- What is there already.
insert into rollup_due
select 'j', array_agg(distinct date_bin('1 hour', started_at, '2000-01-01T00:00:00Z')) from job having count(*) > 0;

-- Counts of raw events by the hour of their time. Raw events are gone after days, so their counts are added up:
-- ingest notes what each transaction brought, and maintenance adds it.
create table event_stats_hourly (
  bucket      timestamptz not null,
  entity_type "char"      not null,
  site_id     text        not null,
  app_name    text        not null,
  kind        text        not null,
  n           int8        not null,
  primary key (bucket, entity_type, site_id, app_name, kind)
);
-- Under the Timescale licence continuous aggregates of the same names stand in for them (sql/licensed).
create table event_stats_daily (like event_stats_hourly including all);
create table event_stats_weekly (like event_stats_hourly including all);
create table event_stats_monthly (like event_stats_hourly including all);

-- What is not added yet. Without a key, as rollup_due.
create table event_stats_due (like event_stats_hourly);

-- Whose days, weeks and months are stale.
alter table rollup_stale add column stats text not null default 'job_stats' check (stats in ('job_stats', 'event_stats'));
alter table rollup_stale drop constraint rollup_stale_pkey;
alter table rollup_stale add primary key (stats, level, bucket);

-- A job that reports again after it was deleted counts already: archived_job tells, as long as there is an archive.
-- That it was deleted is noted here, by whoever it was, once it is known which were deleted before.
create or replace function note_gone() returns trigger language plpgsql as $$
declare kind "char" := case tg_table_name when 'job' then 'j' else 's' end;
begin
  execute format($gone$
    insert into job_stats_gone
    select $1, date_bin('1 hour', started_at, '2000-01-01T00:00:00Z'), %1$I, site_id, app_name, status, duration_s,
      (end_status is not distinct from 'failed')::int + case when attempts is null then 0 else count_failed(attempts) end,
      case when queued_at is not null and (given_started_at is not null or started_event_at is not null
          or (ended_at is not null and given_duration_s is not null))
        then greatest(0, extract(epoch from started_at - queued_at)::float8) end
    from gone where not exists (
      select from archived_job a where a.kind = %2$L and a.id = %1$I and a.deleted) $gone$,
    tg_table_name || '_id', tg_table_name) using kind;
  execute format($gone$
    update archived_job set deleted = true where kind = %2$L and not deleted and id in (select %1$I from gone) $gone$,
    tg_table_name || '_id', tg_table_name);
  insert into rollup_due
  select kind, array_agg(distinct date_bin('1 hour', started_at, '2000-01-01T00:00:00Z')) from gone having count(*) > 0;
  return null;
end $$;
