-- The archive for DuckDB, on the folder itself or on a copy of it.
--
--   .read duckdb.sql
--   from archived_job('/var/lib/wafermon/archive')
--   select app_name, count(*), avg(duration_s)
--   where site = 'fab1' and dt = '2026-03-01' group by all;
--
--   create view job as from archived_job('/var/lib/wafermon/archive');
--
-- site and dt come from the names of the files: filters on them keep other files from being opened. Columns are bound by
-- their number in the files, so a column that old files lack is null. Times are UTC with microseconds; metrics, metadata,
-- attempts and extra are JSON. A table has no files until something of it was archived; until then a query of it fails.

create or replace macro archived_event(archive) as table
select * replace (metrics::json as metrics, metadata::json as metadata, extra::json as extra) from (
    select * exclude (filename),
      regexp_extract(filename, '/site=([^/]+)/', 1) as site,
      regexp_extract(filename, '/dt=([0-9-]+)/', 1)::date as dt
    from read_parquet(archive || '/event/site=*/dt=*/*.parquet', filename = true, schema = map {
      1: {name: 'event_at', type: 'TIMESTAMP WITH TIME ZONE', default_value: NULL},
      2: {name: 'idempotency_key', type: 'VARCHAR', default_value: NULL},
      3: {name: 'received_at', type: 'TIMESTAMP WITH TIME ZONE', default_value: NULL},
      4: {name: 'stored_at', type: 'TIMESTAMP WITH TIME ZONE', default_value: NULL},
      5: {name: 'entity_type', type: 'VARCHAR', default_value: NULL},
      6: {name: 'entity_id', type: 'VARCHAR', default_value: NULL},
      7: {name: 'parent_id', type: 'VARCHAR', default_value: NULL},
      8: {name: 'app_id', type: 'VARCHAR', default_value: NULL},
      9: {name: 'app_name', type: 'VARCHAR', default_value: NULL},
      10: {name: 'app_version', type: 'VARCHAR', default_value: NULL},
      11: {name: 'site_id', type: 'VARCHAR', default_value: NULL},
      12: {name: 'business_key', type: 'VARCHAR', default_value: NULL},
      13: {name: 'sub_key', type: 'VARCHAR', default_value: NULL},
      14: {name: 'kind', type: 'VARCHAR', default_value: NULL},
      15: {name: 'status', type: 'VARCHAR', default_value: NULL},
      16: {name: 'started_at', type: 'TIMESTAMP WITH TIME ZONE', default_value: NULL},
      17: {name: 'ended_at', type: 'TIMESTAMP WITH TIME ZONE', default_value: NULL},
      18: {name: 'duration_s', type: 'DOUBLE', default_value: NULL},
      19: {name: 'cpu_user_s', type: 'DOUBLE', default_value: NULL},
      20: {name: 'cpu_system_s', type: 'DOUBLE', default_value: NULL},
      21: {name: 'mem_max_mb', type: 'DOUBLE', default_value: NULL},
      22: {name: 'progress', type: 'DOUBLE', default_value: NULL},
      23: {name: 'metrics', type: 'VARCHAR', default_value: NULL},
      24: {name: 'metadata', type: 'VARCHAR', default_value: NULL},
      25: {name: 'traceparent', type: 'VARCHAR', default_value: NULL},
      26: {name: 'source_id', type: 'VARCHAR', default_value: NULL},
      27: {name: 'source_epoch', type: 'VARCHAR', default_value: NULL},
      28: {name: 'source_seq', type: 'BIGINT', default_value: NULL},
      29: {name: 'historical', type: 'BOOLEAN', default_value: NULL},
      30: {name: 'extra', type: 'VARCHAR', default_value: NULL}
    }));

