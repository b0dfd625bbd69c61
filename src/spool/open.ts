import { existsSync, readFileSync, renameSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { ConfigError } from '../core/errors.ts'
import { ensure, must } from '../core/must.ts'
import { syncFolder } from '../platform/durable-file.ts'
import { withBallast } from './ballast.ts'
import { isLarge, prepareCheckBehind } from './check-behind.ts'
import { openCursors } from './cursors.ts'
import {
  checkEnds,
  checkHeader,
  createDatabase,
  initialize,
  migrate,
  openDatabase,
} from './database.ts'
import type { Db } from './db.ts'
import { isDiskError } from './disk-error.ts'
import {
  checkNames,
  inUseError,
  makeDir,
  newerFormatError,
  takeLock,
  unusableError,
} from './folder.ts'
import { type Salvaged, salvage } from './salvage.ts'
import { formatVersion } from './schema.ts'
import { newSourceId, readSourceId, readWrittenId, type SourceIdChange } from './source-id.ts'
import { prepare, type Statements } from './statements.ts'
import {
  damagedLog,
  finishSwap,
  keepDamagedLog,
  moveAside,
  partialSuffix,
  unsoundSuffix,
} from './swap.ts'

/** The state of the spool at start: for the log, for health, for the operator. */
export type OpenReport = {
  /** Events on disk that wait for delivery. */
  recovered: number
  /** Set when the database could not be read and was moved away. */
  damaged?: { movedTo: string; reason: string; salvaged: number; unreadable: number }
  /** Set when `source-id` does not say what it said before. */
  sourceIdChange?: SourceIdChange
  /** The database is large: only what new events need was checked, the rest follows. */
  unchecked?: true
  /** It was made by an earlier version, which kept no record of the last number. */
  upgraded?: true
}

export type Opened = {
  db: Db
  /** Holds the folder until it is closed. */
  lock: Db
  sourceId: string
  statements: Statements
  report: OpenReport
} & ReturnType<typeof openCursors>

/**
 * Opens the spool of a folder, whatever the last crash left there. A database that cannot be read
 * is set aside whole, and every event that can still be read is carried over into a new one with
 * the stamp it had.
 *
 * @throws ConfigError when the folder cannot be used at all, or another sidecar uses it
 */
export function openSpool(dir: string, sinks: readonly string[]): Opened {
  makeDir(dir)
  checkNames(dir)
  const path = join(dir, 'spool.db')
  const lock = takeLock(dir, path)
  try {
    return { ...openLocked(dir, path, sinks), lock }
  } catch (error) {
    lock.close()
    const { code = 'unknown', syscall } = error as NodeJS.ErrnoException
    throw isDiskError(error) || syscall ? unusableError(path, code) : error
  }
}

function openLocked(dir: string, path: string, sinks: readonly string[]): Omit<Opened, 'lock'> {
  const { db, report } = openDb(dir, path)
  try {
    const { sourceId, change } = withBallast(dir, () => readSourceId(dir, db))
    const statements = prepare(db)
    const cursors = withBallast(dir, () => openCursors(db, statements, sinks))
    const changed = change ? { sourceIdChange: change } : {}
    return { db, sourceId, statements, ...cursors, report: { ...report, ...changed } }
  } catch (error) {
    db.close()
    throw error
  }
}

type OpenedDb = Pick<Opened, 'db' | 'report'>

function openDb(dir: string, path: string): OpenedDb {
  finishSwap(dir, path)
  if (sizeOf(path) === 0) return startEmpty(dir, path)
  const lost = withBallast(dir, () => keepDamagedLog(dir, path))
  const known =
    lost > 0 ? `its log is damaged; up to ${lost} commits in it are lost` : readUnsound(path)
  const opened =
    known === undefined ? withBallast(dir, () => tryOpen(dir, path)) : { reason: known }
  if ('reason' in opened) return replaceDamaged(dir, path, opened.reason)
  const { db, ...how } = opened
  return { db, report: { recovered: 0, ...how } }
}

const readUnsound = (path: string) =>
  existsSync(path + unsoundSuffix)
    ? readFileSync(path + unsoundSuffix, 'utf8').trim() || 'it was found damaged while in use'
    : undefined

const sizeOf = (file: string) => (existsSync(file) ? statSync(file).size : 0)

/** SQLite would delete a log whose database is empty; what is in it belongs to the operator. */
function startEmpty(dir: string, path: string): OpenedDb {
  const reason = 'spool.db is empty or missing, but its log is not'
  const left = sizeOf(`${path}-wal`) > 0 || existsSync(path + damagedLog)
  const movedTo = left ? moveAside(dir, path) : undefined
  const damaged = movedTo && { damaged: { movedTo, reason, salvaged: 0, unreadable: 0 } }
  const db = withBallast(dir, () => createDatabase(path))
  return { db, report: { recovered: 0, ...damaged } }
}

type Tried = ({ db: Db } & Pick<OpenReport, 'unchecked' | 'upgraded'>) | { reason: string }

function tryOpen(dir: string, path: string): Tried {
  let db: Db | undefined
  try {
    db = openDatabase(path)
    const unchecked = isLarge(path)
    if (!unchecked) checkWhole(db)
    // A crash between making the file and its tables leaves an empty database: begin again.
    if (db.prepare('select count(*) from sqlite_master').pluck().get() === 0) initialize(db)
    const format = db.prepare('select format from meta').pluck().get()
    if (typeof format !== 'number') throw new Error('spool.db has no header row')
    // Above a hundred it is not a version that will ever exist.
    if (format > formatVersion && format < 100) throw newerFormatError(path, format)
    if (format === 1) migrate(db, readWrittenId(dir) ?? newSourceId())
    else checkHeader(db)
    checkEnds(db, !unchecked)
    if (unchecked) prepareCheckBehind(db)
    return {
      db,
      ...(unchecked ? { unchecked } : {}),
      ...(format === formatVersion ? {} : { upgraded: true }),
    }
  } catch (error) {
    db?.close()
    const { code } = error as { code?: string }
    if (error instanceof ConfigError) throw error
    if (code === 'SQLITE_BUSY' || code === 'SQLITE_LOCKED') throw inUseError(path)
    // A disk that is full or fails to answer is not damage, and a new file would not help.
    if (
      /^SQLITE_(FULL|CANTOPEN|READONLY|PERM|IOERR(?!_SHORT_READ|_CORRUPTFS|_DATA))/.test(code ?? '')
    ) {
      throw unusableError(path, must(code, 'its pattern matched'))
    }
    return { reason: (error as Error).message }
  }
}

function salvageInto(partial: string, dir: string, path: string): Salvaged {
  // What an attempt before left.
  finishSwap(dir, path)
  const next = createDatabase(partial)
  try {
    const salvaged = salvage(path, next, readWrittenId(dir))
    emptyLog(next)
    return salvaged
  } catch (error) {
    const { code } = error as { code?: string }
    throw code?.startsWith('SQLITE_') ? unusableError(path, code) : error
  } finally {
    next.close()
  }
}

/** @throws when not all of it fits into the file: closing would leave the rest in the log, and say nothing */
function emptyLog(db: Db): void {
  const [{ busy }] = db.pragma('wal_checkpoint(truncate)') as [{ busy: number }]
  ensure(busy === 0, 'nobody else has the new database')
}

function checkWhole(db: Db): void {
  const check = db.pragma('quick_check(1)', { simple: true })
  if (check !== 'ok') throw new Error(String(check))
}

/**
 * Puts a new database with what could be read in the place of a damaged one. A crash in between
 * loses nothing: until the new one is whole the old one stays where it is, see {@link finishSwap}.
 */
function replaceDamaged(dir: string, path: string, reason: string): OpenedDb {
  const partial = path + partialSuffix
  const salvaged = withBallast(dir, () => salvageInto(partial, dir, path))
  ensure(sizeOf(`${partial}-wal`) === 0, 'all that was carried over is in the file that is moved')
  const movedTo = moveAside(dir, path)
  renameSync(partial, path)
  syncFolder(dir)
  const db = openDatabase(path)
  return { db, report: { recovered: 0, damaged: { movedTo, reason, ...salvaged } } }
}
