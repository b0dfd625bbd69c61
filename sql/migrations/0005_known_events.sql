-- What a job remembers of its events once their raw rows are gone: a number for each, made from its
-- identity. The 64 least stay, ticks come after all others: so a job of at most 64 events knows them
-- all, and one of at most 64 besides its ticks knows all that count as errors.
alter table job add column event_hashes int8[];
alter table subjob add column event_hashes int8[];

-- The 64 least numbers of both, in order, each once.
create function hash_union(a int8[], b int8[]) returns int8[] immutable parallel safe language sql as $$
  select array(select distinct h from unnest(a || b) h order by h limit 64) $$;

-- A spool whose folder went back in time gives numbers again that other events had.
alter table source
  -- Numbers that came with more than one event.
  add column reused int8multirange not null default '{}',
  -- When that was last seen.
  add column reused_at timestamptz,
  -- What the spool accepted after this may bear a number that came before with another event.
  add column reused_after timestamptz;
