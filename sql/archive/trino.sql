-- The archive in Trino, through its Hive connector (catalog "hive"). Put your bucket and prefix in.
-- Times are UTC; for microseconds: set session hive.timestamp_precision = 'MICROSECONDS' before the views are made.
-- New days: call hive.system.sync_partition_metadata('wafermon', 'archive_job', 'ADD'), and so for the other two.
-- Written by npm run docs. This file was not run: docs/not-tried.md. Filters on site and dt keep other days from being read.

create table hive.wafermon.archive_event (
  event_at timestamp,
  idempotency_key varchar,
  received_at timestamp,
  stored_at timestamp,
  entity_type varchar,
  entity_id varchar,
  parent_id varchar,
  app_id varchar,
  app_name varchar,
  app_version varchar,
  site_id varchar,
  business_key varchar,
  sub_key varchar,
  kind varchar,
  status varchar,
  started_at timestamp,
  ended_at timestamp,
  duration_s double,
  cpu_user_s double,
  cpu_system_s double,
  mem_max_mb double,
  progress double,
  metrics varchar,
  metadata varchar,
  traceparent varchar,
  source_id varchar,
  source_epoch varchar,
  source_seq bigint,
  historical boolean,
  extra varchar,
  site varchar,
  dt varchar
)
with (
  external_location = 's3://BUCKET/PREFIX/event/', format = 'PARQUET', partitioned_by = array['site', 'dt']
);
call hive.system.sync_partition_metadata('wafermon', 'archive_event', 'ADD');

create or replace view hive.wafermon.archived_event as
select event_at, idempotency_key, received_at, stored_at, entity_type, entity_id, parent_id, app_id, app_name, app_version, site_id, business_key, sub_key, kind, status, started_at, ended_at, duration_s, cpu_user_s, cpu_system_s, mem_max_mb, progress, json_parse(metrics) as metrics, json_parse(metadata) as metadata, traceparent, source_id, source_epoch, source_seq, historical, json_parse(extra) as extra, site, dt
from hive.wafermon.archive_event
where "$path" not like '%/hour=%';

create table hive.wafermon.archive_job (
  ended_at timestamp,
  job_id varchar,
  parent_id varchar,
  app_id varchar,
  app_name varchar,
  app_version varchar,
  site_id varchar,
  job_key varchar,
  sub_key varchar,
  status varchar,
  started_at timestamp,
  duration_s double,
  cpu_user_s double,
  cpu_system_s double,
  mem_max_mb double,
  progress double,
  metrics varchar,
  metadata varchar,
  error_count bigint,
  last_error varchar,
  last_event_at timestamp,
  event_count bigint,
  inserted_at timestamp,
  updated_at timestamp,
  attempt bigint,
  queued_at timestamp,
  attempts varchar,
  version bigint,
  moved_to varchar,
  last_queued_at timestamp,
  first_event_at timestamp,
  site varchar,
  dt varchar
)
with (
  external_location = 's3://BUCKET/PREFIX/job/', format = 'PARQUET', partitioned_by = array['site', 'dt']
);
call hive.system.sync_partition_metadata('wafermon', 'archive_job', 'ADD');

-- The last version, and only in the day where it lies now.
create or replace view hive.wafermon.archived_job as
select ended_at, job_id, parent_id, app_id, app_name, app_version, site_id, job_key, sub_key, status, started_at, duration_s, cpu_user_s, cpu_system_s, mem_max_mb, progress, json_parse(metrics) as metrics, json_parse(metadata) as metadata, error_count, last_error, last_event_at, event_count, inserted_at, updated_at, attempt, queued_at, json_parse(attempts) as attempts, version, moved_to, last_queued_at, first_event_at, site, dt
from (
  select *, row_number() over (partition by site, dt, job_id order by version desc) as n
  from hive.wafermon.archive_job
  where "$path" not like '%/hour=%'
) versions
where n = 1 and moved_to is null;

create table hive.wafermon.archive_subjob (
  ended_at timestamp,
  subjob_id varchar,
  job_id varchar,
  app_id varchar,
  app_name varchar,
  app_version varchar,
  site_id varchar,
  job_key varchar,
  sub_key varchar,
  status varchar,
  started_at timestamp,
  duration_s double,
  cpu_user_s double,
  cpu_system_s double,
  mem_max_mb double,
  progress double,
  metrics varchar,
  metadata varchar,
  error_count bigint,
  last_error varchar,
  last_event_at timestamp,
  event_count bigint,
  inserted_at timestamp,
  updated_at timestamp,
  attempt bigint,
  queued_at timestamp,
  attempts varchar,
  version bigint,
  moved_to varchar,
  last_queued_at timestamp,
  first_event_at timestamp,
  site varchar,
  dt varchar
)
with (
  external_location = 's3://BUCKET/PREFIX/subjob/', format = 'PARQUET', partitioned_by = array['site', 'dt']
);
call hive.system.sync_partition_metadata('wafermon', 'archive_subjob', 'ADD');

-- The last version, and only in the day where it lies now.
create or replace view hive.wafermon.archived_subjob as
select ended_at, subjob_id, job_id, app_id, app_name, app_version, site_id, job_key, sub_key, status, started_at, duration_s, cpu_user_s, cpu_system_s, mem_max_mb, progress, json_parse(metrics) as metrics, json_parse(metadata) as metadata, error_count, last_error, last_event_at, event_count, inserted_at, updated_at, attempt, queued_at, json_parse(attempts) as attempts, version, moved_to, last_queued_at, first_event_at, site, dt
from (
  select *, row_number() over (partition by site, dt, subjob_id order by version desc) as n
  from hive.wafermon.archive_subjob
  where "$path" not like '%/hour=%'
) versions
where n = 1 and moved_to is null;
