import type { ContentfulStatusCode } from 'hono/utils/http-status'
import type { AppError, ErrorCode } from '../core/errors.ts'

/** The one table from what went wrong to an HTTP status. */
export const statusByCode: Record<ErrorCode, ContentfulStatusCode> = {
  unreadable: 400,
  unauthorized: 401,
  forbidden: 403,
  not_found: 404,
  method_not_allowed: 405,
  conflict: 409,
  too_large: 413,
  unsupported_encoding: 415,
  unsupported_type: 415,
  invalid: 422,
  /** Another server's failure: a site that does not answer. */
  unreachable: 502,
  /** Our own failure: the database is unavailable. */
  unavailable: 503,
  overloaded: 503,
}

/** Beginning of every `type` of our problem documents; a client knows our answers by it. */
export const problemType = 'urn:wafermon:problem:'

export type Problem = {
  type: string
  title: string
  status: number
  detail: string
  field?: string
}

/** RFC 9457 problem details of a failure that we understand. */
export function toProblem(error: AppError): Problem {
  const { code, message, field } = error
  return {
    type: problemType + code,
    title: code.replaceAll('_', ' '),
    status: statusByCode[code],
    detail: message,
    ...(field === undefined ? {} : { field }),
  }
}

/** The answer for a failure that we do not understand: only where to look. */
export const internalProblem: Problem = {
  type: `${problemType}internal`,
  title: 'internal error',
  status: 500,
  detail: 'Internal error; see the log of the server.',
}
