-- What every edition has. Times are timestamptz (microseconds); ids are uuid.
-- Order of the tables: what was received, what it folds to, who sent it, where the readers stand.

create sequence event_batch_id;

-- Below frozen_before nothing in "event" changes any more; at or above open_until nothing is put
-- into it. What lies outside goes to event_late. All three only move forward, under the exclusive
-- advisory lock 7002 that every ingest transaction holds shared.
create table horizon (
  one            boolean primary key default true check (one),
  frozen_before  timestamptz not null,
  open_until     timestamptz not null,
  -- Raw events below this were archived and dropped: whether one was received is known from "source".
  dropped_before timestamptz not null default '-infinity',
  -- Jobs whose last event lies below this were deleted; the archive has them.
  jobs_from      timestamptz not null default '-infinity'
);
insert into horizon (frozen_before, open_until)
values (now() - interval '48 hours', date_trunc('day', now() at time zone 'UTC') at time zone 'UTC' + interval '2 days');

-- Raw events that are too old, too late or too far ahead for the partitions of "event".
create table event_late (
  at              timestamptz not null,
  idempotency_key uuid        not null,
  received_at     timestamptz not null,
  stored_at       timestamptz not null default now(),
  batch           bigint      not null,
  entity_type     "char"      not null,
  entity_id       uuid        not null,
  parent_id       uuid,
  app_id          uuid        not null,
  app_name        text        not null,
  app_version     text        not null,
  site_id         text        not null,
  business_key    text,
  sub_key         text,
  kind            text        not null,
  status          text,
  started_at      timestamptz,
  ended_at        timestamptz,
  metrics         jsonb,
  metadata        jsonb,
  traceparent     text,
  source_id       text,
  source_epoch    text,
  source_seq      bigint,
  historical      boolean     not null,
  -- What the envelope had besides: unknown fields by the object they were in, and what a clock
  -- correction replaced.
  extra           jsonb,
  primary key (at, idempotency_key)
);
create index event_late_entity on event_late (entity_id, at);
create index event_late_batch on event_late (batch);

-- A corrected time must be the same for every copy of an event, whichever door it came through.
create table clock_correction (
  idempotency_key uuid        not null,
  reported_at     timestamptz not null,
  at              timestamptz not null,
  made_at         timestamptz not null default now(),
  primary key (idempotency_key, reported_at)
);

-- name -> [at and key of the event that gave it, as one text that sorts in their order; value].
-- The greater event wins; of too many names the first 64 by code point stay, which is the same for
-- every order of merging.
create function metric_merge(a jsonb, b jsonb) returns jsonb immutable parallel safe language sql as $$
  select jsonb_object_agg(name, slot) from (
    select coalesce(x.key, y.key) as name,
      case when x.value is null then y.value
           when y.value is null then x.value
           when (y.value ->> 0) collate "C" > (x.value ->> 0) collate "C" then y.value
           else x.value end as slot
    from jsonb_each(a) x full join jsonb_each(b) y on x.key = y.key
    order by coalesce(x.key, y.key) collate "C" limit 64) merged $$;

-- The state of a job: one row of slots, each a register that takes events in any order and any
-- number of times (a minimum, a maximum, or "the greatest (at, key) wins"). What is shown is
-- generated from the slots, so the two cannot disagree. Rules: wire.md, "State of a job".
create table job (
  job_id            uuid primary key,
  given_started_at  timestamptz,
  started_event_at  timestamptz,
  first_event_at    timestamptz not null,
  last_event_at     timestamptz not null,
  last_event_key    uuid        not null,
  app_id            uuid        not null,
  app_name          text        not null,
  app_version       text        not null,
  site_id           text        not null,
  parent_id         uuid,
  job_key           text,
  sub_key           text,
  end_event_at      timestamptz,
  end_event_key     uuid,
  end_status        text,
  ended_at          timestamptz,
  given_duration_s  float8,
  end_metadata      jsonb,
  start_meta_at     timestamptz,
  start_meta_key    uuid,
  start_metadata    jsonb,
  progress_meta_at  timestamptz,
  progress_meta_key uuid,
  progress_metadata jsonb,
  progress_at       timestamptz,
  progress_key      uuid,
  progress          float8,
  error_at          timestamptz,
  error_key         uuid,
  last_error        text,
  cpu_user_s        float8,
  cpu_system_s      float8,
  mem_max_mb        float8,
  metrics           jsonb,
  event_count       int         not null,
  error_count       int         not null,
  inserted_at       timestamptz not null default now(),
  updated_at        timestamptz not null default now(),
  status text not null generated always as (coalesce(end_status, 'running')) stored,
  started_at timestamptz not null generated always as (coalesce(
    given_started_at, started_event_at,
    (ended_at at time zone 'UTC' - make_interval(secs => given_duration_s)) at time zone 'UTC',
    first_event_at)) stored,
  duration_s float8 generated always as (coalesce(given_duration_s, case
    when ended_at is null then null
    else greatest(0, extract(epoch from ended_at - coalesce(given_started_at, started_event_at, first_event_at))::float8)
  end)) stored,
  -- The ten minutes in which it was last heard of. An index on last_event_at itself would make every
  -- progress event write to every index (no HOT update); this changes six times an hour at most.
  seen_bin timestamp not null generated always as (
    date_bin('10 minutes', last_event_at at time zone 'UTC', timestamp '2000-01-01')) stored
) with (fillfactor = 80);

