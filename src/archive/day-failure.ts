import { AppError } from '../core/errors.ts'

/** One day of a site cannot be archived as things are; others can. */
export class DayFailure extends Error {
  override readonly name = 'DayFailure'
}

/** A name that is invalid or taken, or a {@link DayFailure}; any other error concerns all days. */
export const concernsDay = (error: unknown): error is Error =>
  error instanceof DayFailure ||
  (error instanceof AppError && (error.code === 'invalid' || error.code === 'conflict'))