-- The last version of each job, and only in the day where it lies now.
create or replace macro archived_job(archive) as table
select * exclude (n) replace (metrics::json as metrics, metadata::json as metadata, attempts::json as attempts) from (
  select *, row_number() over (partition by site, dt, job_id order by version desc) as n from (
    select * exclude (filename),
      regexp_extract(filename, '/site=([^/]+)/', 1) as site,
      regexp_extract(filename, '/dt=([0-9-]+)/', 1)::date as dt
    from read_parquet(archive || '/job/site=*/dt=*/*.parquet', filename = true, schema = map {
      1: {name: 'ended_at', type: 'TIMESTAMP WITH TIME ZONE', default_value: NULL},
      2: {name: 'job_id', type: 'VARCHAR', default_value: NULL},
      3: {name: 'parent_id', type: 'VARCHAR', default_value: NULL},
      4: {name: 'app_id', type: 'VARCHAR', default_value: NULL},
      5: {name: 'app_name', type: 'VARCHAR', default_value: NULL},
      6: {name: 'app_version', type: 'VARCHAR', default_value: NULL},
      7: {name: 'site_id', type: 'VARCHAR', default_value: NULL},
      8: {name: 'job_key', type: 'VARCHAR', default_value: NULL},
      9: {name: 'sub_key', type: 'VARCHAR', default_value: NULL},
      10: {name: 'status', type: 'VARCHAR', default_value: NULL},
      11: {name: 'started_at', type: 'TIMESTAMP WITH TIME ZONE', default_value: NULL},
      12: {name: 'duration_s', type: 'DOUBLE', default_value: NULL},
      13: {name: 'cpu_user_s', type: 'DOUBLE', default_value: NULL},
      14: {name: 'cpu_system_s', type: 'DOUBLE', default_value: NULL},
      15: {name: 'mem_max_mb', type: 'DOUBLE', default_value: NULL},
      16: {name: 'progress', type: 'DOUBLE', default_value: NULL},
      17: {name: 'metrics', type: 'VARCHAR', default_value: NULL},
      18: {name: 'metadata', type: 'VARCHAR', default_value: NULL},
      19: {name: 'error_count', type: 'BIGINT', default_value: NULL},
      20: {name: 'last_error', type: 'VARCHAR', default_value: NULL},
      21: {name: 'last_event_at', type: 'TIMESTAMP WITH TIME ZONE', default_value: NULL},
      22: {name: 'event_count', type: 'BIGINT', default_value: NULL},
      23: {name: 'inserted_at', type: 'TIMESTAMP WITH TIME ZONE', default_value: NULL},
      24: {name: 'updated_at', type: 'TIMESTAMP WITH TIME ZONE', default_value: NULL},
      25: {name: 'attempt', type: 'BIGINT', default_value: NULL},
      26: {name: 'queued_at', type: 'TIMESTAMP WITH TIME ZONE', default_value: NULL},
      27: {name: 'attempts', type: 'VARCHAR', default_value: NULL},
      28: {name: 'version', type: 'BIGINT', default_value: NULL},
      29: {name: 'moved_to', type: 'VARCHAR', default_value: NULL},
      30: {name: 'last_queued_at', type: 'TIMESTAMP WITH TIME ZONE', default_value: NULL},
      31: {name: 'first_event_at', type: 'TIMESTAMP WITH TIME ZONE', default_value: NULL}
    })))
where n = 1 and moved_to is null;

