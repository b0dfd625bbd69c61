import { existsSync, readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { ConfigError } from '../core/errors.ts'
import { must } from '../core/must.ts'
import { withBallast } from './ballast.ts'
import { type CarryRow, lastCarried, openCarryTable } from './carry-table.ts'
import { isLarge, prepareCheckBehind } from './check-behind.ts'
import { type KeptSink, openCursors } from './cursors.ts'
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
import { readLastSeq } from './last-seq.ts'
import type { SinkPlan } from './plans.ts'
import { firstCarried } from './positions.ts'
import { sketchDamaged } from './salvage.ts'
import { formatVersion } from './schema.ts'
import { newSourceId, readSourceId, readWrittenId, type SourceIdChange } from './source-id.ts'
import { prepare, type Statements } from './statements.ts'
import {
  beginSwap,
  damagedLog,
  finishSwap,
  keepDamagedLog,
  moveAside,
  type Note,
  readNote,
  unsoundSuffix,
} from './swap.ts'

/** The state of the spool at start: for the log, for health, for the operator. */
export type OpenReport = {
  /** Events on disk that wait for delivery. */
  recovered: number
  /** Set when the database could not be read and was moved away. */
  damaged?: {
    movedTo: string
    reason: string
    salvaged: number
    unreadable: number
    /** Rejects that could not be read, at most. */
    unreadable_rejects?: number
  }
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
  /** What is to be carried over from damaged databases, or was. */
  carry: CarryRow[]
  report: OpenReport
} & ReturnType<typeof openCursors>

/**
 * Opens the spool of a folder, whatever the last crash left there. A database that cannot be read
 * is set aside whole; what can still be read of it is for carry-over.ts. Takes the same time whatever the
 * size of the database.
 *
 * @throws ConfigError when the folder cannot be used at all, or another sidecar uses it
 */
export function openSpool(dir: string, sinks: readonly SinkPlan[]): Opened {
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

function openLocked(dir: string, path: string, sinks: readonly SinkPlan[]): Omit<Opened, 'lock'> {
  const { db, report } = openDb(dir, path)
  try {
    const { sourceId, change } = withBallast(dir, () => readSourceId(dir, db))
    const statements = prepare(db)
    const carry = withBallast(dir, () => openCarryTable(dir, db, sourceId))
    const options = { plans: sinks, ...startOfSinks(dir, carry) }
    const cursors = withBallast(dir, () => openCursors(db, statements, options))
    const changed = change ? { sourceIdChange: change } : {}
    return { db, sourceId, statements, carry, ...cursors, report: { ...report, ...changed } }
  } catch (error) {
    db.close()
    throw error
  }
}

/** In a database that replaces a damaged one all sinks of that begin with what is carried over. */
function startOfSinks(
  dir: string,
  carry: readonly CarryRow[],
): { first?: number; kept?: KeptSink[] } {
  const latest = carry.at(-1)
  if (!latest) return {}
  return { first: firstCarried - 1, kept: [...(readNote(dir, latest.folder).sinks ?? [])] }
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
    const isOld = format >= 1 && format < formatVersion
    if (isOld) migrate(db, format, () => readWrittenId(dir) ?? newSourceId())
    else checkHeader(db)
    checkEnds(db, !unchecked, -(lastCarried(db) ?? 0))
    if (unchecked) prepareCheckBehind(db)
    return {
      db,
      ...(unchecked ? { unchecked } : {}),
      ...(format === 1 ? { upgraded: true } : {}),
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

function checkWhole(db: Db): void {
  const check = db.pragma('quick_check(1)', { simple: true })
  if (check !== 'ok') throw new Error(String(check))
}

/**
 * Puts a new database in the place of a damaged one, which keeps its events until they are carried over.
 * A crash in between loses nothing, see swap.ts.
 */
function replaceDamaged(dir: string, path: string, reason: string): OpenedDb {
  const note = takeNote(dir, path, reason.replaceAll(/\s+/g, ' '))
  withBallast(dir, () => beginSwap(dir, path, note))
  withBallast(dir, () => finishSwap(dir, path))
  return { db: withBallast(dir, () => openDatabase(path)), report: { recovered: 0 } }
}

/** What a damaged database and the record of its last number say. @throws when the disk does not answer */
function takeNote(dir: string, path: string, reason: string): Note {
  try {
    const { id, acked, lastReject, sinks } = withBallast(dir, () => sketchDamaged(path))
    const record = readLastSeq(dir)
    const isOfThis = typeof record === 'object' && (id === undefined || record.spool === id)
    const delivered = isOfThis && record.delivered >= 0 ? record.delivered : undefined
    const upTo = acked ?? delivered
    return {
      reason,
      ...(isOfThis ? { last: record.last } : {}),
      ...(upTo === undefined ? {} : { acked: upTo }),
      ...(lastReject === undefined ? {} : { lastReject }),
      ...(sinks ? { sinks } : {}),
    }
  } catch (error) {
    const { code } = error as { code?: string }
    throw code?.startsWith('SQLITE_') ? unusableError(path, code) : error
  }
}
