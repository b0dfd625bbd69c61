import { accessSync, constants, existsSync, mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { AppError } from '../../core/errors.ts'
import { LockHeld, takeLock } from '../../platform/lock-file.ts'

/**
 * Roles and database may belong to different users: both pass through, only we look in.
 *
 * @throws AppError `invalid` when it is no folder of ours to write in
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
      `cannot write in ${dir} (${code}): give a folder that this user may write in with --dir`,
      { cause },
    )
  }
}

/** @throws AppError `conflict` when another `up` has the folder */
export function lockFolder(dir: string): { release: () => void } {
  try {
    return takeLock(join(dir, 'up.lock'))
  } catch (cause) {
    if (!(cause instanceof LockHeld)) throw cause
    throw new AppError(
      'conflict',
      `wafermon is running in ${dir} already, as process ${cause.pid}: ` +
        `stop it (kill ${cause.pid}), or give another folder with --dir`,
      { cause },
    )
  }
}
