/**
 * The spool: events that a sidecar answered for and that are not delivered everywhere yet.
 *
 * Files in SPOOL_DIR
 *   spool.db, spool.db-wal   SQLite in WAL mode, synchronous=FULL
 *   lock.db                  held by the sidecar that uses the folder, before it looks at anything
 *   source-id                the id of this sidecar; outlives the database
 *   ballast                  16 MiB, or less on a small disk, that are released when a write fails, so
 *                            that deliveries can still be acknowledged and the spool can shrink
 *   damaged-<time>/          databases that could not be read, set aside at start
 *   spool.db.partial         the readable part of one, until it takes its place
 *   spool.db-wal.damaged     its log, kept before anything is done to it
 *
 * Invariants
 *   1. An append is answered, and its events are handed to sinks, after the commit that holds it has
 *      been synced. Nothing is answered from memory.
 *   2. `seq` counts every accepted event from 1 without gaps; a refused event gets none.
 *   3. An event is deleted when every sink has acknowledged its `seq`, in the transaction that
 *      records the last of these acknowledgments, and never for another reason. Events that a sink
 *      refused permanently move to `reject` in that same transaction.
 *   4. A key stays in `key_a` or `key_b` while its event is in the spool, and for at least the last
 *      24 hours or million events after that, so that a repeat is seen.
 *   5. `source.seq` of the events stamped here is contiguous from 1 within an `epoch`, and an epoch
 *      is a database: a new file is a new epoch.
 *
 * A commit is synced before the next one is written (FULL), so of a sound log at most the commit that
 * was under way is missing; wal-check.ts relies on it.
 *
 * Measured for the choice (500-byte events, a hundred a commit, each synced): SQLite 129,000
 * events/s, a plain file with fdatasync 182,000; a log of our own was not worth its bugs.
 */
export const formatVersion = 1

/** The form of an epoch: the time when the database was made, and a random part. */
export const epochPattern = /^\d{8}T\d{9}Z-[0-9a-f]{8}$/

export const schemaSql = `
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
