import { accessSync, constants, existsSync, readdirSync, readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { AppError } from '../../core/errors.ts'
import { clock } from '../../platform/clock.ts'
import { writeDurably } from '../../platform/durable-file.ts'
import { LockHeld, takeLock } from '../../platform/lock-file.ts'
import { closeFolder, explainForeign, makeFolders } from '../../platform/own-folder.ts'

/**
 * Makes the state folder. Roles and database may run as different users: all may pass through it,
 * only its owner may list it.
 *
 * @throws AppError `invalid` when this user cannot write to it, `forbidden` when other users could
 * exchange what is written there
 */
export function makeFolder(dir: string): void {
  const mode = process.getuid?.() === 0 ? 0o711 : 0o700
  const logs = join(dir, 'logs')
  try {
    // All of it before anything is written.
    refuseForeign(dir)
    for (const link of linksIn(dir)) refuseForeign(link)
    makeFolders(dir, mode)
    closeFolder(dir, 0o022, ours)
    refuseForeign(logs)
    makeFolders(logs, 0o700)
    closeFolder(logs, 0o077, /\.log/)
    accessSync(dir, constants.W_OK)
  } catch (cause) {
    if (cause instanceof AppError && cause.code === 'forbidden') throw cause
    if (cause instanceof AppError) throw new AppError(cause.code, `--dir: ${cause.message}`)
    const { code } = cause as NodeJS.ErrnoException
    throw new AppError(
      'invalid',
      `cannot write to ${dir} (${code}): choose a folder that this user may write to with --dir`,
      { cause },
    )
  }
}

/** What `up`, its roles and its database write there. */
const ours = /^(up\.|postgres|run$|logs$|spool$|archive$)/

/** Left by another user, one of them would lead what is written through it elsewhere. */
const linksIn = (dir: string): string[] =>
  statSync(dir, { throwIfNoEntry: false })?.isDirectory()
    ? readdirSync(dir, { withFileTypes: true })
        .filter((entry) => entry.isSymbolicLink())
        .map(({ name }) => join(dir, name))
    : []

function refuseForeign(dir: string): void {
  const foreign = explainForeign(dir)
  if (foreign) throw new AppError('forbidden', `${foreign} with --dir`)
}

/** @throws AppError `conflict` when another `up` uses the folder */
export function lockFolder(dir: string): { release: () => void } {
  try {
    return takeLock(join(dir, 'up.lock'))
  } catch (cause) {
    if (!(cause instanceof LockHeld)) throw cause
    throw new AppError(
      'conflict',
      `wafermon is already running in ${dir}, as process ${cause.pid}: ` +
        `stop it (kill ${cause.pid}), or give another folder with --dir`,
      { cause },
    )
  }
}

/** Says that the folder has simulated jobs; they stay when a later start simulates none. */
const marker = 'up.simulated'

/** True for a folder that no `up` has put data into. */
export const isNewFolder = (dir: string): boolean =>
  !['postgres', 'spool', 'archive', marker].some((name) => existsSync(join(dir, name)))

export const isSimulated = (dir: string): boolean => existsSync(join(dir, marker))

/** @throws AppError as {@link writeOwn} */
export function noteSimulated(dir: string): void {
  if (!isSimulated(dir)) writeOwn(join(dir, marker), `since ${clock.now()}\n`)
}

/**
 * Writes a small file of `up`. What is there already needs no space.
 *
 * @throws AppError `unavailable` when the disk does not take it, or a folder is in its place
 */
export function writeOwn(path: string, content: string): void {
  try {
    if (existsSync(path) && readFileSync(path, 'utf8') === content) return
    writeDurably(path, content, { mode: 0o600 })
  } catch (cause) {
    const { code } = cause as NodeJS.ErrnoException
    const remedy =
      code === 'EISDIR' ? 'a folder is in its place, remove it' : 'free some space on its disk'
    throw new AppError('unavailable', `cannot write ${path} (${code}): ${remedy}`, { cause })
  }
}
