import { AppError } from '../core/errors.ts'

export const isDiskFull = (error: unknown) => (error as { code?: string }).code === 'SQLITE_FULL'

export const unwritableError = (cause: unknown) =>
  new AppError('overloaded', 'the spool cannot be written', { cause, retryAfterS: 5 })
