import Database from 'better-sqlite3'
import { clock } from '../platform/clock.ts'
import type { Db } from './db.ts'
import { newEpoch, readEpochs } from './epochs.ts'
import {
  addedColumns,
  epochPattern,
  formatVersion,
  newInFormat2,
  newInFormat3,
  schemaSql,
} from './schema.ts'

/** A new spool.db. */
export function createDatabase(path: string): Db {
  const db = openDatabase(path)
  try {
    initialize(db)
    return db
  } catch (error) {
    db.close()
    throw error
  }
}

/** @throws SqliteError when the file is locked or cannot be read as a database */
export function openDatabase(path: string): Db {
  const db = new Database(path)
  try {
    configure(db)
    return db
  } catch (error) {
    // It would hold the lock on the file.
    db.close()
    throw error
  }
}

export function initialize(db: Db): void {
  db.transaction(() => {
    db.exec(schemaSql)
    db.prepare(
      'insert into meta (one, format, id, created_at, key_since) values (1, ?, ?, ?, ?)',
    ).run(formatVersion, newEpoch(), clock.now(), clock.nowMs())
  })()
}

/**
 * Brings the spool of an earlier version to the format of now, in one commit and in place: no event is
 * written again, so it takes the same time whatever its size and little space.
 *
 * @param format 1: its events all have their numbers under the one epoch of the database; 2: it kept
 *   nothing of a sink but its position
 * @throws when it is not a sound spool; then it is as it was
 */
export function migrate(db: Db, format: number, newSourceId: () => string): void {
  db.transaction(() => {
    if (format === 1) toFormat2(db, newSourceId())
    toFormat3(db)
    checkHeader(db)
  })()
}

function toFormat2(db: Db, sourceId: string): void {
  const old = db.prepare('select * from meta').get() as Record<string, string>
  if (!epochPattern.test(String(old.epoch))) throw new Error('spool.db has an invalid header row')
  db.exec(`drop table meta; ${newInFormat2}`)
  db.prepare('insert into meta values (1, ?, ?, ?, ?, ?, ?)').run(
    ...[2, old.epoch, old.created_at, old.key_table, old.key_since, old.key_old_seq],
  )
  db.prepare('insert into epoch values (0, ?, ?)').run(sourceId, old.epoch)
}

/** A sink begins to be counted at the position that it had. */
function toFormat3(db: Db): void {
  for (const [table, columns] of Object.entries(addedColumns)) {
    for (const column of columns) db.exec(`alter table ${table} add column ${column}`)
  }
  db.exec(`alter table sink rename to old_sink; ${newInFormat3}
    insert into sink (name, acked, first_seq) select name, acked, acked + 1 from old_sink;
    drop table old_sink; update meta set format = ${formatVersion}`)
}

function configure(db: Db): void {
  // Exclusive: a second sidecar on the same folder would deliver everything twice.
  db.pragma('locking_mode = exclusive')
  // Of a new database; an old one keeps its own. A page costs some system calls, whatever its size.
  db.pragma('page_size = 8192')
  db.pragma('journal_mode = wal')
  db.pragma('synchronous = full')
  db.pragma('journal_size_limit = 8388608')
  db.pragma('cache_size = -32000')
  db.pragma('temp_store = memory')
}

/** A file that SQLite takes for sound may still not be ours: a flipped bit in a name is enough. */
export function checkHeader(db: Db): void {
  if (shapeOf(db) !== ownShape()) throw new Error('spool.db does not have the tables of a spool')
  const { id, key_table } = db.prepare('select * from meta').get() as Record<string, string>
  const sound = epochPattern.test(String(id)) && /^key_[ab]$/.test(String(key_table))
  if (!sound) throw new Error('spool.db has an invalid header row')
  readEpochs(db)
}

/**
 * The events are numbered without gaps, so their first and last say how many there are. Reads both
 * whole, which is where events go out and come in; reads and counts all where that is quick.
 *
 * @param gap how many numbers before 1 no event has, of a spool whose first events were carried over
 */
export function checkEnds(db: Db, count = false, gap = 0): void {
  const read = (order: string) =>
    db.prepare(`select seq, length(body) from event order by seq ${order} limit 1`).raw().get() as
      | [number, number]
      | undefined
  const [first, last] = [read('asc'), read('desc')]
  if (!count || !first || !last) return
  // With their texts: where the file was cut off SQLite's own check sees zeros and is content.
  const all = db.prepare('select count(*), sum(length(body)) from event').raw()
  const [found] = all.get() as [number]
  const jump = first[0] <= 0 && last[0] > 0 ? gap : 0
  const missing = last[0] - first[0] + 1 - jump - found
  if (missing !== 0) throw new Error(`spool.db lacks ${missing} of its events`)
}

/** But for what carry-table.ts makes, where there is something to carry over. */
function shapeOf(db: Db): string {
  const all = db.prepare('select type, name, sql from sqlite_master order by name').all() as Shape[]
  const own = all.filter(({ name }) => name !== 'carry')
  return JSON.stringify(own.map(({ sql, ...of }) => ({ ...of, sql: sql && withoutLayout(sql) })))
}

type Shape = { type: string; name: string; sql: string | null }

/** Columns that were added later are in the text without layout and comments. */
const withoutLayout = (sql: string) =>
  sql
    .replaceAll(/--.*/g, '')
    .replaceAll(/\s+/g, ' ')
    .replaceAll(/ ?([(),]) ?/g, '$1')

function ownShape(): string {
  const db = new Database(':memory:')
  db.exec(schemaSql)
  const shape = shapeOf(db)
  db.close()
  return shape
}
