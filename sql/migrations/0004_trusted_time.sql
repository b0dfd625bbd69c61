-- The time that maintenance goes by: the database's clock for as long as other witnesses of the time
-- agree with it. Ages are measured from it, never from now(): nothing may be deleted because a clock
-- is wrong.
alter table horizon
  add column trusted_at timestamptz not null default now(),
  -- Why the clock is in doubt. While it is, nothing is archived or deleted.
  add column doubt      text,
  -- The doubt is that the clock was set: a restart does not end it.
  add column stepped    boolean not null default false,
  -- How often a person confirmed the database's clock: wafermon db horizon --set.
  add column confirmed  int not null default 0;
