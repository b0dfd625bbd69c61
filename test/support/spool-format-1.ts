import { join } from 'node:path'
import Database from 'better-sqlite3'

/** A spool as the first version made it: one epoch for the whole database, and no `last-seq`. */
export function makeFormat1(dir: string, epoch: string, bodies: readonly (string | null)[]): void {
  const db = new Database(join(dir, 'spool.db'))
  db.pragma('page_size = 8192')
  db.pragma('journal_mode = wal')
  db.exec(schemaSql)
  db.prepare(
    'insert into meta (one, format, epoch, created_at, key_since) values (1, 1, ?, ?, 0)',
  ).run(epoch, '2026-03-01T12:00:00.000Z')
  const put = db.prepare('insert into event values (?, ?, 0, ?)')
  for (const [i, body] of bodies.entries()) put.run(i + 1, i + 1, body)
  db.close()
}

const schemaSql = `
create table meta (
  one           integer primary key check (one = 1),
  format        integer not null,
  epoch         text    not null,
  created_at    text    not null,
  -- Events that came with a stamp of an earlier spool; they take a seq but no number of ours.
  forwarded     integer not null default 0,
  -- Which of the two key tables is being filled, and since when (ms since 1970).
  key_table     text    not null default 'key_a',
  key_since     integer not null,
  -- Highest seq whose key is in the table that is not being filled.
  key_old_seq   integer not null default 0
) strict;

create table event (
  seq           integer primary key,
  -- Number under our epoch; null when the event carries the stamp of an earlier spool.
  source_seq    integer,
  received_ms   integer not null,
  -- The event as JSON, without the stamp that peek puts on.
  body          text    not null
) strict;

-- Reported time (8 bytes) and idempotency key (16 bytes): the identity of an event.
create table key_a (key blob primary key) strict, without rowid;
create table key_b (key blob primary key) strict, without rowid;

create table sink (
  name          text    primary key,
  -- Every event up to this seq was taken or refused by this sink.
  acked         integer not null
) strict;

create table reject (
  id            integer primary key,
  sink          text    not null,
  seq           integer not null,
  rejected_ms   integer not null,
  field         text    not null,
  detail        text    not null,
  -- The event as it was sent, with its stamp.
  body          text    not null
) strict;
`
