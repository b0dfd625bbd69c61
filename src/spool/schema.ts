/**
 * The spool: events that a sidecar answered for and that are not delivered everywhere yet.
 *
 * Files in SPOOL_DIR
 *   spool.db, spool.db-wal   SQLite in WAL mode, synchronous=FULL
 *   lock.db                  held by the sidecar that uses the folder, before it looks at anything
 *   source-id                the id of this sidecar; outlives the database
 *   source-id.damaged        what was in its place and is no id
 *   last-seq                 the last number once more, see last-seq.ts
 *   spool.db.unsound         a note that the next start has to repair the database
 *   ballast                  16 MiB, or less on a small disk, that are released when a write fails, so
 *                            that deliveries can still be acknowledged and the spool can shrink
 *   damaged-<time>/          databases that could not be read, set aside at start; `unfinished` in it is
 *                            a note that its events are still to be carried over, see swap.ts
 *   spool.db.partial         a new database, until it takes the place of a damaged one
 *   spool.db-wal.damaged     its log, kept before anything is done to it
 *
 * Invariants
 *   1. An append is answered, and its events are handed to sinks, after the commit that holds it has
 *      been synced. Nothing is answered from memory.
 *   2. `seq` counts every accepted event from 1 without gaps; a refused event gets none. Events that were
 *      carried over from a damaged database have numbers below 1, see positions.ts.
 *   3. An event is deleted when every sink has acknowledged its `seq`, in the transaction that
 *      records the last of these acknowledgments, and never for another reason. Events that a sink
 *      refused permanently move to `reject` in that same transaction.
 *   4. A key stays in `key_a` or `key_b` while its event is in the spool, and for at least the last
 *      24 hours or million events after that, so that a repeat is seen.
 *   5. `source.seq` of the events stamped here is contiguous from 1 within an `epoch`, and an epoch is
 *      one opening of the spool: a folder that went back in time, or a copy of it, opens under another
 *      epoch, so no number is ever given to two events. An event keeps the stamp that it was given,
 *      whatever opens the spool later.
 *
 * A commit is synced before the next one is written (FULL), so of a sound log at most the commit that
 * was under way is missing; wal-check.ts relies on it.
 *
 * Measured for the choice (500-byte events, a hundred a commit, each synced): SQLite 129,000
 * events/s, a plain file with fdatasync 182,000; a log of our own was not worth its bugs.
 */
export const formatVersion = 2

/** The form of an epoch: the time when the spool was opened, and a random part. */
export const epochPattern = /^\d{8}T\d{9}Z-(?:[0-9a-f]{8}){1,2}$/

/** What format 1 did not have, or had otherwise. */
export const newInFormat2 = `
create table meta (
  one           integer primary key check (one = 1),
  format        integer not null,
  -- Which database this is: no other one has it but a copy.
  id            text    not null,
  created_at    text    not null,
  -- Which of the two key tables is being filled, and since when (ms since 1970).
  key_table     text    not null default 'key_a',
  key_since     integer not null,
  -- Highest seq whose key is in the table that is not being filled.
  key_old_seq   integer not null default 0
) strict;

-- The openings that gave numbers to events which are still here.
create table epoch (
  -- The first event that came in during the opening.
  first_seq     integer primary key,
  source_id     text    not null,
  epoch         text    not null
) strict;
`

export const schemaSql = `${newInFormat2}
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
