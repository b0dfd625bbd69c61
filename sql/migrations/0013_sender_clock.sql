-- What each process knows of the clocks of senders: two local APIs see different events of one spool, and neither
-- may judge by its own alone. Kept for an hour after it was written.
create table sender_clock (
  source_id text        not null,
  -- A local API, from its start to its end.
  writer    uuid        not null,
  -- By the name of their app, as in core/sender-clocks.ts.
  senders   jsonb       not null,
  noted_at  timestamptz not null default clock_timestamp(),
  primary key (source_id, writer)
);
