-- By which the jobs of a day leave the record with its files. Many rows of one value: 8 bytes a job.
create index archived_job_site_day on archived_job (site_id, day, kind);

-- The sample: when a file was last read whole since it was written, and what was wrong with it then.
alter table archive_file add column checked_at timestamptz, add column problem text;
create index archive_file_checked on archive_file (checked_at) where checked_at is not null;
create index archive_file_problem on archive_file (checked_at) where problem is not null;

-- The room on the disks of the archive and the database, measured once an hour where it can be.
create table disk_room (
  disk       text        not null,
  at         timestamptz not null,
  free_bytes bigint      not null,
  size_bytes bigint      not null,
  primary key (disk, at)
);
