import { accessSync, constants, lstatSync, statSync, truncateSync } from 'node:fs'
import { join } from 'node:path'
import Database from 'better-sqlite3'
import { AppError, ConfigError } from '../core/errors.ts'
import { closeFolder, explainForeign, makeFolders } from '../platform/own-folder.ts'
import type { Db } from './db.ts'
import { formatVersion } from './schema.ts'

/**
 * Makes the folder, and closes it and what is in it to other users: a lock that others may read is one
 * that they can hold.
 *
 * @throws ConfigError when the folder cannot be made or written to, or other users could exchange it
 */
export function makeDir(dir: string): void {
  const foreign = explainForeign(dir)
  if (foreign) throw new ConfigError(`SPOOL_DIR: ${foreign}`)
  try {
    makeFolders(dir, 0o700)
    closeFolder(dir, 0o077, /^(spool\.|lock\.|source-id|last-seq|ballast|paused|damaged-)/)
    refuseShared(dir)
    accessSync(dir, constants.W_OK)
  } catch (error) {
    if (error instanceof AppError) throw new ConfigError(`SPOOL_DIR: ${error.message}`)
    throw new ConfigError(
      `SPOOL_DIR: cannot write to ${dir} (${(error as NodeJS.ErrnoException).code}); choose a folder that this user may write to, on a disk with space`,
    )
  }
}

/** A folder such as /tmp, in which others may make files first that bear the names of ours. */
function refuseShared(dir: string): void {
  if ((statSync(dir).mode & 0o1002) !== 0o1002) return
  throw new AppError('invalid', `${dir} is a folder for all users: choose one for the spool alone`)
}

const fileNames = [
  ...['spool.db', 'spool.db-wal', 'spool.db-shm', 'spool.db-journal', 'spool.db-wal.damaged'],
  ...['spool.db.partial', 'spool.db.unsound', 'lock.db', 'lock.db-journal', 'lock.db-wal'],
  ...[
    'source-id',
    'source-id.partial',
    'source-id.damaged',
    'last-seq',
    'last-seq.partial',
    'paused',
    'paused.partial',
    'ballast',
    'ballast.probe',
  ],
]

/**
 * A link counts too, wherever it leads: what is written here would overwrite the file that it leads to.
 *
 * @throws ConfigError when something else has the name of one of our files: it belongs to somebody
 */
export function checkNames(dir: string): void {
  for (const name of fileNames) {
    const path = join(dir, name)
    const found = lstatSync(path, { throwIfNoEntry: false })
    if (!found || found.isFile()) continue
    const odd = found.isSymbolicLink() ? 'a link' : 'not a regular file'
    const what = found.isDirectory() ? 'a folder' : odd
    throw new ConfigError(`SPOOL_DIR: ${path} is ${what}; move it away, a file belongs there`)
  }
}

/** Before anything is looked at: what another sidecar is writing would look damaged. */
export function takeLock(dir: string, path: string): Db {
  const file = join(dir, 'lock.db')
  try {
    return lockFile(file)
  } catch (error) {
    const { code = 'unknown' } = error as { code?: string }
    if (code === 'SQLITE_BUSY') throw inUseError(path)
    return lockEmptied(file, path, code)
  }
}

function lockFile(file: string): Db {
  const lock = new Database(file)
  try {
    // Without a file beside it, for which a full disk has no room; and not exclusive, which waits for
    // every reader of the file, such as a backup.
    lock.pragma('journal_mode = memory')
    lock.exec('begin immediate')
    return lock
  } catch (error) {
    lock.close()
    throw error
  }
}

/**
 * The file is empty unless something else wrote into it, and nothing in it is of use. A holder would
 * have been noticed first, whatever is in it. Emptied in its place: two sidecars that both do this
 * still want the lock of one file.
 */
function lockEmptied(file: string, path: string, code: string): Db {
  const size = statSync(file, { throwIfNoEntry: false })?.size ?? 0
  if (size === 0) throw unusableError(path, code)
  try {
    truncateSync(file)
    return lockFile(file)
  } catch (error) {
    const again = (error as { code?: string }).code
    throw again === 'SQLITE_BUSY' ? inUseError(path) : unusableError(path, code)
  }
}

export const inUseError = (path: string) =>
  new ConfigError(`SPOOL_DIR: ${path} is in use by another sidecar; give each its own folder`)

export const newerFormatError = (path: string, format: number) =>
  new ConfigError(
    `SPOOL_DIR: ${path} has format ${format}, made by a newer wafermon; this one reads up to ${formatVersion}`,
  )

export const unusableError = (path: string, code: string) =>
  new ConfigError(
    `SPOOL_DIR: ${path} cannot be opened (${code}); check the disk's space and health, and the permissions of the folder`,
  )
