import type { Logger } from 'pino'
import { AppError } from '../core/errors.ts'
import { internalProblem, type Problem, toProblem } from './problem.ts'
import { logSparsely } from './sparse-log.ts'

/** The answer of an API to a request: with these headers and {@link apiHeaders}. */
export type Answer = { status: number; headers: Record<string, string>; body: string }

/** Answers of an API hold no page, so nothing in them may ever run, load or be framed. */
export const apiHeaders = {
  'cache-control': 'no-store',
  'content-security-policy': "default-src 'none'; frame-ancestors 'none'",
  'cross-origin-resource-policy': 'same-origin',
  'referrer-policy': 'no-referrer',
  'x-content-type-options': 'nosniff',
  'x-frame-options': 'DENY',
}

/** The one place where a thrown error becomes an answer, and a line in the log. */
export function answerError(error: unknown, endpoint: string, log: Logger): Answer {
  if (!(error instanceof AppError)) {
    const name = error instanceof Error ? error.name : ''
    const fields = { error, endpoint }
    logSparsely(log, `${name} ${endpoint}`, { level: 'error', fields, event: 'request failed' })
    return answerProblem(internalProblem)
  }
  if (error.retryable) {
    const fields = { detail: error.message, cause: error.cause, endpoint }
    logSparsely(log, `${error.code} ${endpoint}`, { level: 'warn', fields, event: 'refused' })
  }
  return answerProblem(toProblem(error), headersOf(error))
}

function headersOf({ code, retryAfterS }: AppError): Record<string, string> {
  if (retryAfterS !== undefined) return { 'retry-after': String(retryAfterS) }
  return code === 'unauthorized' ? { 'www-authenticate': 'Bearer realm="wafermon"' } : {}
}

const answerProblem = (problem: Problem, headers: Record<string, string> = {}): Answer => ({
  status: problem.status,
  headers: { 'content-type': 'application/problem+json', ...headers },
  body: JSON.stringify(problem),
})
