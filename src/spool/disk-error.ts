import { AppError } from '../core/errors.ts'

/**
 * The disk refused to read or write. Which of its errors it was tells little: a quota that is used up
 * is SQLITE_IOERR_WRITE as a broken disk is, and SQLITE_CANTOPEN where a file is to be made.
 */
export const isDiskError = (error: unknown) =>
  /^SQLITE_(FULL|IOERR|CANTOPEN|READONLY|PERM)/.test((error as { code?: string }).code ?? '')

/** Node has no name for EDQUOT. */
const quotaErrno = -122

const words: Record<string, string> = {
  ENOSPC: 'the disk of the spool is full (blocks or inodes)',
  SQLITE_FULL: 'the disk of the spool is full',
  EDQUOT: 'the quota of the spool is used up',
  EROFS: 'the disk of the spool is read-only',
}

function findWords(error: unknown): string | undefined {
  const { code = '', errno } = Object(error) as { code?: string; errno?: number }
  return words[errno === quotaErrno ? 'EDQUOT' : code]
}

/** True when it says what an operator has to do. */
export const isKnownTrouble = (error: unknown) => findWords(error) !== undefined

/** Why the spool cannot be written, in words. */
export const diskTrouble = (error: unknown) =>
  findWords(error) ??
  `the spool cannot be written (${(error as { code?: string }).code ?? 'unknown'})`

export const unwritableError = (cause: unknown) =>
  new AppError('overloaded', 'the spool cannot be written', { cause, retryAfterS: 5 })
