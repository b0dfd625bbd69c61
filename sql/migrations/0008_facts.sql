-- What lists filter by and running jobs are judged by, out of the metadata that the reader shows (the
-- end's over the latest progress' over the start's). Columns, not indexes over expressions: a progress
-- event that changes none of them stays a HOT update. Adding them rewrites both tables once.

-- A word or a number under an agreed name; null for anything else, and for an empty text. At most 200
-- code points, for indexes have a limit.
create function fact_text(given jsonb) returns text immutable parallel safe language sql as $$
  select nullif(left(case when jsonb_typeof(given) in ('string', 'number') then given #>> '{}' end, 200), '') $$;

-- A number over 0, as seconds; null for anything else. Kept within what a double holds: it is compared
-- with durations only.
create function fact_seconds(given jsonb) returns float8 immutable parallel safe language sql as $$
  select case when jsonb_typeof(given) = 'number' then
    case when (given #>> '{}')::numeric > 0
      then least(greatest((given #>> '{}')::numeric, 1e-300), 1e300)::float8 end end $$;

-- The rules of parseTime in src/core/time.ts: RFC 3339 with an offset, 1970 to 9999, cut to
-- microseconds; null for anything else. A cast would depend on settings, and would raise. In PL/pgSQL,
-- because in a generated column a function in SQL that is not one expression is planned for every row.
create function fact_time(given jsonb) returns timestamptz immutable strict parallel safe language plpgsql as $$
declare
  m text[];
  at timestamp;
begin
  if jsonb_typeof(given) <> 'string' then return null; end if;
  m := regexp_match(given #>> '{}',
    '^([0-9]{4})-([0-9]{2})-([0-9]{2})[Tt ]([0-9]{2}):([0-9]{2}):([0-9]{2})(?:\.([0-9]{1,9}))?(?:[Zz]|([+-])([0-9]{2}):([0-9]{2}))$');
  if m is null or m[1] < '1970' or m[2] not between '01' and '12' or m[3] < '01' or m[4] > '23'
    or m[5] > '59' or m[6] > '59' or m[9] > '23' or m[10] > '59' then return null; end if;
  if m[3]::int > extract(day from make_date(m[1]::int, m[2]::int, 1) + interval '1 month' - interval '1 day') then return null; end if;
  at := make_timestamp(m[1]::int, m[2]::int, m[3]::int, m[4]::int, m[5]::int, m[6]::int)
    + interval '1 microsecond' * coalesce(rpad(left(m[7], 6), 6, '0'), '0')::int
    - case m[8] when '-' then -1 else 1 end * make_interval(hours => coalesce(m[9], '0')::int, mins => coalesce(m[10], '0')::int);
  if at < timestamp '1970-01-01' or at >= timestamp '10000-01-01' then return null; end if;
  return at at time zone 'UTC';
end $$;

alter table job
  add column tool text generated always as (fact_text(coalesce(end_metadata -> 'tool', progress_metadata -> 'tool', start_metadata -> 'tool'))) stored,
  add column chamber text generated always as (fact_text(coalesce(end_metadata -> 'chamber', progress_metadata -> 'chamber', start_metadata -> 'chamber'))) stored,
  add column recipe text generated always as (fact_text(coalesce(end_metadata -> 'recipe', progress_metadata -> 'recipe', start_metadata -> 'recipe'))) stored,
  add column host text generated always as (fact_text(coalesce(end_metadata -> 'host', progress_metadata -> 'host', start_metadata -> 'host'))) stored,
  add column error_type text generated always as (fact_text(coalesce(end_metadata -> 'error_type', progress_metadata -> 'error_type', start_metadata -> 'error_type'))) stored,
  add column heartbeat_s float8 generated always as (fact_seconds(coalesce(end_metadata -> 'heartbeat_s', progress_metadata -> 'heartbeat_s', start_metadata -> 'heartbeat_s'))) stored,
  add column max_run_s float8 generated always as (fact_seconds(coalesce(end_metadata -> 'max_duration_s', progress_metadata -> 'max_duration_s', start_metadata -> 'max_duration_s'))) stored,
  add column due_at timestamptz generated always as (fact_time(coalesce(end_metadata -> 'due_at', progress_metadata -> 'due_at', start_metadata -> 'due_at'))) stored;

alter table subjob
  add column tool text generated always as (fact_text(coalesce(end_metadata -> 'tool', progress_metadata -> 'tool', start_metadata -> 'tool'))) stored,
  add column chamber text generated always as (fact_text(coalesce(end_metadata -> 'chamber', progress_metadata -> 'chamber', start_metadata -> 'chamber'))) stored,
  add column recipe text generated always as (fact_text(coalesce(end_metadata -> 'recipe', progress_metadata -> 'recipe', start_metadata -> 'recipe'))) stored,
  add column host text generated always as (fact_text(coalesce(end_metadata -> 'host', progress_metadata -> 'host', start_metadata -> 'host'))) stored,
  add column error_type text generated always as (fact_text(coalesce(end_metadata -> 'error_type', progress_metadata -> 'error_type', start_metadata -> 'error_type'))) stored,
  add column heartbeat_s float8 generated always as (fact_seconds(coalesce(end_metadata -> 'heartbeat_s', progress_metadata -> 'heartbeat_s', start_metadata -> 'heartbeat_s'))) stored,
  add column max_run_s float8 generated always as (fact_seconds(coalesce(end_metadata -> 'max_duration_s', progress_metadata -> 'max_duration_s', start_metadata -> 'max_duration_s'))) stored,
  add column due_at timestamptz generated always as (fact_time(coalesce(end_metadata -> 'due_at', progress_metadata -> 'due_at', start_metadata -> 'due_at'))) stored;

-- An index for each fact that a list filters by; only jobs have them, as with apps.
create index job_tool on job (tool, started_at desc, job_id desc) where tool is not null;
create index job_chamber on job (chamber, started_at desc, job_id desc) where chamber is not null;
create index job_recipe on job (recipe, started_at desc, job_id desc) where recipe is not null;
create index job_host on job (host, started_at desc, job_id desc) where host is not null;
create index job_error_type on job (error_type, started_at desc, job_id desc) where error_type is not null;

-- Failures are listed by their end.
create index job_open_ended on job (status, ended_at desc, job_id desc) where status <> 'succeeded' and ended_at is not null;
create index subjob_open_ended on subjob (status, ended_at desc, subjob_id desc) where status <> 'succeeded' and ended_at is not null;

-- Of the jobs that began before a window and ended in it, those that were not short: an hour of ends
-- has the others.
create index job_long on job (ended_at desc, job_id desc) where ended_at - started_at > interval '1 hour';
create index subjob_long on subjob (ended_at desc, subjob_id desc) where ended_at - started_at > interval '1 hour';
