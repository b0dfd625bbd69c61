-- Attempts, waiting, and how a job ended. Rules: docs/wire.md, "The state of a job".

-- The slots of a row are those of its highest attempt; each earlier one leaves an entry in "attempts", by
-- its number. last_started_at is the latest "started", beside the earliest that started_event_at has:
-- a job that was queued after it waits again.
alter table job
  add column last_started_at timestamptz,
  add column attempt int not null default 1,
  add column attempts jsonb,
  add column queued_at timestamptz,
  add column last_queued_at timestamptz,
  add column queue_meta_at timestamptz,
  add column queue_meta_key uuid,
  add column queue_metadata jsonb;
alter table subjob
  add column last_started_at timestamptz,
  add column attempt int not null default 1,
  add column attempts jsonb,
  add column queued_at timestamptz,
  add column last_queued_at timestamptz,
  add column queue_meta_at timestamptz,
  add column queue_meta_key uuid,
  add column queue_metadata jsonb;

-- Times as core writes them; of this one form text order is time order.
create function micros_text(given timestamptz) returns text stable parallel safe language sql as $$
  select to_char(given at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') $$;

-- What is kept of an attempt: entryFromSlots in src/core/attempts.ts. Each part that is absent is left out.
create function attempt_entry(given_started_at timestamptz, started_event_at timestamptz, first_event_at timestamptz,
  queued_at timestamptz, end_event_at timestamptz, end_event_key uuid, end_status text, ended_at timestamptz,
  given_duration_s float8, end_metadata jsonb, error_at timestamptz, error_key uuid, last_error text)
returns jsonb stable parallel safe language sql as $$
  select jsonb_strip_nulls(jsonb_build_object(
    'given_started_at', micros_text(given_started_at), 'started_event_at', micros_text(started_event_at),
    'first_event_at', micros_text(first_event_at), 'queued_at', micros_text(queued_at),
    'end', case when end_event_at is not null then jsonb_build_object(
      'at', micros_text(end_event_at), 'key', end_event_key, 'status', end_status, 'ended_at', micros_text(ended_at),
      'duration_s', given_duration_s, 'exit_code', fact_text(end_metadata -> 'exit_code')) end,
    'error', case when error_at is not null then jsonb_build_object(
      'at', micros_text(error_at), 'key', error_key, 'text', left(last_error, 200)) end)) $$;

-- Of two parts of an entry the one whose event is greater by (at, key).
create function attempt_later(a jsonb, b jsonb) returns jsonb immutable parallel safe language sql as $$
  select case when a is null then b when b is null then a
    when ((b ->> 'at') || (b ->> 'key')) collate "C" > (a ->> 'at') || (a ->> 'key') then b else a end $$;

create function attempt_merge(a jsonb, b jsonb) returns jsonb immutable parallel safe language sql as $$
  select jsonb_strip_nulls(jsonb_build_object(
    'given_started_at', least((a ->> 'given_started_at') collate "C", b ->> 'given_started_at'),
    'started_event_at', least((a ->> 'started_event_at') collate "C", b ->> 'started_event_at'),
    'first_event_at', least((a ->> 'first_event_at') collate "C", b ->> 'first_event_at'),
    'queued_at', least((a ->> 'queued_at') collate "C", b ->> 'queued_at'),
    'end', attempt_later(a -> 'end', b -> 'end'),
    'error', attempt_later(a -> 'error', b -> 'error'))) $$;

-- The entries of both, merged where both have one; of too many the newest 15 stay. In PL/pgSQL, which
-- plans it once.
create function attempts_union(a jsonb, b jsonb) returns jsonb immutable parallel safe language plpgsql as $$
begin
  if a is null or b is null then return coalesce(a, b); end if;
  return (select jsonb_object_agg(number, entry) from (
    select coalesce(x.key, y.key) as number,
      case when x.value is null then y.value when y.value is null then x.value
        else attempt_merge(x.value, y.value) end as entry
    from jsonb_each(a) x full join jsonb_each(b) y on x.key = y.key
    order by coalesce(x.key, y.key)::int desc limit 15) newest);
end $$;

-- How many of the entries are of attempts that failed.
create function count_failed(attempts jsonb) returns int immutable parallel safe language sql as $$
  select jsonb_array_length(jsonb_path_query_array(attempts, '$.*.end ? (@.status == "failed")')) $$;

-- One rewrite of each table for all that is generated: what waits is "queued" until it starts; of a job
-- that waited and whose start no event tells, it is not known how long it ran; and facts may come with
-- the waiting too, below all other metadata.
alter table job
  alter column status set expression as (case
    when end_status is not null then end_status
    when last_queued_at is null then 'running'
    when coalesce(last_queued_at > greatest(given_started_at, started_event_at, last_started_at), true) then 'queued'
    else 'running' end),
  alter column duration_s set expression as (coalesce(given_duration_s, case
    when ended_at is null then null
    when queued_at is not null and given_started_at is null and started_event_at is null then null
    else greatest(0, extract(epoch from ended_at - coalesce(given_started_at, started_event_at, first_event_at))::float8)
  end)),
  alter column tool set expression as (fact_text(coalesce(end_metadata -> 'tool', progress_metadata -> 'tool', start_metadata -> 'tool', queue_metadata -> 'tool'))),
  alter column chamber set expression as (fact_text(coalesce(end_metadata -> 'chamber', progress_metadata -> 'chamber', start_metadata -> 'chamber', queue_metadata -> 'chamber'))),
  alter column recipe set expression as (fact_text(coalesce(end_metadata -> 'recipe', progress_metadata -> 'recipe', start_metadata -> 'recipe', queue_metadata -> 'recipe'))),
  alter column host set expression as (fact_text(coalesce(end_metadata -> 'host', progress_metadata -> 'host', start_metadata -> 'host', queue_metadata -> 'host'))),
  alter column error_type set expression as (fact_text(coalesce(end_metadata -> 'error_type', progress_metadata -> 'error_type', start_metadata -> 'error_type', queue_metadata -> 'error_type'))),
  alter column heartbeat_s set expression as (fact_seconds(coalesce(end_metadata -> 'heartbeat_s', progress_metadata -> 'heartbeat_s', start_metadata -> 'heartbeat_s', queue_metadata -> 'heartbeat_s'))),
  alter column max_run_s set expression as (fact_seconds(coalesce(end_metadata -> 'max_duration_s', progress_metadata -> 'max_duration_s', start_metadata -> 'max_duration_s', queue_metadata -> 'max_duration_s'))),
  alter column due_at set expression as (fact_time(coalesce(end_metadata -> 'due_at', progress_metadata -> 'due_at', start_metadata -> 'due_at', queue_metadata -> 'due_at'))),
  add column exit_code text generated always as (fact_text(coalesce(end_metadata -> 'exit_code', progress_metadata -> 'exit_code', start_metadata -> 'exit_code', queue_metadata -> 'exit_code'))) stored,
  add column queue text generated always as (fact_text(coalesce(end_metadata -> 'queue', progress_metadata -> 'queue', start_metadata -> 'queue', queue_metadata -> 'queue'))) stored,
  add column priority text generated always as (fact_text(coalesce(end_metadata -> 'priority', progress_metadata -> 'priority', start_metadata -> 'priority', queue_metadata -> 'priority'))) stored;

alter table subjob
  alter column status set expression as (case
    when end_status is not null then end_status
    when last_queued_at is null then 'running'
    when coalesce(last_queued_at > greatest(given_started_at, started_event_at, last_started_at), true) then 'queued'
    else 'running' end),
  alter column duration_s set expression as (coalesce(given_duration_s, case
    when ended_at is null then null
    when queued_at is not null and given_started_at is null and started_event_at is null then null
    else greatest(0, extract(epoch from ended_at - coalesce(given_started_at, started_event_at, first_event_at))::float8)
  end)),
  alter column tool set expression as (fact_text(coalesce(end_metadata -> 'tool', progress_metadata -> 'tool', start_metadata -> 'tool', queue_metadata -> 'tool'))),
  alter column chamber set expression as (fact_text(coalesce(end_metadata -> 'chamber', progress_metadata -> 'chamber', start_metadata -> 'chamber', queue_metadata -> 'chamber'))),
  alter column recipe set expression as (fact_text(coalesce(end_metadata -> 'recipe', progress_metadata -> 'recipe', start_metadata -> 'recipe', queue_metadata -> 'recipe'))),
  alter column host set expression as (fact_text(coalesce(end_metadata -> 'host', progress_metadata -> 'host', start_metadata -> 'host', queue_metadata -> 'host'))),
  alter column error_type set expression as (fact_text(coalesce(end_metadata -> 'error_type', progress_metadata -> 'error_type', start_metadata -> 'error_type', queue_metadata -> 'error_type'))),
  alter column heartbeat_s set expression as (fact_seconds(coalesce(end_metadata -> 'heartbeat_s', progress_metadata -> 'heartbeat_s', start_metadata -> 'heartbeat_s', queue_metadata -> 'heartbeat_s'))),
  alter column max_run_s set expression as (fact_seconds(coalesce(end_metadata -> 'max_duration_s', progress_metadata -> 'max_duration_s', start_metadata -> 'max_duration_s', queue_metadata -> 'max_duration_s'))),
  alter column due_at set expression as (fact_time(coalesce(end_metadata -> 'due_at', progress_metadata -> 'due_at', start_metadata -> 'due_at', queue_metadata -> 'due_at'))),
  add column exit_code text generated always as (fact_text(coalesce(end_metadata -> 'exit_code', progress_metadata -> 'exit_code', start_metadata -> 'exit_code', queue_metadata -> 'exit_code'))) stored,
  add column queue text generated always as (fact_text(coalesce(end_metadata -> 'queue', progress_metadata -> 'queue', start_metadata -> 'queue', queue_metadata -> 'queue'))) stored,
  add column priority text generated always as (fact_text(coalesce(end_metadata -> 'priority', progress_metadata -> 'priority', start_metadata -> 'priority', queue_metadata -> 'priority'))) stored;

-- As for the facts before them; only jobs have these.
create index job_exit_code on job (exit_code, started_at desc, job_id desc) where exit_code is not null;
create index job_queue on job (queue, started_at desc, job_id desc) where queue is not null;
create index job_priority on job (priority, started_at desc, job_id desc) where priority is not null;
create index job_retried on job (started_at desc, job_id desc) where attempt > 1;
create index subjob_retried on subjob (started_at desc, subjob_id desc) where attempt > 1;
