import { accessSync, constants, existsSync, mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { AppError } from '../../core/errors.ts'
import { LockHeld, takeLock } from '../../platform/lock-file.ts'

/**
 * Makes the state folder. Roles and database may run as different users: all may pass through it,
 * only its owner may list it.
 *
 * @throws AppError `invalid` when this user cannot write to it
 */
export function makeFolder(dir: string): void {
  const mode = process.getuid?.() === 0 ? 0o711 : 0o700
  try {
    if (!existsSync(dir)) mkdirSync(dir, { recursive: true, mode })
    mkdirSync(join(dir, 'logs'), { recursive: true, mode: 0o750 })
    accessSync(dir, constants.W_OK)
  } catch (cause) {
    const { code } = cause as NodeJS.ErrnoException
    throw new AppError(
      'invalid',
      `cannot write to ${dir} (${code}): choose a folder that this user may write to with --dir`,
      { cause },
    )
  }
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