create table subjob (like job including defaults including generated including storage) with (fillfactor = 80);
alter table subjob rename column job_id to subjob_id;
alter table subjob add primary key (subjob_id);

-- Lists are newest first by the time that was asked for; ties by id.
create index job_started on job (started_at desc, job_id desc);
create index job_open on job (status, started_at desc, job_id desc) where status <> 'succeeded';
create index job_app on job (app_name, started_at desc, job_id desc);
create index job_ended on job (ended_at desc, job_id desc) where ended_at is not null;
create index job_seen on job (seen_bin desc);
create index job_key on job (job_key, started_at desc) where job_key is not null;
create index subjob_started on subjob (started_at desc, subjob_id desc);
create index subjob_open on subjob (status, started_at desc, subjob_id desc) where status <> 'succeeded';
create index subjob_ended on subjob (ended_at desc, subjob_id desc) where ended_at is not null;
create index subjob_seen on subjob (seen_bin desc);
create index subjob_key on subjob (job_key, started_at desc) where job_key is not null;
create index subjob_parent on subjob (parent_id, started_at);

-- Old programs make a new app_id for every run, so an app is its site and name.
create table app (
  site_id       text        not null,
  name          text        not null,
  app_id        uuid        not null,
  version       text        not null,
  first_seen_at timestamptz not null default now(),
  last_seen_at  timestamptz not null default now(),
  primary key (site_id, name)
);

-- One sidecar's spool: the numbers received of it. Gaps are what is missing between them.
create table source (
  source_id        text        not null,
  epoch            text        not null,
  received         int8multirange not null,
  last_at          timestamptz not null,
  last_received_at timestamptz not null,
  last_stored_at   timestamptz not null default now(),
  lag_s            float8      not null,
  clock_offset_s   float8      not null,
  primary key (source_id, epoch)
);

-- A row per ingest transaction that brought something to show. Numbered under advisory lock 7001 as
-- the last statement, so rows become visible in the order of their numbers and a reader that has
-- seen pos has seen all below it.
create table live_batch (
  pos       bigint primary key,
  batch     bigint      not null,
  n         int         not null,
  at_min    timestamptz not null,
  at_max    timestamptz not null,
  stored_at timestamptz not null default now()
);
create sequence live_pos;

-- How long runs usually take, by what they are runs of; the basis of "stuck" and "lost".
create table baseline (
  entity_type "char" not null,
  site_id     text not null,
  app_name    text not null,
  app_version text not null,
  recipe      text not null,
  runs        int    not null,
  p05_s       float8 not null,
  p50_s       float8 not null,
  p95_s       float8 not null,
  p99_s       float8 not null,
  -- Usual longest silence between two events of one run.
  gap_s       float8 not null,
  made_at     timestamptz not null default now(),
  primary key (entity_type, site_id, app_name, app_version, recipe)
);

-- Written last, after the file was read back and matched.
create table archive_file (
  kind        text        not null,
  site_id     text        not null,
  hour        timestamptz not null,
  path        text        not null,
  rows        bigint      not null,
  bytes       bigint      not null,
  sha256      text        not null,
  at_min      timestamptz,
  at_max      timestamptz,
  verified_at timestamptz not null default now(),
  primary key (kind, site_id, hour, path)
);
