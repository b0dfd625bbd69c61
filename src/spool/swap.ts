import {
  constants,
  copyFileSync,
  existsSync,
  linkSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmdirSync,
  rmSync,
  statSync,
} from 'node:fs'
import { join } from 'node:path'
import { ensure } from '../core/must.ts'
import { clock } from '../platform/clock.ts'
import { sync, writeDurably } from '../platform/durable-file.ts'
import type { KeptSink } from './cursors.ts'
import { createDatabase } from './database.ts'
import { lostCommits } from './wal-check.ts'

/*
 * How a new database takes the place of a damaged one, so that a crash at any step loses nothing.
 *
 *   1. `damaged-<time>/unfinished`: a note that its events are to be carried over
 *   2. `spool.db.partial`: a new database
 *   3. the damaged one, and then what belongs to it, into the folder
 *   4. the new one into its place, where carry-over.ts fills it
 *
 * Where there is no `spool.db` and the partial one is there, it is whole.
 */

/**
 * A damaged log gets a second name first: opening the database takes in what SQLite can read of it
 * and deletes it, and after a crash then nothing would tell that there was more.
 *
 * @returns how many commits are lost, 0 for a log that is sound
 */
export function keepDamagedLog(dir: string, path: string): number {
  const kept = path + damagedLog
  if (existsSync(kept)) return Math.max(1, lostCommits(kept))
  const log = `${path}-wal`
  const lost = existsSync(log) ? lostCommits(log) : 0
  if (lost > 0) {
    linkOrCopy(log, kept)
    sync(dir)
  }
  return lost
}

/** A copy where the file system knows no second names; the log is a few MiB. */
function linkOrCopy(file: string, name: string): void {
  try {
    linkSync(file, name)
  } catch {
    rmSync(`${name}.partial`, { force: true })
    copyFileSync(file, `${name}.partial`, constants.COPYFILE_EXCL)
    sync(`${name}.partial`)
    renameSync(`${name}.partial`, name)
  }
}

export const damagedLog = '-wal.damaged'

const partialSuffix = '.partial'
/** A note that the database was found damaged while it was in use: the next start repairs it. */
export const unsoundSuffix = '.unsound'
const suffixes = ['', '-wal', '-shm', '-journal', damagedLog, unsoundSuffix]

/** In the folder of a database whose events are still to be carried over. */
const unfinished = 'unfinished'

/** What is known of a damaged database before it is read. */
export type Note = {
  /** Why it was set aside. */
  reason: string
  /** Number of its last event. */
  last?: number
  /** Up to here every sink had acknowledged its events. */
  acked?: number
  /** The highest id of its rejects. */
  lastReject?: number
  /** Its sinks: those that are not configured are owed its events too. */
  sinks?: readonly KeptSink[]
}

/** The first half of a swap; when it fails the damaged database is where it was. */
export function beginSwap(dir: string, path: string, note: Note): void {
  // What an attempt before left.
  finishSwap(dir, path)
  for (const name of listFolders(dir)) dropUnused(join(dir, name))
  const folder = join(dir, newFolder(dir))
  mkdirSync(folder)
  writeDurably(join(folder, unfinished), `${JSON.stringify(note)}\n`)
  sync(dir)
  createWhole(path + partialSuffix)
  sync(dir)
  renameSync(path, join(folder, 'spool.db'))
}

/** A new database without a log. @throws when there is no room for it: closing says nothing of that */
function createWhole(path: string): void {
  const db = createDatabase(path)
  try {
    const [{ busy }] = db.pragma('wal_checkpoint(truncate)') as [{ busy: number }]
    ensure(busy === 0, 'nobody else has the new database')
  } finally {
    db.close()
  }
  const log = statSync(`${path}-wal`, { throwIfNoEntry: false })?.size ?? 0
  ensure(log === 0, 'a new database is whole without a log')
}

/** Ends a swap, also one that a crash interrupted; an incomplete new database is dropped. */
export function finishSwap(dir: string, path: string): void {
  const partial = path + partialSuffix
  if (!existsSync(partial)) return
  if (existsSync(path)) {
    for (const suffix of suffixes) rmSync(partial + suffix, { force: true })
    return
  }
  const folder = listUnfinished(dir).findLast((name) => existsSync(join(dir, name, 'spool.db')))
  if (suffixes.some((suffix) => existsSync(path + suffix))) moveAside(dir, path, folder)
  renameSync(partial, path)
  sync(dir)
}

/** Moves what there is of a database into a folder. @returns the folder */
export function moveAside(dir: string, path: string, folder = newFolder(dir)): string {
  const movedTo = join(dir, folder)
  mkdirSync(movedTo, { recursive: true })
  for (const suffix of suffixes) {
    if (existsSync(path + suffix)) renameSync(path + suffix, join(movedTo, `spool.db${suffix}`))
  }
  sync(movedTo)
  sync(dir)
  return movedTo
}

const listFolders = (dir: string) =>
  readdirSync(dir, { withFileTypes: true })
    .filter((entry) => entry.isDirectory() && entry.name.startsWith('damaged-'))
    .map(({ name }) => name)
    .sort()

/** The order of the names is the order of the folders, whatever the clock does. */
function newFolder(dir: string): string {
  const name = `damaged-${clock.now().slice(0, 23).replaceAll(/[:.]/g, '')}`
  const last = listFolders(dir).at(-1) ?? ''
  return name > last ? name : `${last}_`
}

/** The folders of databases whose events are still to be carried over, the oldest first. */
export const listUnfinished = (dir: string): string[] =>
  listFolders(dir).filter((name) => existsSync(join(dir, name, unfinished)))

/** Of a swap that ended before anything was moved. */
function dropUnused(folder: string): void {
  const isUsed = readdirSync(folder).some((name) => !name.startsWith(unfinished))
  if (!isUsed) rmSync(folder, { recursive: true })
}

/** What was noted; a note that cannot be read says nothing but that there is one. */
export function readNote(dir: string, folder: string): Note {
  try {
    return JSON.parse(readFileSync(join(dir, folder, unfinished), 'utf8')) as Note
  } catch {
    return { reason: 'its note cannot be read' }
  }
}

/** Nothing more will be carried over from a folder; it goes when nothing else is in it. Never throws. */
export function endCarrying(dir: string, folder: string): void {
  try {
    rmSync(join(dir, folder, unfinished), { force: true })
    rmdirSync(join(dir, folder))
  } catch {
    // What is damaged stays there for the operator; a note that stays is seen at the next start.
  }
}
