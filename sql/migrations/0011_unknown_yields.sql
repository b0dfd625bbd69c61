-- An end whose outcome is unknown yields to every other end, whatever their times: it was not seen,
-- and who saw the end may report it later. Rules: docs/wire.md, "The state of a job". In rows the upsert does it.

-- Of two parts of an entry the one whose event is greater; of ends one of unknown outcome is the least.
create or replace function attempt_later(a jsonb, b jsonb) returns jsonb immutable parallel safe language sql as $$
  select case when a is null then b when b is null then a
    when ((b ->> 'status') is distinct from 'unknown', ((b ->> 'at') || (b ->> 'key')) collate "C")
      > ((a ->> 'status') is distinct from 'unknown', ((a ->> 'at') || (a ->> 'key')) collate "C") then b else a end $$;
