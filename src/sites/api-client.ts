import { maxPageBytes } from '../core/answer-size.ts'
import { AppError } from '../core/errors.ts'
import { parseText } from '../core/json.ts'
import { HttpClient, type HttpHead } from '../platform/http-client.ts'
import { HttpFailure } from '../platform/http-failure.ts'

/*
 * JSON and streams from the API of a site or of central.
 *
 * Every call ends within the deadline of the client with an answer or with an AppError: `invalid`
 * when the API refuses the request, `unreachable` for everything else that can go wrong. When the
 * caller leaves, it ends with the reason of the caller's signal.
 */

export type ApiOptions = {
  /** Address of the API. */
  baseUrl: string
  token?: string | undefined
  /** Longest wait for an answer, in milliseconds. */
  timeoutMs: number
  /** Largest answer that is read whole, in bytes (by default a page, and what stands around it). */
  maxBytes?: number
  /** Longest silence of a stream or an export, in milliseconds (default 45,000). */
  maxSilenceMs?: number
}

/** What an API answers is a page at most; around its items stand some kilobytes. */
const maxAnswerBytes = maxPageBytes + 2 ** 20

export function openClient(options: ApiOptions): HttpClient {
  const { baseUrl, token, timeoutMs, maxBytes = maxAnswerBytes, maxSilenceMs = 45_000 } = options
  const headers = token === undefined ? {} : { authorization: `Bearer ${token}` }
  return new HttpClient({ baseUrl, timeoutMs, maxBytes, maxSilenceMs, headers })
}

/** The text of an answer; undefined when the API answers 404. */
export async function askText(
  client: HttpClient,
  path: string,
  signal: AbortSignal,
): Promise<string | undefined> {
  const request = { path, headers: { accept: 'application/json' } }
  const answer = await client.ask(request, signal).catch(rethrow(client))
  if (answer.status === 404) return undefined
  const text = answer.body.toString('utf8')
  if (!answer.ok) throw toRefusal(client, answer, text)
  return text
}

/**
 * Has the API do something.
 *
 * @throws AppError with what it says against it; forbidden when our token lacks the scope
 */
export async function postJson(
  client: HttpClient,
  path: string,
  body: object,
  signal: AbortSignal,
): Promise<void> {
  const headers = { accept: 'application/json', 'content-type': 'application/json' }
  const request = { method: 'POST', path, headers, body: JSON.stringify(body) } as const
  const answer = await client.ask(request, signal).catch(rethrow(client))
  if (answer.ok) return
  const { status } = answer
  const text = answer.body.toString('utf8')
  const { detail = `the API answered ${status}`, field } = readProblem(text)
  const code = ({ 403: 'forbidden', 404: 'not_found', 409: 'conflict' } as const)[status]
  const whose = status === 403 ? ', the one that this role sends (LOCAL_API_TOKEN)' : ''
  if (code !== undefined) throw new AppError(code, `${detail}${whose}`, { field })
  throw toRefusal(client, answer, text)
}

/** An answer that is read as it comes: its headers within the deadline, its length without a limit. */
export async function openStream(
  client: HttpClient,
  path: string,
  headers: Record<string, string>,
  signal: AbortSignal,
): Promise<ReadableStream<Uint8Array>> {
  const answer = await client.open({ path, headers }, signal).catch(rethrow(client))
  if ('stream' in answer) return answer.stream
  throw toRefusal(client, answer, answer.body.toString('utf8'))
}

/** Asks a path for its headers alone. @throws AppError unreachable when that is refused or fails */
export async function checkAdmission(
  client: HttpClient,
  path: string,
  signal: AbortSignal,
): Promise<void> {
  const answer = await client.ask({ method: 'HEAD', path }, signal).catch(rethrow(client))
  if (!answer.ok) throw toRefusal(client, answer, '')
}

function toRefusal(client: HttpClient, { status }: HttpHead, text: string): AppError {
  if (status === 401 || status === 403) return tokenRefused(client, status)
  const { detail, field } = readProblem(text)
  if (status === 400 || status === 422) {
    return new AppError('invalid', detail ?? 'the API refuses the request', { field })
  }
  return unreachable(client, `answered ${status}${detail ? `: ${detail}` : ''}`)
}

export const tokenRefused = (client: HttpClient, status: number): AppError =>
  unreachable(client, `rejects our token (${status}); give this role a token with scope read`)

function readProblem(text: string): { detail?: string; field?: string } {
  try {
    const { detail, field } = parseText(text) as Record<string, unknown>
    return {
      ...(typeof detail === 'string' ? { detail: detail.slice(0, 300) } : {}),
      ...(typeof field === 'string' ? { field } : {}),
    }
  } catch {
    return {}
  }
}

/** The API by its host: the rest of its address may hold a secret. */
export function unreachable({ host }: HttpClient, what: string, cause?: unknown): AppError {
  return new AppError('unreachable', `the API at ${host} ${what}`, { cause })
}

/** Turns a failed exchange into an AppError; rethrows anything else unchanged. */
export function toAppError(client: HttpClient, error: unknown): unknown {
  return error instanceof HttpFailure ? unreachable(client, error.message, error) : error
}

export const rethrow = (client: HttpClient) => (error: unknown) => {
  throw toAppError(client, error)
}
