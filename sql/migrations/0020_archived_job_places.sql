-- Lists over the hot store and the archive are in the order of time, and the archive's files are of days. A job begins on the
-- day where it lies or on the day before, and is last heard of on that day or the next; of the few others the times are here.
alter table archived_job add column parent_id uuid;
alter table archived_job add column started_at timestamptz;
alter table archived_job add column seen_at timestamptz;

-- Days with jobs that the hot store does not have any more, one hop a day.
create index archived_job_day on archived_job (kind, day, site_id) where deleted;
create index archived_job_key on archived_job (job_key, kind) where job_key is not null;
create index archived_job_parent on archived_job (parent_id) where parent_id is not null;
create index archived_job_started on archived_job (kind, started_at, id) where deleted and started_at is not null;
create index archived_job_seen on archived_job (kind, seen_at, id) where deleted and seen_at is not null;
