-- Raw events on plain PostgreSQL: native range partitions by day (UTC), made ahead by the
-- maintenance loop. Times outside the open days go to event_late, so no client can make partitions.
create table event (like event_late including defaults including storage) partition by range (at);
alter table event add primary key (at, idempotency_key);
create index event_entity on event (entity_id, at);
create index event_batch on event using brin (batch) with (pages_per_range = 8);

-- Made beside and attached: "create table ... partition of" would lock out every reader and writer.
create function make_event_partition(day date) returns void language plpgsql as $$
declare name text := 'event_' || to_char(day, 'YYYYMMDD');
begin
  if to_regclass(name) is not null then return; end if;
  execute format('create table %I (like event including defaults including storage)', name);
  execute format('alter table event attach partition %I for values from (%L) to (%L)', name,
    day::timestamp at time zone 'UTC', (day + 1)::timestamp at time zone 'UTC');
end $$;

-- Days from that of the horizon to the day before open_until.
create function make_event_partitions(from_at timestamptz, until_at timestamptz) returns void language sql as $$
  select make_event_partition(d::date)
  from generate_series((from_at at time zone 'UTC')::date, ((until_at at time zone 'UTC') - interval '1 microsecond')::date, interval '1 day') d $$;
select make_event_partitions(frozen_before, open_until) from horizon;
