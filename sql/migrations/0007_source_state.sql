-- What each sidecar last said of itself: a row per spool, where "source" has one for each opening of it. A
-- table of its own, because ingest holds the rows of "source" until it commits: a heartbeat waits for
-- no batch, and no batch for a heartbeat.
create table source_state (
  source_id       text primary key,
  -- The opening that spoke last.
  epoch           text        not null,
  -- Its last delivery, to ten seconds; null when it never delivered.
  delivered_at    timestamptz,
  -- Its last heartbeat, by the clock of the database; null when it never sent one.
  heard_at        timestamptz,
  -- The last heartbeat was a goodbye, and nothing waited.
  gone            boolean     not null default false,
  waiting         int8,
  -- How far its clock was ahead (+) or behind (-), in seconds, by its last heartbeat and the one before.
  offset_s        float8,
  offset_before_s float8,
  -- The last heartbeat, in the shape of the wire.
  said            jsonb,
  retired_at      timestamptz,
  -- Since when `epoch` is heard; and another opening that a living sidecar still speaks for, and when it last did.
  epoch_since     timestamptz,
  twin_epoch      text,
  twin_at         timestamptz
);
insert into source_state (source_id, epoch, delivered_at)
select distinct on (source_id) source_id, epoch, last_stored_at from source
order by source_id, last_stored_at desc;

create function open_gaps(received int8multirange, accepted int8multirange) returns int8multirange
immutable parallel safe language sql as $$
  select int8multirange(int8range(1, greatest(1, upper(received)))) - received - accepted $$;

-- In PL/pgSQL, because in a generated column a function in SQL that is not one expression is planned for
-- every row.
create function count_numbers(ranges int8multirange) returns int8
immutable parallel safe language plpgsql as $$
begin
  return (select coalesce(sum(upper(r) - lower(r)), 0)::int8 from unnest(ranges) r);
end $$;

create function first_ranges(ranges int8multirange, n int) returns int8multirange
immutable parallel safe language plpgsql as $$
begin
  return (select coalesce(range_agg(r), '{}') from (select r from unnest(ranges) r limit n) first);
end $$;

-- Kept with the row, so that no question has to compute them for every source.
alter table source
  -- Missing numbers that a person accepted as lost.
  add column accepted int8multirange not null default '{}',
  -- Numbers that came with two events, as far as a person accepted that.
  add column accepted_reuse int8multirange not null default '{}',
  -- The sender whose clock is furthest off: the name of its app.
  add column clock_of text,
  -- Missing numbers, and the first hundred ranges of them.
  add column missing  int8 not null generated always as (count_numbers(open_gaps(received, accepted))) stored,
  add column gaps     int8multirange not null generated always as (first_ranges(open_gaps(received, accepted), 100)) stored;
-- Of columns that a batch without a gap leaves alone: its update stays a HOT one.
create index source_missing on source (source_id, epoch) where missing > 0;

-- Who did what, when and why. Whatever a person changes by hand is kept here.
create table audit (
  id      bigint      generated always as identity primary key,
  at      timestamptz not null default now(),
  -- The token, or `anonymous` where none is needed; and the address it came from.
  actor   text        not null,
  address text,
  action  text        not null,
  object  text        not null,
  before  jsonb,
  after   jsonb,
  reason  text
);
create index audit_at on audit (at desc);
create index audit_object on audit (object, at desc);
