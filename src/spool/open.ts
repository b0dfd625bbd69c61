import { randomBytes } from 'node:crypto'
import {
  accessSync,
  closeSync,
  constants,
  copyFileSync,
  existsSync,
  fsyncSync,
  linkSync,
  mkdirSync,
  openSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { hostname } from 'node:os'
import { dirname, join } from 'node:path'
import Database from 'better-sqlite3'
import { ConfigError } from '../core/errors.ts'
import { type Salvaged, salvage } from './salvage.ts'
import { epochPattern, formatVersion, schemaSql } from './schema.ts'
import { lostCommits } from './wal-check.ts'

export type Db = InstanceType<typeof Database>

/** What was found at start: for the log, for health, for the operator. */
export type OpenReport = {
  /** Events on disk that wait for delivery. */
  recovered: number
  /** Set when the database could not be read and was moved away. */
  damaged?: { movedTo: string; reason: string; salvaged: number; unreadable: number }
}

export type Opened = {
  db: Db
  /** Holds the folder until it is closed. */
  lock: Db
  sourceId: string
  report: OpenReport
}

/**
 * Opens the spool of a folder, whatever the last crash left there. A database that cannot be read
 * is set aside whole, and every event that can still be read is carried over into a new one with
 * the stamp it had.
 *
 * @throws ConfigError when the folder cannot be used at all, or another sidecar uses it
 */
export function openSpool(dir: string): Opened {
  makeDir(dir)
  const path = join(dir, 'spool.db')
  const lock = takeLock(dir, path)
  try {
    const sourceId = readSourceId(dir)
    return { ...openLocked(dir, path, sourceId), lock, sourceId }
  } catch (error) {
    lock.close()
    throw error
  }
}

/** Before anything is looked at: what another sidecar is writing would look damaged. */
function takeLock(dir: string, path: string): Db {
  let lock: Db | undefined
  try {
    lock = new Database(join(dir, 'lock.db'))
    lock.exec('begin exclusive')
    return lock
  } catch (error) {
    lock?.close()
    const { code = 'unknown' } = error as { code?: string }
    throw code === 'SQLITE_BUSY' ? inUse(path) : unusable(path, code)
  }
}

type OpenedDb = Pick<Opened, 'db' | 'report'>

function openLocked(dir: string, path: string, sourceId: string): OpenedDb {
  finishSwap(dir, path)
  if (sizeOf(path) === 0) return beginAnew(dir, path)
  const lost = keepDamagedLog(dir, path)
  // Numbers that were given to what is lost must not be given again: a new database is a new epoch.
  const opened =
    lost > 0
      ? { reason: `its log is damaged; up to ${lost} commits in it are lost` }
      : tryOpen(dir, path)
  if ('db' in opened) return { db: opened.db, report: { recovered: 0 } }
  return replaceDamaged(dir, path, sourceId, opened.reason)
}

/**
 * A damaged log gets a second name first: opening the database takes in what SQLite can read of it
 * and deletes it, and after a crash then nothing would tell that there was more.
 *
 * @returns how many commits are lost, 0 for a log that is sound
 */
function keepDamagedLog(dir: string, path: string): number {
  const kept = path + damagedLog
  if (existsSync(kept)) return Math.max(1, lostCommits(kept))
  const log = `${path}-wal`
  const lost = existsSync(log) ? lostCommits(log) : 0
  if (lost > 0) {
    nameAgain(log, kept)
    syncFolder(dir)
  }
  return lost
}

/** A copy where the file system knows no second names; the log is a few MiB. */
function nameAgain(file: string, name: string): void {
  try {
    linkSync(file, name)
  } catch {
    copyFileSync(file, `${name}.partial`)
    renameSync(`${name}.partial`, name)
  }
}

const damagedLog = '-wal.damaged'

const sizeOf = (file: string) => (existsSync(file) ? statSync(file).size : 0)

/** SQLite would delete a log whose database is empty; what is in it belongs to the operator. */
function beginAnew(dir: string, path: string): OpenedDb {
  const reason = 'spool.db is empty or gone, and its log is not'
  const left = sizeOf(`${path}-wal`) > 0 || existsSync(path + damagedLog)
  const movedTo = left ? moveAside(dir, path) : undefined
  const damaged = movedTo && { damaged: { movedTo, reason, salvaged: 0, unreadable: 0 } }
  return { db: create(path), report: { recovered: 0, ...damaged } }
}

function makeDir(dir: string): void {
  try {
    mkdirs(dir)
    accessSync(dir, constants.W_OK)
  } catch (error) {
    throw new ConfigError(
      `SPOOL_DIR: cannot write to ${dir} (${(error as NodeJS.ErrnoException).code}); give a folder that this user may write to, on a disk with space`,
    )
  }
}

/** Not by mkdir's own `recursive`: below a folder such as /proc that never ends. */
function mkdirs(dir: string): void {
  if (existsSync(dir)) return
  mkdirs(dirname(dir))
  mkdirSync(dir, { mode: 0o750 })
}

function readSourceId(dir: string): string {
  const path = join(dir, 'source-id')
  const known = existsSync(path) ? readFileSync(path, 'utf8').trim() : ''
  if (known !== '') return known
  const id = `${hostname().slice(0, 100) || 'sidecar'}-${randomBytes(4).toString('hex')}`
  writeFileSync(path, `${id}\n`)
  return id
}

function create(path: string): Db {
  const db = open(path)
  initialize(db)
  return db
}

function open(path: string): Db {
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

function initialize(db: Db): void {
  db.transaction(() => {
    db.exec(schemaSql)
    db.prepare(
      'insert into meta (one, format, epoch, created_at, key_since) values (1, ?, ?, ?, ?)',
    ).run(formatVersion, newEpoch(), new Date().toISOString(), Date.now())
  })()
}

/** Sorts by time, so that the latest epoch of a source is the greatest. */
const newEpoch = () =>
  `${new Date().toISOString().replaceAll(/[-:.]/g, '')}-${randomBytes(4).toString('hex')}`

function configure(db: Db): void {
  // Exclusive: a second sidecar on the same folder would deliver everything twice.
  db.pragma('locking_mode = exclusive')
  db.pragma('journal_mode = wal')
  db.pragma('synchronous = full')
  db.pragma('journal_size_limit = 8388608')
  db.pragma('cache_size = -32000')
  db.pragma('temp_store = memory')
}

function tryOpen(dir: string, path: string, again = true): { db: Db } | { reason: string } {
  let db: Db | undefined
  try {
    db = open(path)
    const check = db.pragma('quick_check(1)', { simple: true })
    if (check !== 'ok') throw new Error(String(check))
    // A crash between making the file and its tables leaves an empty database: begin again.
    if (db.prepare('select count(*) from sqlite_master').pluck().get() === 0) initialize(db)
    const format = db.prepare('select format from meta').pluck().get()
    if (typeof format !== 'number') throw new Error('the spool has no head')
    // Beyond a hundred it is no version that anybody will make.
    if (format > formatVersion && format < 100) throw newerFormat(path, format)
    checkHead(db)
    return { db }
  } catch (error) {
    db?.close()
    const { code } = error as { code?: string }
    if (error instanceof ConfigError) throw error
    if (code === 'SQLITE_FULL' && again) {
      // On a full disk even opening may need space: that is what the ballast is for.
      rmSync(join(dir, 'ballast'), { force: true })
      return tryOpen(dir, path, false)
    }
    if (code === 'SQLITE_BUSY' || code === 'SQLITE_LOCKED') throw inUse(path)
    // A disk that is full or fails to answer is no damage: a new file would help nobody.
    if (
      /^SQLITE_(FULL|CANTOPEN|READONLY|PERM|IOERR(?!_SHORT_READ|_CORRUPTFS|_DATA))/.test(code ?? '')
    ) {
      throw unusable(path, code!)
    }
    return { reason: (error as Error).message }
  }
}

/** What SQLite takes for sound may still be nothing that we wrote: a flipped bit in a name is enough. */
function checkHead(db: Db): void {
  if (shapeOf(db) !== ownShape()) throw new Error('the tables of the spool are not its own')
  const { epoch, key_table, forwarded } = db.prepare('select * from meta').get() as Head
  const sound = epochPattern.test(epoch) && /^key_[ab]$/.test(key_table) && forwarded >= 0
  if (!sound) throw new Error('the head of the spool makes no sense')
}

type Head = { epoch: string; key_table: string; forwarded: number }

const shapeOf = (db: Db) =>
  JSON.stringify(db.prepare('select type, name, sql from sqlite_master order by name').all())

function ownShape(): string {
  const db = new Database(':memory:')
  db.exec(schemaSql)
  const shape = shapeOf(db)
  db.close()
  return shape
}

const inUse = (path: string) =>
  new ConfigError(`SPOOL_DIR: ${path} is in use by another sidecar; give each its own folder`)

const newerFormat = (path: string, format: number) =>
  new ConfigError(
    `SPOOL_DIR: ${path} has format ${format}, made by a newer wafermon; this one reads up to ${formatVersion}`,
  )

const unusable = (path: string, code: string) =>
  new ConfigError(
    `SPOOL_DIR: ${path} cannot be opened (${code}); check the disk's space, its health and the rights on the folder`,
  )

/**
 * Puts a new database with what could be read in the place of a damaged one. A crash in between
 * loses nothing: until the new one is whole the old one stays where it is, see {@link finishSwap}.
 */
function replaceDamaged(dir: string, path: string, sourceId: string, reason: string): OpenedDb {
  const partial = path + partialSuffix
  const next = create(partial)
  let salvaged: Salvaged
  try {
    salvaged = salvage(path, next, sourceId)
  } catch (error) {
    const { code } = error as { code?: string }
    throw code?.startsWith('SQLITE_') ? unusable(path, code) : error
  } finally {
    next.close()
  }
  const movedTo = moveAside(dir, path)
  renameSync(partial, path)
  syncFolder(dir)
  const db = open(path)
  return { db, report: { recovered: 0, damaged: { movedTo, reason, ...salvaged } } }
}

const partialSuffix = '.partial'
const suffixes = ['', '-wal', '-shm', '-journal', damagedLog]

/** The database itself goes first: where it is missing, the new one is known to be whole. */
function moveAside(dir: string, path: string): string {
  const movedTo = join(dir, `damaged-${new Date().toISOString().replaceAll(/[:.]/g, '')}`)
  mkdirSync(movedTo, { recursive: true })
  for (const suffix of suffixes) {
    if (existsSync(path + suffix)) renameSync(path + suffix, join(movedTo, `spool.db${suffix}`))
  }
  syncFolder(dir)
  return movedTo
}

/** Ends what a crash interrupted: a new database that is whole takes its place, another is dropped. */
function finishSwap(dir: string, path: string): void {
  const partial = path + partialSuffix
  if (!existsSync(partial)) return
  if (existsSync(path)) {
    for (const suffix of suffixes) rmSync(partial + suffix, { force: true })
    return
  }
  if (suffixes.some((suffix) => existsSync(path + suffix))) moveAside(dir, path)
  renameSync(partial, path)
  syncFolder(dir)
}

function syncFolder(dir: string): void {
  const folder = openSync(dir, 'r')
  try {
    fsyncSync(folder)
  } finally {
    closeSync(folder)
  }
}
