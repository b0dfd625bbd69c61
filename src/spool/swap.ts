import { copyFileSync, existsSync, linkSync, mkdirSync, renameSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { clock } from '../platform/clock.ts'
import { syncFolder } from '../platform/durable-file.ts'
import { lostCommits } from './wal-check.ts'

/*
 * How a new database takes the place of a damaged one, so that a crash at any step loses nothing: until
 * the new one is whole the old one stays where it is.
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
    syncFolder(dir)
  }
  return lost
}

/** A copy where the file system knows no second names; the log is a few MiB. */
function linkOrCopy(file: string, name: string): void {
  try {
    linkSync(file, name)
  } catch {
    copyFileSync(file, `${name}.partial`)
    renameSync(`${name}.partial`, name)
  }
}

export const damagedLog = '-wal.damaged'

export const partialSuffix = '.partial'
/** A note that the database was found damaged while it was in use: the next start repairs it. */
export const unsoundSuffix = '.unsound'
const suffixes = ['', '-wal', '-shm', '-journal', damagedLog, unsoundSuffix]

/** The database itself goes first: where it is missing, the new one is known to be whole. */
export function moveAside(dir: string, path: string): string {
  const movedTo = join(dir, `damaged-${clock.now().slice(0, 23).replaceAll(/[:.]/g, '')}`)
  mkdirSync(movedTo, { recursive: true })
  for (const suffix of suffixes) {
    if (existsSync(path + suffix)) renameSync(path + suffix, join(movedTo, `spool.db${suffix}`))
  }
  syncFolder(dir)
  return movedTo
}

/** Ends what a crash interrupted: a new database that is whole takes its place, another is dropped. */
export function finishSwap(dir: string, path: string): void {
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
