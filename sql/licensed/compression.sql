-- Chunks of raw events are compressed once they lie below the freeze horizon (src/store/rollups/compress.ts), where
-- nothing changes any more. In the order of their identity: a late event is looked for in one batch of a thousand.
do $$ begin
  if not exists (
    select from timescaledb_information.hypertables
    where hypertable_schema = current_schema() and hypertable_name = 'event' and compression_enabled) then
    alter table event set (timescaledb.compress, timescaledb.compress_orderby = 'at, idempotency_key');
  end if;
end $$;
