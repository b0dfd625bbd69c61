-- The archive in Spark SQL. Put your folder or bucket in, and start Spark with spark.sql.session.timeZone=UTC.
-- New days: msck repair table archive_job, and so for the other two. Folders below a day, which are hours of earlier
-- versions, are not read.
-- Written by npm run docs. This file was not run: docs/not-tried.md. Filters on site and dt keep other days from being read.

create table archive_event (
  event_at timestamp,
  idempotency_key string,
  received_at timestamp,
  stored_at timestamp,
  entity_type string,
  entity_id string,
  parent_id string,
  app_id string,
  app_name string,
  app_version string,
  site_id string,
  business_key string,
  sub_key string,
  kind string,
  status string,
  started_at timestamp,
  ended_at timestamp,
  duration_s double,
  cpu_user_s double,
  cpu_system_s double,
  mem_max_mb double,
  progress double,
  metrics string,
  metadata string,
  traceparent string,
  source_id string,
  source_epoch string,
  source_seq bigint,
  historical boolean,
  extra string,
  site string,
  dt string
)
using parquet
partitioned by (site, dt)
location 's3a://BUCKET/PREFIX/event/';
msck repair table archive_event;

create or replace view archived_event as
select event_at, idempotency_key, received_at, stored_at, entity_type, entity_id, parent_id, app_id, app_name, app_version, site_id, business_key, sub_key, kind, status, started_at, ended_at, duration_s, cpu_user_s, cpu_system_s, mem_max_mb, progress, metrics, metadata, traceparent, source_id, source_epoch, source_seq, historical, extra, site, dt
from archive_event;

create table archive_job (
  ended_at timestamp,
  job_id string,
  parent_id string,
  app_id string,
  app_name string,
  app_version string,
  site_id string,
  job_key string,
  sub_key string,
  status string,
  started_at timestamp,
  duration_s double,
  cpu_user_s double,
  cpu_system_s double,
  mem_max_mb double,
  progress double,
  metrics string,
  metadata string,
  error_count bigint,
  last_error string,
  last_event_at timestamp,
  event_count bigint,
  inserted_at timestamp,
  updated_at timestamp,
  attempt bigint,
  queued_at timestamp,
  attempts string,
  version bigint,
  moved_to string,
  last_queued_at timestamp,
  first_event_at timestamp,
  site string,
  dt string
)
using parquet
partitioned by (site, dt)
location 's3a://BUCKET/PREFIX/job/';
msck repair table archive_job;

-- The last version, and only in the day where it lies now.
create or replace view archived_job as
select ended_at, job_id, parent_id, app_id, app_name, app_version, site_id, job_key, sub_key, status, started_at, duration_s, cpu_user_s, cpu_system_s, mem_max_mb, progress, metrics, metadata, error_count, last_error, last_event_at, event_count, inserted_at, updated_at, attempt, queued_at, attempts, version, moved_to, last_queued_at, first_event_at, site, dt
from (
  select *, row_number() over (partition by site, dt, job_id order by version desc) as n
  from archive_job
) versions
where n = 1 and moved_to is null;

create table archive_subjob (
  ended_at timestamp,
  subjob_id string,
  job_id string,
  app_id string,
  app_name string,
  app_version string,
  site_id string,
  job_key string,
  sub_key string,
  status string,
  started_at timestamp,
  duration_s double,
  cpu_user_s double,
  cpu_system_s double,
  mem_max_mb double,
  progress double,
  metrics string,
  metadata string,
  error_count bigint,
  last_error string,
  last_event_at timestamp,
  event_count bigint,
  inserted_at timestamp,
  updated_at timestamp,
  attempt bigint,
  queued_at timestamp,
  attempts string,
  version bigint,
  moved_to string,
  last_queued_at timestamp,
  first_event_at timestamp,
  site string,
  dt string
)
using parquet
partitioned by (site, dt)
location 's3a://BUCKET/PREFIX/subjob/';
msck repair table archive_subjob;

-- The last version, and only in the day where it lies now.
create or replace view archived_subjob as
select ended_at, subjob_id, job_id, app_id, app_name, app_version, site_id, job_key, sub_key, status, started_at, duration_s, cpu_user_s, cpu_system_s, mem_max_mb, progress, metrics, metadata, error_count, last_error, last_event_at, event_count, inserted_at, updated_at, attempt, queued_at, attempts, version, moved_to, last_queued_at, first_event_at, site, dt
from (
  select *, row_number() over (partition by site, dt, subjob_id order by version desc) as n
  from archive_subjob
) versions
where n = 1 and moved_to is null;
