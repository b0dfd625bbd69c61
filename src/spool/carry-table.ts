import { existsSync } from 'node:fs'
import { join } from 'node:path'
import Database from 'better-sqlite3'
import { attempt } from './damaged-table.ts'
import type { Db } from './db.ts'
import { newEpoch } from './epochs.ts'
import { firstCarried } from './positions.ts'
import { endCarrying, listUnfinished, readNote } from './swap.ts'

/**
 * What was carried over so far from damaged databases. A table of the database that took their place,
 * and of no other: it is made when there is something to carry over, written in the same commits as what
 * it tells of, and dropped once everything was delivered.
 */
export const carryTableSql = `CREATE TABLE carry (
  -- In SPOOL_DIR: the folder of a damaged database.
  folder     text primary key,
  reason     text    not null,
  -- Number of its last event, as far as it is known without reading it.
  last       integer,
  -- Up to here nothing is left: of the events that it had carried over itself, of those that had come
  -- in, and of the rejects, which go up to last_reject.
  low        integer not null,
  high       integer not null,
  reject     integer not null,
  last_reject integer not null,
  carried    integer not null,
  -- How many of these lost their stamp.
  renumbered integer not null,
  unreadable integer not null,
  -- At most, by their numbers: one that an operator had dropped left a number too.
  unreadable_rejects integer not null default 0
) strict, without rowid`

export type CarryRow = {
  folder: string
  reason: string
  last: number | null
  low: number
  high: number
  reject: number
  last_reject: number
  carried: number
  renumbered: number
  unreadable: number
  unreadable_rejects: number
}

/** Above every number. */
export const endOfNumbers = Number.MAX_SAFE_INTEGER
/** Where the highest id of the rejects cannot be read: new ones get higher ids. */
export const unknownLastReject = 10 ** 9

/** No event is left; rejects may be. */
export const isWithoutEvents = ({ low, high }: CarryRow) => low === 0 && high === endOfNumbers

export const isCarried = (row: CarryRow) => isWithoutEvents(row) && row.reject >= row.last_reject

/**
 * Everything that was or is to be carried over into a database, the oldest first.
 *
 * @throws SqliteError when it cannot be written
 */
export function openCarryTable(dir: string, db: Db, sourceId: string): CarryRow[] {
  const folders = listUnfinished(dir).filter((name) => {
    const isThere = existsSync(join(dir, name, 'spool.db'))
    // A swap that a crash ended before anything was moved.
    if (!isThere) endCarrying(dir, name)
    return isThere
  })
  const known = readCarryTable(db)
  if (!known && folders.length === 0) return []
  if (known && isOver(db, known)) {
    dropCarryTable(db)
    return []
  }
  const names = new Set(known?.map(({ folder }) => folder))
  const added = folders.filter((name) => !names.has(name))
  db.transaction(() => {
    if (known) addRejects(db)
    else db.exec(carryTableSql)
    for (const name of added) insert(db, startRow(dir, name, folders))
    if (added.length > 0) addEpoch(db, sourceId)
  })()
  const rows = readCarryTable(db) ?? []
  for (const row of rows) if (isCarried(row)) endCarrying(dir, row.folder)
  return rows
}

/** The last number that was given to a carried event; undefined where there is none to be. */
export function lastCarried(db: Db): number | undefined {
  const rows = readCarryTable(db)
  return rows && firstCarried - 1 + rows.reduce((sum, { carried }) => sum + carried, 0)
}

/** @returns undefined where there is no such table */
function readCarryTable(db: Db): CarryRow[] | undefined {
  const there = db.prepare(`select 1 from sqlite_master where name = 'carry'`).get()
  if (there === undefined) return undefined
  const rows = db.prepare('select * from carry order by folder').all() as CarryRow[]
  return rows.map(withRejects)
}

/** One that an earlier version made did not count rejects that cannot be read. */
const withRejects = (row: CarryRow): CarryRow => ({
  ...row,
  unreadable_rejects: row.unreadable_rejects ?? 0,
})

function addRejects(db: Db): void {
  const columns = db.pragma('table_info(carry)') as { name: string }[]
  if (columns.some(({ name }) => name === 'unreadable_rejects')) return
  db.exec('alter table carry add column unreadable_rejects integer not null default 0')
}

/** All was carried over and delivered, and something new came in since: nobody needs to be told any more. */
function isOver(db: Db, rows: readonly CarryRow[]): boolean {
  const acked = db.prepare('select min(acked) from sink').pluck().get() as number | null
  const last = db.prepare('select max(seq) from event').pluck().get() as number | null
  return rows.every(isCarried) && acked !== null && acked >= 0 && Math.max(acked, last ?? 0) > 0
}

/** Sinks that began before number 1 count from there as if the numbers of carried events ended at 0. */
function dropCarryTable(db: Db): void {
  db.transaction(() => {
    const last = lastCarried(db)
    db.prepare('update sink set first_seq = first_seq - ? where first_seq < 0').run(last)
    db.exec('drop table carry')
  })()
}

/** Where to begin: at the start, unless a database that was damaged later had begun already. */
function startRow(dir: string, folder: string, folders: readonly string[]): CarryRow {
  const later = folders.filter((name) => name > folder).reverse()
  for (const name of later) {
    const begun = attempt(() => readRowOf(join(dir, name, 'spool.db'), folder)).value
    if (begun) return { ...withRejects(begun), carried: 0, renumbered: 0 }
  }
  const note = readNote(dir, folder)
  const { reason, last = null, acked = firstCarried - 1, lastReject = unknownLastReject } = note
  return {
    ...{ folder, reason, last, low: Math.min(acked, 0), high: Math.max(acked, 0) },
    ...{ reject: 0, last_reject: lastReject, carried: 0, renumbered: 0 },
    ...{ unreadable: 0, unreadable_rejects: 0 },
  }
}

function readRowOf(path: string, folder: string): CarryRow | undefined {
  const db = new Database(path, { fileMustExist: true })
  try {
    db.pragma('locking_mode = exclusive')
    return db.prepare('select * from carry where folder = ?').get(folder) as CarryRow | undefined
  } finally {
    db.close()
  }
}

function insert(db: Db, row: CarryRow): void {
  const columns = Object.keys(row)
  const values = columns.map((column) => `@${column}`)
  db.prepare(`insert into carry (${columns}) values (${values})`).run(row)
}

/** Of those that lost their stamp, and so get a number of ours: an epoch that no opening has. */
function addEpoch(db: Db, sourceId: string): void {
  db.prepare('insert into epoch values (?, ?, ?) on conflict (first_seq) do nothing').run(
    ...[firstCarried, sourceId, newEpoch()],
  )
}
