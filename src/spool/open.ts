import { randomBytes } from 'node:crypto'
import {
  accessSync,
  constants,
  existsSync,
  mkdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { hostname } from 'node:os'
import { join } from 'node:path'
import Database from 'better-sqlite3'
import { ConfigError } from '../platform/config.ts'
import { formatVersion, schemaSql } from './schema.ts'

export type Db = InstanceType<typeof Database>

/** What was found at start: for the log, for health, for the operator. */
export type OpenReport = {
  /** Events on disk that wait for delivery. */
  recovered: number
  /** Set when the database could not be read and was moved away. */
  damaged?: { movedTo: string; reason: string; salvaged: number; unreadable: number }
}

export type Opened = { db: Db; sourceId: string; report: OpenReport }

/** A row of a damaged spool that could still be read. */
type Salvaged = { seq: number; source_seq: number | null; received_ms: number; body: string }

/**
 * Opens the spool of a folder, whatever the last crash left there. A database that cannot be read
 * is set aside whole, and every event that can still be read is carried over into a new one with
 * the stamp it had.
 *
 * @throws ConfigError when the folder cannot be used at all, or another sidecar uses it
 */
export function openSpool(dir: string): Opened {
  makeDir(dir)
  const sourceId = readSourceId(dir)
  const path = join(dir, 'spool.db')
  const fresh = !existsSync(path) || statSync(path).size === 0
  const opened = fresh ? { db: create(path) } : tryOpen(dir, path)
  if ('db' in opened) return { db: opened.db, sourceId, report: { recovered: 0 } }
  return { ...setAside(dir, path, sourceId, opened.reason), sourceId }
}

function makeDir(dir: string): void {
  try {
    mkdirSync(dir, { recursive: true, mode: 0o750 })
    accessSync(dir, constants.W_OK)
  } catch (error) {
    throw new ConfigError(
      `SPOOL_DIR: cannot write to ${dir} (${(error as NodeJS.ErrnoException).code}); give a folder that this user may write to, on a disk with space`,
    )
  }
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
  const db = new Database(path)
  configure(db)
  initialize(db)
  return db
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
    db = new Database(path)
    configure(db)
    const check = db.pragma('quick_check(1)', { simple: true })
    if (check !== 'ok') throw new Error(String(check))
    // A crash between making the file and its tables leaves an empty database: begin again.
    if (db.prepare('select count(*) from sqlite_master').pluck().get() === 0) initialize(db)
    const format = db.prepare('select format from meta').pluck().get()
    if (typeof format !== 'number') throw new Error('the spool has no head')
    if (format > formatVersion) throw newerFormat(path, format)
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
    // A disk that is full or fails to answer is no damage: moving the file would help nobody.
    if (
      /^SQLITE_(FULL|CANTOPEN|READONLY|PERM|IOERR(?!_SHORT_READ|_CORRUPTFS|_DATA))/.test(code ?? '')
    ) {
      throw unusable(path, code!)
    }
    return { reason: (error as Error).message }
  }
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

function setAside(dir: string, path: string, sourceId: string, reason: string) {
  const movedTo = join(dir, `damaged-${new Date().toISOString().replaceAll(/[:.]/g, '')}`)
  mkdirSync(movedTo)
  for (const suffix of ['', '-wal', '-shm', '-journal']) {
    if (existsSync(path + suffix)) renameSync(path + suffix, join(movedTo, `spool.db${suffix}`))
  }
  const { rows, epoch, unreadable } = salvage(join(movedTo, 'spool.db'))
  const db = create(path)
  const put = db.prepare(
    'insert into event (seq, source_seq, received_ms, body) values (?, null, ?, ?)',
  )
  db.transaction(() => {
    rows.forEach((row, index) => {
      put.run(index + 1, row.received_ms, stamp(row.body, sourceId, epoch, row.source_seq))
    })
    db.prepare('update meta set forwarded = ?').run(rows.length)
  })()
  const report: OpenReport = {
    recovered: 0,
    damaged: { movedTo, reason, salvaged: rows.length, unreadable },
  }
  return { db, report }
}

/** The event with who forwarded it put on as its last field; unchanged when it has that already. */
export function stamp(body: string, id: string, epoch: string, sourceSeq: number | null): string {
  if (sourceSeq === null) return body
  const source = JSON.stringify({ id, epoch, seq: sourceSeq })
  return `${body.slice(0, -1)},"source":${source}}`
}

/** Reads what can be read: forward until the first unreadable page, then backward to it. */
function salvage(path: string): { rows: Salvaged[]; epoch: string; unreadable: number } {
  let db: Db | undefined
  try {
    db = new Database(path)
    const epoch = attempt(
      () => db!.prepare('select epoch from meta').pluck().get() as string,
      'lost',
    )
    const acked = attempt(
      () => (db!.prepare('select min(acked) from sink').pluck().get() as number | null) ?? 0,
      0,
    )
    const rows = new Map<number, Salvaged>()
    for (const order of ['asc', 'desc']) collect(db, order, acked, rows)
    const found = [...rows.values()].filter((row) => isJson(row.body)).sort((a, b) => a.seq - b.seq)
    const span = found.length === 0 ? 0 : found.at(-1)!.seq - acked
    return { rows: found, epoch, unreadable: Math.max(0, span - found.length) }
  } catch {
    return { rows: [], epoch: 'lost', unreadable: 0 }
  } finally {
    db?.close()
  }
}

function collect(db: Db, order: string, acked: number, rows: Map<number, Salvaged>): void {
  attempt(() => {
    const all = db.prepare(`select * from event where seq > ? order by seq ${order}`)
    for (const row of all.iterate(acked) as IterableIterator<Salvaged>) {
      // Backward, the first row that forward reading had already means that the gap is closed.
      if (rows.has(row.seq)) return
      rows.set(row.seq, row)
    }
  }, undefined)
}

function attempt<T>(read: () => T, otherwise: T): T {
  try {
    return read()
  } catch {
    return otherwise
  }
}

function isJson(text: unknown): boolean {
  return attempt(() => {
    JSON.parse(text as string)
    return true
  }, false)
}
