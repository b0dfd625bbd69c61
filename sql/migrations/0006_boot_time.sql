-- A time that was right, for each start of a machine that does maintenance: what has passed since then
-- is known exactly, also when no process ran.
create table boot_time (
  -- The start of the machine, as its kernel names it, with the namespace of its uptime.
  boot       text        primary key,
  trusted_at timestamptz not null,
  -- Of that machine at that time, in milliseconds.
  uptime_ms  bigint      not null,
  -- As in horizon: what a person confirmed since ends this one.
  confirmed  int         not null
);
