-- Continuous aggregates of counts of events, as rollups.sql has them of jobs.
do $$ begin
  if (select relkind from pg_class where oid = to_regclass('event_stats_daily')) = 'r' then
    drop table event_stats_monthly, event_stats_weekly, event_stats_daily;
    insert into rollup_stale (stats, level, bucket)
    select distinct 'event_stats', 'daily', date_bin('1 day', bucket, '2000-01-03T00:00:00Z') from event_stats_hourly
    on conflict do nothing;
  end if;
end $$;

create materialized view if not exists event_stats_daily
with (timescaledb.continuous, timescaledb.materialized_only = true) as
select time_bucket('1 day', bucket) as bucket, entity_type, site_id, app_name, kind, sum(n)::int8 as n
from event_stats_hourly group by 1, 2, 3, 4, 5 with no data;

create materialized view if not exists event_stats_weekly
with (timescaledb.continuous, timescaledb.materialized_only = true) as
select time_bucket('7 days', bucket) as bucket, entity_type, site_id, app_name, kind, sum(n)::int8 as n
from event_stats_daily group by 1, 2, 3, 4, 5 with no data;

create materialized view if not exists event_stats_monthly
with (timescaledb.continuous, timescaledb.materialized_only = true) as
select time_bucket('1 month', bucket) as bucket, entity_type, site_id, app_name, kind, sum(n)::int8 as n
from event_stats_daily group by 1, 2, 3, 4, 5 with no data;
