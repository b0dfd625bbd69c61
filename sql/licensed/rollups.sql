-- Continuous aggregates in place of the tables of the same names. Their source, the hours, outlives the jobs,
-- so no refresh can erase them. They show what was refreshed and nothing else: exactly the changed days are
-- (src/store/rollups/refresh-levels.ts).
do $$ begin
  if (select relkind from pg_class where oid = to_regclass('job_stats_daily')) = 'r' then
    drop table job_stats_monthly, job_stats_weekly, job_stats_daily;
    insert into rollup_stale
    select distinct 'daily', date_bin('1 day', bucket, '2000-01-03T00:00:00Z') from job_stats_hourly
    on conflict do nothing;
  end if;
end $$;

create materialized view if not exists job_stats_daily
with (timescaledb.continuous, timescaledb.materialized_only = true) as
select time_bucket('1 day', bucket) as bucket, entity_type, site_id, app_name, status, sum(n)::int8 as n,
  sum(timed)::int8 as timed, sum(sum_s) as sum_s, min(min_s) as min_s, max(max_s) as max_s,
  histogram_merge(array_agg(histogram)) as histogram, sum(failed)::int8 as failed,
  histogram_merge(array_agg(waits)) as waits
from job_stats_hourly group by 1, 2, 3, 4, 5 with no data;

-- Weeks begin on Monday, by the origin that time_bucket has.
create materialized view if not exists job_stats_weekly
with (timescaledb.continuous, timescaledb.materialized_only = true) as
select time_bucket('7 days', bucket) as bucket, entity_type, site_id, app_name, status, sum(n)::int8 as n,
  sum(timed)::int8 as timed, sum(sum_s) as sum_s, min(min_s) as min_s, max(max_s) as max_s,
  histogram_merge(array_agg(histogram)) as histogram, sum(failed)::int8 as failed,
  histogram_merge(array_agg(waits)) as waits
from job_stats_daily group by 1, 2, 3, 4, 5 with no data;

create materialized view if not exists job_stats_monthly
with (timescaledb.continuous, timescaledb.materialized_only = true) as
select time_bucket('1 month', bucket) as bucket, entity_type, site_id, app_name, status, sum(n)::int8 as n,
  sum(timed)::int8 as timed, sum(sum_s) as sum_s, min(min_s) as min_s, max(max_s) as max_s,
  histogram_merge(array_agg(histogram)) as histogram, sum(failed)::int8 as failed,
  histogram_merge(array_agg(waits)) as waits
from job_stats_daily group by 1, 2, 3, 4, 5 with no data;
