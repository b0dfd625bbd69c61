-- The archive's unit is a site's day (UTC). Files on record from before are of an hour.
alter table archive_file rename column hour to starts_at;
alter table archive_file add column ends_at timestamptz;
update archive_file set ends_at = starts_at + interval '1 hour';
alter table archive_file alter column ends_at set not null;

-- The manifests of a site, in their chain: each was in the archive, and its new files read back, before it
-- is here.
create table archive_manifest (
  site_id     text   not null,
  -- Its place in the chain of the site, from 1.
  seq         bigint not null,
  day         date   not null,
  -- Its place among those of its day, from 1; the greatest counts.
  number      int    not null,
  sha256      text   not null,
  -- How many of the day's archived events had come too late for "event".
  late_events bigint not null,
  noted_at    timestamptz not null default now(),
  primary key (site_id, seq),
  unique (site_id, day, number)
);

-- Where each job and subjob lies in the archive, kept forever, and as what: a row that says otherwise has
-- changed since.
create table archived_job (
  kind       text        not null,
  id         uuid        not null,
  job_key    text,
  site_id    text        not null,
  day        date        not null,
  version    int         not null,
  updated_at timestamptz not null,
  -- Its row was deleted here. What comes later under its id is a part of the job only, and is not
  -- archived in place of the whole.
  deleted    boolean     not null default false,
  primary key (kind, id)
);

-- Days that a job has left, in which the archive does not say so yet.
create table archive_move (
  kind     text not null,
  id       uuid not null,
  site_id  text not null,
  day      date not null,
  -- The version that lies elsewhere.
  version  int  not null,
  moved_to text not null,
  primary key (kind, id, site_id, day)
);
