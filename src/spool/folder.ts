import { randomBytes } from 'node:crypto'
import { accessSync, constants, existsSync, readFileSync } from 'node:fs'
import { hostname } from 'node:os'
import { join } from 'node:path'
import Database from 'better-sqlite3'
import { ConfigError } from '../core/errors.ts'
import { writeDurably } from '../platform/durable-file.ts'
import { closeFolder, explainForeign, makeFolders } from '../platform/own-folder.ts'
import type { Db } from './database.ts'
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
    closeFolder(dir, 0o077)
    accessSync(dir, constants.W_OK)
  } catch (error) {
    throw new ConfigError(
      `SPOOL_DIR: cannot write to ${dir} (${(error as NodeJS.ErrnoException).code}); choose a folder that this user may write to, on a disk with space`,
    )
  }
}

/** The id of this sidecar; made once, and kept. */
export function readSourceId(dir: string): string {
  const path = join(dir, 'source-id')
  const known = existsSync(path) ? readFileSync(path, 'utf8').trim() : ''
  if (known !== '') return known
  const id = `${hostname().slice(0, 100) || 'sidecar'}-${randomBytes(4).toString('hex')}`
  writeDurably(path, `${id}\n`)
  return id
}

/** Before anything is looked at: what another sidecar is writing would look damaged. */
export function takeLock(dir: string, path: string): Db {
  let lock: Db | undefined
  try {
    lock = new Database(join(dir, 'lock.db'))
    // Without a file beside it, for which a full disk has no room; and not exclusive, which waits for
    // every reader of the file, such as a backup.
    lock.pragma('journal_mode = memory')
    lock.exec('begin immediate')
    return lock
  } catch (error) {
    lock?.close()
    const { code = 'unknown' } = error as { code?: string }
    throw code === 'SQLITE_BUSY' ? inUseError(path) : unusableError(path, code)
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
