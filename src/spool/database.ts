import { randomBytes } from 'node:crypto'
import Database from 'better-sqlite3'
import { clock } from '../platform/clock.ts'
import { epochPattern, formatVersion, schemaSql } from './schema.ts'

export type Db = InstanceType<typeof Database>

/** A new spool.db with an epoch of its own. */
export function createDatabase(path: string): Db {
  const db = openDatabase(path)
  initialize(db)
  return db
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
      'insert into meta (one, format, epoch, created_at, key_since) values (1, ?, ?, ?, ?)',
    ).run(formatVersion, newEpoch(), clock.now(), clock.nowMs())
  })()
}

/** Sorts by time, so that the latest epoch of a source is the greatest. */
const newEpoch = () =>
  `${clock.now().slice(0, 23).replaceAll(/[-:.]/g, '')}Z-${randomBytes(4).toString('hex')}`

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
  const { epoch, key_table, forwarded } = db.prepare('select * from meta').get() as Header
  const sound = epochPattern.test(epoch) && /^key_[ab]$/.test(key_table) && forwarded >= 0
  if (!sound) throw new Error('spool.db has an invalid header row')
}

type Header = { epoch: string; key_table: string; forwarded: number }

const shapeOf = (db: Db) =>
  JSON.stringify(db.prepare('select type, name, sql from sqlite_master order by name').all())

function ownShape(): string {
  const db = new Database(':memory:')
  db.exec(schemaSql)
  const shape = shapeOf(db)
  db.close()
  return shape
}
