/** The kinds of errors, as the HTTP layer, the metrics and the CLI all name them. */
export type ErrorCode =
  | 'unreadable'
  | 'unauthorized'
  | 'forbidden'
  | 'not_found'
  | 'method_not_allowed'
  | 'conflict'
  | 'too_large'
  | 'unsupported_encoding'
  | 'unsupported_type'
  | 'invalid'
  | 'unreachable'
  | 'unavailable'
  | 'overloaded'

type AppErrorOptions = ErrorOptions & {
  /** Dotted path of the input that is to blame, for example `event.at`. */
  field?: string | undefined
  /** Seconds after which asking again makes sense; becomes `Retry-After`. */
  retryAfterS?: number | undefined
}

/**
 * A failure we understand well enough to explain to the caller.
 *
 * Anything that is not an AppError is a bug or an outage: it is logged in full
 * and the caller is told only "internal error".
 */
export class AppError extends Error {
  override readonly name = 'AppError'
  readonly code: ErrorCode
  readonly field: string | undefined
  readonly retryAfterS: number | undefined

  constructor(code: ErrorCode, message: string, options: AppErrorOptions = {}) {
    super(message, options)
    this.code = code
    this.field = options.field
    this.retryAfterS = options.retryAfterS
  }

  /** True when the same request may succeed later without being changed. */
  get retryable(): boolean {
    return ['overloaded', 'unreachable', 'unavailable'].includes(this.code)
  }
}

/**
 * A command line or a setting that cannot work. The message is for the operator as it is, and a
 * program ends with code 2.
 */
export class ConfigError extends Error {
  override readonly name = 'ConfigError'
  /** One sentence each, when there may be several. */
  readonly problems: readonly string[]

  constructor(message: string, problems: readonly string[] = [message]) {
    super(message)
    this.problems = problems
  }
}
