import { AppError } from '../core/errors.ts'

/** Codes of the driver and the system for a lost or refused connection. */
const lost = new Set([
  'CONNECTION_CLOSED',
  'CONNECTION_DESTROYED',
  'CONNECTION_ENDED',
  'CONNECT_TIMEOUT',
  'ECONNREFUSED',
  'ECONNRESET',
  'EACCES',
  'EAI_AGAIN',
  'EHOSTUNREACH',
  'ENETUNREACH',
  'ENOENT',
  'ENOTFOUND',
  'EPIPE',
  'ETIMEDOUT',
])

/** SQLSTATEs that an operator can do something about, with what. */
const remedies: Record<string, string> = {
  '3D000':
    'the database named in DATABASE_URL does not exist; create it (create database NAME) or correct the name',
  '28P01': 'the database refused the password; correct the user or password in DATABASE_URL',
  '28000': 'the database rejects this user; check the user in DATABASE_URL and pg_hba.conf',
  '42501':
    'the database user lacks a right; run as the owner of the database, or grant it create on the database and its schema',
  '25P03':
    'this process was stopped or too busy in the middle of a transaction; nothing of it was kept',
  '25006': 'the database is read-only (a standby?); point DATABASE_URL at the primary',
  '53100': "the database's disk is full; free some space",
  '53300': 'the database has no connection left; raise max_connections or lower DB_POOL_MAX_SIZE',
  '42P01': 'the database lacks a table; run wafermon migrate',
}

/** The SQLSTATE of a database error (five characters), or the code of a system error. */
export function codeFromError(error: unknown): string | undefined {
  if (typeof error !== 'object' || error === null || !('code' in error)) return undefined
  return typeof error.code === 'string' ? error.code : undefined
}

/** True when the server was away, restarting or full: the same may work later. */
export function isUnreachable(error: unknown): boolean {
  // A lacking right or table is unavailable too, but the server is there.
  if (error instanceof AppError && error.cause !== undefined) return isUnreachable(error.cause)
  if (error instanceof AppError) return error.code === 'unavailable'
  const code = codeFromError(error) ?? ''
  return lost.has(code) || /^(08...|57P0[1-5]|25P0[34]|28...|3D000|25006)$/.test(code)
}

/**
 * An error of the driver in our words, without any SQL in it. A fault that an operator
 * can correct is said with the remedy; the rest comes back as it was.
 */
export function explainError(error: unknown): unknown {
  if (error instanceof AppError) return error
  const code = codeFromError(error) ?? ''
  const remedy = remedies[code]
  if (isUnreachable(error)) {
    const why =
      remedy ??
      `the database cannot be reached (${code}): is it running, and is DATABASE_URL right?`
    return new AppError('unavailable', why, { cause: error, retryAfterS: 2 })
  }
  // 53: out of disk, memory or connections. 55P03: a lock. 40: deadlock, serialization.
  if (/^(53...|55P03|40...|57014)$/.test(code)) {
    const why = remedy ?? overloads[code] ?? 'the database is short of resources'
    return new AppError('overloaded', why, { cause: error, retryAfterS: 2 })
  }
  return remedy ? new AppError('unavailable', remedy, { cause: error }) : error
}

const overloads: Record<string, string> = {
  '57014': 'the query took too long; narrow the window or the filter',
  '55P03': 'the database is busy with maintenance',
  '40P01': 'the database rolled back a deadlock',
  '40001': 'the database rolled back a conflict between transactions',
}
