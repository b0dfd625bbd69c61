-- The archive for DuckDB, on the folder itself or on a copy of it.
--
--   .read duckdb.sql
--   from archived_job('/var/lib/wafermon/archive')
--   select app_name, count(*), avg(duration_s)
--   where site = 'fab1' and dt = '2026-03-01' group by all;
--
--   create view job as from archived_job('/var/lib/wafermon/archive');
--
-- site, dt and hour come from the folders: filters on them keep other files from being opened.
-- Times are UTC with microseconds; metrics, metadata and extra are JSON. A table has no
-- files until something of it was archived; until then a query of it fails.

create or replace macro archived_event(archive) as table
select * replace (metrics::json as metrics, metadata::json as metadata, extra::json as extra)
from read_parquet(archive || '/event/site=*/dt=*/hour=*/*.parquet', union_by_name = true,
  hive_partitioning = true, hive_types = {'site': varchar, 'dt': date, 'hour': bigint});

-- A job that changed after its hour was archived may be in a second hour too: the newest state counts.
create or replace macro archived_job(archive) as table
select * replace (metrics::json as metrics, metadata::json as metadata)
from read_parquet(archive || '/job/site=*/dt=*/hour=*/*.parquet', union_by_name = true,
  hive_partitioning = true, hive_types = {'site': varchar, 'dt': date, 'hour': bigint})
qualify row_number() over (partition by site, job_id order by updated_at desc) = 1;

create or replace macro archived_subjob(archive) as table
select * replace (metrics::json as metrics, metadata::json as metadata)
from read_parquet(archive || '/subjob/site=*/dt=*/hour=*/*.parquet', union_by_name = true,
  hive_partitioning = true, hive_types = {'site': varchar, 'dt': date, 'hour': bigint})
qualify row_number() over (partition by site, subjob_id order by updated_at desc) = 1;
