-- Rollups: counts and durations of jobs by the time of their start, kept for years after the jobs are
-- deleted. How they are made: src/store/rollups; which hours: rollup_due.

-- The bins of src/core/histogram.ts: eight a doubling, and one for zero.
create function histogram_bin(duration_s float8) returns int immutable parallel safe language sql as $$
  select case when duration_s > 0 then floor(8 * ln(duration_s) / ln(2::float8))::int
    when duration_s <= 0 then -10000 end $$;

-- Both in PL/pgSQL, which plans them once.
create function histogram_of(bins int[]) returns text immutable parallel safe language plpgsql as $$
begin
  return (select string_agg(bin || ':' || n, ' ' order by bin) from (
    select bin, count(*) as n from unnest(bins) bin group by bin) b);
end $$;

create function histogram_merge(given text[]) returns text immutable parallel safe language plpgsql as $$
begin
  return (select string_agg(bin || ':' || n, ' ' order by bin) from (
    select split_part(pair, ':', 1)::int as bin, sum(split_part(pair, ':', 2)::int8) as n
    from unnest(given) histogram, string_to_table(histogram, ' ') pair
    group by 1) b where n <> 0);
end $$;

create table job_stats_hourly (
  bucket      timestamptz not null,
  entity_type "char"      not null,
  site_id     text        not null,
  app_name    text        not null,
  status      text        not null,
  n           int8        not null,
  -- Those with a duration; the sum, bounds and histogram are of them.
  timed       int8        not null,
  sum_s       float8      not null,
  min_s       float8,
  max_s       float8,
  histogram   text,
  -- Attempts that failed.
  failed      int8        not null,
  -- Times from queue to start.
  waits       text,
  primary key (bucket, entity_type, site_id, app_name, status)
);
-- Under the Timescale licence continuous aggregates of the same names stand in for them (sql/licensed).
create table job_stats_daily (like job_stats_hourly including all);
create table job_stats_weekly (like job_stats_hourly including all);
create table job_stats_monthly (like job_stats_hourly including all);

-- Hours to be made again: a row for each transaction that changed what rollups count. It has no key, so
-- writers never wait for each other; maintenance reads and deletes them.
create table rollup_due (
  entity_type "char"        not null,
  hours       timestamptz[] not null
);
-- Days, weeks and months whose hours were made again since.
create table rollup_stale (
  level  text        not null check (level in ('daily', 'weekly', 'monthly')),
  bucket timestamptz not null,
  primary key (level, bucket)
);

-- The start that a job had before the last change that rollups count; null when its last change was
-- none. -infinity in a new row.
alter table job add column start_before timestamptz default '-infinity';
alter table subjob add column start_before timestamptz default '-infinity';

-- Hours of which a job was deleted are never made again from what is left: they are corrected by
-- the differences of the jobs that are still there.
create table job_stats_frozen (
  entity_type "char"      not null,
  bucket      timestamptz not null,
  primary key (entity_type, bucket)
);
-- The jobs of those hours that are still there, as they are counted.
create table job_stats_counted (
  entity_type "char"      not null,
  bucket      timestamptz not null,
  id          uuid        not null,
  site_id     text        not null,
  app_name    text        not null,
  status      text        not null,
  duration_s  float8,
  failed      int         not null,
  waited_s    float8,
  primary key (entity_type, bucket, id)
);
-- Jobs that were deleted, as they were last, until the rollups of their hours have them.
create table job_stats_gone (like job_stats_counted);

-- Whoever deletes jobs: in the same transaction.
create function note_gone() returns trigger language plpgsql as $$
declare kind "char" := case tg_table_name when 'job' then 'j' else 's' end;
begin
  execute format($gone$
    insert into job_stats_gone
    select $1, date_bin('1 hour', started_at, '2000-01-01T00:00:00Z'), %I, site_id, app_name, status, duration_s,
      (end_status is not distinct from 'failed')::int + case when attempts is null then 0 else count_failed(attempts) end,
      case when queued_at is not null and (given_started_at is not null or started_event_at is not null
          or (ended_at is not null and given_duration_s is not null))
        then greatest(0, extract(epoch from started_at - queued_at)::float8) end
    from gone $gone$, tg_table_name || '_id') using kind;
  insert into rollup_due
  select kind, array_agg(distinct date_bin('1 hour', started_at, '2000-01-01T00:00:00Z')) from gone having count(*) > 0;
  return null;
end $$;
create trigger job_gone after delete on job referencing old table as gone
  for each statement execute function note_gone();
create trigger subjob_gone after delete on subjob referencing old table as gone
  for each statement execute function note_gone();

-- What is there already.
insert into rollup_due
select 'j', array_agg(distinct date_bin('1 hour', started_at, '2000-01-01T00:00:00Z')) from job having count(*) > 0;
insert into rollup_due
select 's', array_agg(distinct date_bin('1 hour', started_at, '2000-01-01T00:00:00Z')) from subjob having count(*) > 0;
