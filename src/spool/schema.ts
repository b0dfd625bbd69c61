/**
 * The spool: events that a sidecar answered for and that are not delivered to every sink yet.
 *
 * Files in SPOOL_DIR
 *   spool.db, spool.db-wal   SQLite in WAL mode, synchronous=FULL
 *   lock.db                  held by the sidecar that uses the folder, before it looks at anything
 *   source-id                the id of this sidecar; outlives the database
 *   source-id.damaged        what was in its place and is no id
 *   last-seq                 the last number once more, see last-seq.ts
 *   paused                   the sinks that an operator has paused, while there are any: pauses.ts
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
 *      been synced. Nothing is answered from memory. `seq` counts every accepted event from 1 without
 *      gaps; a refused event gets none. Events that were carried over from a damaged database have
 *      numbers below 1, see positions.ts.
 *   2. `sink.acked` on disk never runs ahead of the truth. It may lag: the positions, rejects, gaps and
 *      states of all sinks wait in memory and are written in the next append's commit, or in one of their own
 *      after 100 ms, or at the stop (ledger.ts). A kill offers again at most what was settled in that time.
 *   3. An event is deleted when `seq <= min(acked)` over every row of `sink`, also of those that are not
 *      configured now, and never for another reason; at most 4,000 rows a commit.
 *   4. A position moves by a verdict, by a reject written in the same commit, or by a row of `gap` written
 *      in the same commit; never otherwise. A gap is made by an operator; or for a sink that is not required,
 *      only above 70 % of the cap, from the one furthest behind.
 *   5. The door looks at required sinks alone: ticks are refused when these hold more than 80 % of the
 *      cap, everything at 100 % (or on a full disk). No event is refused for what other sinks are owed.
 *   6. For each sink at every moment, the events that came in since it began are
 *      `delivered + filtered + rejected + skipped` and those that it is still owed.
 *   7. The rejects of a sink are bounded; at the bound it stops, and nothing is dropped. One that is
 *      retried is offered to its own sink alone, before new events, with the number and stamp that it had.
 *   8. A key stays in `key_a` or `key_b` for at least the last 24 hours or million events (a twentieth of
 *      the cap, if that is less) from its acceptance, whatever sinks do.
 *   9. Memory: the events read and not acknowledged are 64 MiB for all sinks together, and one event more
 *      for each. The newest 2 MiB are kept, and serve all sinks that are up to date.
 *
 * `source.seq` of the events stamped here is contiguous from 1 within an `epoch`, and an epoch is one
 * opening of the spool: a folder that went back in time, or a copy of it, opens under another epoch, so no
 * number is ever given to two events. An event keeps the stamp that it was given, whatever opens the
 * spool later.
 *
 * A commit is synced before the next one is written (FULL), so of a sound log at most the commit that
 * was under way is missing; wal-check.ts relies on it.
 *
 * Measured for the choice (500-byte events, a hundred a commit, each synced): SQLite 129,000
 * events/s, a plain file with fdatasync 182,000; a log of our own was not worth its bugs.
 */
export const formatVersion = 3

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

/**
 * Columns that format 3 adds to the tables that may be large, with the value of rows from before: nothing
 * is written again when a spool is taken over, however full its disk is.
 */
export const addedColumns = {
  event: [
    // Sum of all bodies up to this one, so that what a sink is owed is a subtraction; 0: not known.
    'bytes_to integer not null default 0',
    // From the id of the job (core/event-marks.ts), so that nobody parses to find it; -1: not known.
    'lane integer not null default -1',
    // Kind and entity type, for filters; -1: not known.
    'class integer not null default -1',
  ],
  reject: [
    // How often it was offered again.
    'tries integer not null default 0',
    // Since when it is to be offered again (ms since 1970); null: it rests.
    'retry_at integer',
  ],
} as const

/** Tables that format 3 has, or has otherwise. All are small. */
export const newInFormat3 = `
create table sink (
  name          text    primary key,
  -- Every event up to this seq is dealt with: taken, refused, filtered or skipped.
  acked         integer not null,
  -- The live lane, for a sink that takes new events before its backlog: what is after live_from and
  -- not after live_acked is dealt with too. Both are null when there is none.
  live_from     integer,
  live_acked    integer,
  required      integer not null default 1,
  -- Text of the sink's own, of at most 4 KiB, written with the position that it belongs to.
  state         text,
  -- The events from first_seq on that it took, did not want, refused, and was never offered.
  delivered     integer not null default 0,
  filtered      integer not null default 0,
  rejected      integer not null default 0,
  skipped       integer not null default 0,
  first_seq     integer not null default 1
) strict;

-- Events that a sink was not offered, or whose answer was not waited for.
create table gap (
  id            integer primary key,
  sink          text    not null,
  from_seq      integer not null,
  to_seq        integer not null,
  -- How many events, and when the first and the last of them came in (ms since 1970).
  events        integer not null,
  from_ms       integer not null,
  to_ms         integer not null,
  at_ms         integer not null,
  reason        text    not null
) strict;
`

export const schemaSql = `${newInFormat2}${newInFormat3}
create table event (
  seq           integer primary key,
  -- Number under our epoch; null when the event carries the stamp of an earlier spool.
  source_seq    integer,
  received_ms   integer not null,
  -- The event as JSON, without the stamp that peek puts on.
  body          text    not null,
  ${addedColumns.event.join(',\n  ')}
) strict;

-- Reported time (8 bytes) and idempotency key (16 bytes): the identity of an event.
create table key_a (key blob primary key) strict, without rowid;
create table key_b (key blob primary key) strict, without rowid;

create table reject (
  id            integer primary key,
  sink          text    not null,
  seq           integer not null,
  rejected_ms   integer not null,
  field         text    not null,
  detail        text    not null,
  -- The event as it was sent, with its stamp.
  body          text    not null,
  ${addedColumns.reject.join(',\n  ')}
) strict;
`
