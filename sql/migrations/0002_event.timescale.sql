-- Raw events on TimescaleDB, either licence: a hypertable by hour. Times outside the open window go
-- to event_late, so no client can make chunks.
create table event (like event_late including defaults including storage);
alter table event add primary key (at, idempotency_key);
select create_hypertable('event', by_range('at', interval '1 hour'), create_default_indexes => false);
create index event_entity on event (entity_id, at);
create index event_batch on event using brin (batch) with (pages_per_range = 8);

-- Chunks make themselves.
create function make_event_partitions(from_at timestamptz, until_at timestamptz) returns void language sql as $$ select $$;
