-- As job_stats_hourly: a continuous aggregate needs a hypertable.
select create_hypertable('event_stats_hourly', by_range('bucket', interval '90 days'), create_default_indexes => false);

-- Views of what each edition has in its own way: chunks of raw events, and the sizes of tables.
create view chunk_health as
select chunk_name::text as name, range_start as starts_at, range_end as ends_at, coalesce(is_compressed, false) as is_compressed,
  range_end <= frozen_before as is_frozen,
  pg_total_relation_size(format('%I.%I', chunk_schema, chunk_name)::regclass) as bytes
from timescaledb_information.chunks, horizon
where hypertable_schema = current_schema() and hypertable_name = 'event' order by range_start;

create view database_size_overview as
select relname::text as table_name, bytes, round(100.0 * bytes / nullif(sum(bytes) over (), 0), 1) as share_pct
from (
  select c.relname, (case when h.hypertable_name is null then pg_total_relation_size(c.oid)
    else hypertable_size(c.oid::regclass) end)::int8 as bytes
  from pg_class c left join timescaledb_information.hypertables h
    on h.hypertable_schema = current_schema() and h.hypertable_name = c.relname
  where c.relkind in ('r', 'p') and c.relnamespace = current_schema()::regnamespace) sizes
order by bytes desc, 1;
