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

-- What is not added yet: the counts of a transaction, as an array of rows. Without a key, as rollup_due.
create table event_stats_due (counts json not null);

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

-- Views and functions for psql and for dashboards that read SQL (docs/store.md). They count jobs, not events, but
-- for events_24h. A site that is null is every site.

create view system_health as
select h.trusted_at, h.doubt, h.frozen_before, ended.*, open.*,
  round(100.0 * failed_24h / nullif(ended_24h, 0), 2) as failed_pct_24h,
  (select coalesce(sum(n), 0)::int8 from event_stats_hourly where bucket >= now() - interval '24 hours') as events_24h,
  (select max(last_seen_at) from app) as last_seen_at,
  (select count(*) from event_late where restored_until is null) as late_events,
  (select count(*) from rollup_due) as rollups_due,
  pg_database_size(current_database()) as database_bytes
from horizon h,
  (select count(*) filter (where status <> 'unknown') as ended_24h, count(*) filter (where status = 'failed') as failed_24h
   from job where ended_at >= now() - interval '24 hours') ended,
  (select count(*) filter (where status = 'running') as running, count(*) filter (where status = 'queued') as queued
   from job where status in ('running', 'queued')) open;

create view app_success_rates as
select site_id, app_name, count(*) as ended, count(*) filter (where status = 'succeeded') as succeeded,
  count(*) filter (where status = 'failed') as failed, count(*) filter (where status = 'canceled') as canceled,
  round(100.0 * count(*) filter (where status = 'succeeded') / count(*), 2) as success_pct
from job where ended_at >= now() - interval '7 days' and status <> 'unknown'
group by site_id, app_name;

create view recent_failures as
select job_id, site_id, app_name, app_version, job_key, tool, recipe, started_at, ended_at, duration_s, attempt,
  error_type, exit_code, last_error
from job where status = 'failed' and ended_at >= now() - interval '24 hours'
order by ended_at desc, job_id desc;

-- Runs that succeeded and took longer than 99 % of their kind usually do.
create view performance_outliers as
select j.job_id, j.site_id, j.app_name, j.app_version, j.recipe, j.tool, j.job_key, j.started_at, j.duration_s,
  b.p50_s as usual_s, b.p99_s, round((j.duration_s / nullif(b.p50_s, 0))::numeric, 1) as times_usual
from job j join baseline b on b.entity_type = 'j' and b.site_id = j.site_id and b.app_name = j.app_name
  and b.app_version = j.app_version and b.recipe = coalesce(j.recipe, '')
where j.ended_at >= now() - interval '24 hours' and j.status = 'succeeded' and j.duration_s > b.p99_s
order by j.duration_s - b.p99_s desc;

create function get_job_stats(site text, since timestamptz, until timestamptz)
returns table (app_name text, status text, jobs int8, failed_attempts int8, avg_s float8, min_s float8, max_s float8,
  p50_s float8, p95_s float8, p99_s float8)
stable language sql as $$
  select app_name, status, jobs, failed_attempts, avg_s, min_s, max_s, p[1], p[2], p[3]
  from (
    select j.app_name, j.status, count(*) as jobs, avg(duration_s) as avg_s, min(duration_s) as min_s, max(duration_s) as max_s,
      sum((end_status is not distinct from 'failed')::int + case when attempts is null then 0 else count_failed(attempts) end)
        as failed_attempts,
      percentile_disc(array[0.5, 0.95, 0.99]) within group (order by duration_s) as p
    from job j where started_at >= since and started_at < until and (site is null or site_id = site)
    group by 1, 2) counted
  order by 1, 2 $$;

create function get_slowest_jobs(site text default null, most int default 10, hours int default 24)
returns table (job_id uuid, site_id text, app_name text, job_key text, tool text, recipe text, status text,
  started_at timestamptz, duration_s float8)
stable language sql as $$
  select job_id, site_id, app_name, job_key, tool, recipe, status, started_at, duration_s from job j
  where ended_at >= now() - make_interval(hours => hours) and duration_s is not null and (site is null or j.site_id = site)
  order by duration_s desc, job_id limit most $$;

create function get_failure_analysis(site text default null, hours int default 24)
returns table (app_name text, error text, jobs int8, tools int8, recipes int8, first_at timestamptz, last_at timestamptz,
  example uuid)
stable language sql as $$
  select app_name, left(last_error, 200), count(*), count(distinct tool), count(distinct recipe), min(ended_at), max(ended_at),
    (array_agg(job_id order by ended_at desc, job_id))[1]
  from job j
  where status = 'failed' and ended_at >= now() - make_interval(hours => hours) and (site is null or j.site_id = site)
  group by 1, 2 order by 3 desc, 1, 2 $$;

-- Where pg_stat_statements is loaded, statements by their mean time since its statistics began; elsewhere those
-- that run now.
create function get_slow_queries(min_ms float8 default 1000)
returns table (statement text, calls int8, mean_ms float8, max_ms float8)
stable language plpgsql as $$
begin
  if to_regclass('pg_stat_statements') is not null then
    begin
      return query execute 'select query, calls, mean_exec_time, max_exec_time from pg_stat_statements
        where dbid = (select oid from pg_database where datname = current_database()) and mean_exec_time >= $1
        order by mean_exec_time desc limit 100' using min_ms;
      return;
    exception when object_not_in_prerequisite_state then null; -- It is made, and not loaded.
    end;
  end if;
  return query
    select a.query, 1::int8, ms, ms
    from pg_stat_activity a, lateral (select extract(epoch from clock_timestamp() - query_start)::float8 * 1000 as ms) t
    where datname = current_database() and state = 'active' and pid <> pg_backend_pid()
      and backend_type = 'client backend' and ms >= min_ms
    order by ms desc limit 100;
end $$;

create function get_table_bloat()
returns table (table_name text, live_rows int8, dead_rows int8, dead_pct numeric, vacuumed_at timestamptz, bytes int8)
stable language sql as $$
  select relname, n_live_tup, n_dead_tup, round(100.0 * n_dead_tup / nullif(n_live_tup + n_dead_tup, 0), 1),
    greatest(last_vacuum, last_autovacuum), pg_total_relation_size(relid)
  from pg_stat_user_tables where n_live_tup + n_dead_tup > 0 order by n_dead_tup desc, relname $$;

-- Apps of whose jobs that share failed; fewer than five say nothing.
create function check_high_failure_rate(pct float8 default 10, hours int default 1)
returns table (site_id text, app_name text, ended int8, failed int8, failed_pct numeric)
stable language sql as $$
  select * from (
    select site_id, app_name, count(*) as ended, count(*) filter (where status = 'failed') as failed,
      round(100.0 * count(*) filter (where status = 'failed') / count(*), 2) as failed_pct
    from job where ended_at >= now() - make_interval(hours => hours) and status <> 'unknown' group by 1, 2) apps
  where ended >= 5 and failed_pct >= pct order by failed_pct desc, 1, 2 $$;

-- Sites from which nothing was heard for that many minutes.
create function check_no_activity(minutes int default 60)
returns table (site_id text, last_seen_at timestamptz, silent_minutes int)
stable language sql as $$
  select * from (
    select site_id, max(last_seen_at) as last_seen_at, floor(extract(epoch from now() - max(last_seen_at)) / 60)::int as silent
    from app group by 1) sites
  where silent >= minutes order by 1 $$;