create or replace macro archived_subjob(archive) as table
select * exclude (n) replace (metrics::json as metrics, metadata::json as metadata, attempts::json as attempts) from (
  select *, row_number() over (partition by site, dt, subjob_id order by version desc) as n from (
    select * exclude (filename),
      regexp_extract(filename, '/site=([^/]+)/', 1) as site,
      regexp_extract(filename, '/dt=([0-9-]+)/', 1)::date as dt
    from read_parquet(archive || '/subjob/site=*/dt=*/*.parquet', filename = true, schema = map {
      1: {name: 'ended_at', type: 'TIMESTAMP WITH TIME ZONE', default_value: NULL},
      2: {name: 'subjob_id', type: 'VARCHAR', default_value: NULL},
      3: {name: 'job_id', type: 'VARCHAR', default_value: NULL},
      4: {name: 'app_id', type: 'VARCHAR', default_value: NULL},
      5: {name: 'app_name', type: 'VARCHAR', default_value: NULL},
      6: {name: 'app_version', type: 'VARCHAR', default_value: NULL},
      7: {name: 'site_id', type: 'VARCHAR', default_value: NULL},
      8: {name: 'job_key', type: 'VARCHAR', default_value: NULL},
      9: {name: 'sub_key', type: 'VARCHAR', default_value: NULL},
      10: {name: 'status', type: 'VARCHAR', default_value: NULL},
      11: {name: 'started_at', type: 'TIMESTAMP WITH TIME ZONE', default_value: NULL},
      12: {name: 'duration_s', type: 'DOUBLE', default_value: NULL},
      13: {name: 'cpu_user_s', type: 'DOUBLE', default_value: NULL},
      14: {name: 'cpu_system_s', type: 'DOUBLE', default_value: NULL},
      15: {name: 'mem_max_mb', type: 'DOUBLE', default_value: NULL},
      16: {name: 'progress', type: 'DOUBLE', default_value: NULL},
      17: {name: 'metrics', type: 'VARCHAR', default_value: NULL},
      18: {name: 'metadata', type: 'VARCHAR', default_value: NULL},
      19: {name: 'error_count', type: 'BIGINT', default_value: NULL},
      20: {name: 'last_error', type: 'VARCHAR', default_value: NULL},
      21: {name: 'last_event_at', type: 'TIMESTAMP WITH TIME ZONE', default_value: NULL},
      22: {name: 'event_count', type: 'BIGINT', default_value: NULL},
      23: {name: 'inserted_at', type: 'TIMESTAMP WITH TIME ZONE', default_value: NULL},
      24: {name: 'updated_at', type: 'TIMESTAMP WITH TIME ZONE', default_value: NULL},
      25: {name: 'attempt', type: 'BIGINT', default_value: NULL},
      26: {name: 'queued_at', type: 'TIMESTAMP WITH TIME ZONE', default_value: NULL},
      27: {name: 'attempts', type: 'VARCHAR', default_value: NULL},
      28: {name: 'version', type: 'BIGINT', default_value: NULL},
      29: {name: 'moved_to', type: 'VARCHAR', default_value: NULL},
      30: {name: 'last_queued_at', type: 'TIMESTAMP WITH TIME ZONE', default_value: NULL},
      31: {name: 'first_event_at', type: 'TIMESTAMP WITH TIME ZONE', default_value: NULL}
    })))
where n = 1 and moved_to is null;

-- Hours, which earlier versions wrote. Their jobs are written again with the first manifest of their day, if they were
-- still in the hot store then; events are not: an event is in one of the two tables.
create or replace macro archived_hours_event(archive) as table
select * exclude ("at") replace (metrics::json as metrics, metadata::json as metadata, extra::json as extra), "at" as event_at
from read_parquet(archive || '/event/site=*/dt=*/hour=*/*.parquet', union_by_name = true,
  hive_partitioning = true, hive_types = {'site': varchar, 'dt': date, 'hour': bigint});

create or replace macro archived_hours_job(archive) as table
select * replace (metrics::json as metrics, metadata::json as metadata)
from read_parquet(archive || '/job/site=*/dt=*/hour=*/*.parquet', union_by_name = true,
  hive_partitioning = true, hive_types = {'site': varchar, 'dt': date, 'hour': bigint})
qualify row_number() over (partition by site, job_id order by updated_at desc) = 1;

create or replace macro archived_hours_subjob(archive) as table
select * replace (metrics::json as metrics, metadata::json as metadata)
from read_parquet(archive || '/subjob/site=*/dt=*/hour=*/*.parquet', union_by_name = true,
  hive_partitioning = true, hive_types = {'site': varchar, 'dt': date, 'hour': bigint})
qualify row_number() over (partition by site, subjob_id order by updated_at desc) = 1;
