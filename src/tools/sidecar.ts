import { AppError, type ErrorCode } from '../core/errors.ts'
import { parseText } from '../core/json.ts'
import { HttpClient, type HttpRequest } from '../platform/http-client.ts'
import { HttpFailure } from '../platform/http-failure.ts'
import { type Problem, problemType } from '../platform/problem.ts'

/** The sidecar that a tool talks to, and the token to show to it. */
export type Sidecar = {
  url: string
  token: string | undefined
  /** Answers in the place of one that is stopped; `url` is its folder then. */
  ask?: (path: string, method: string) => Promise<{ status: number; body: Buffer }>
}

type Method = NonNullable<HttpRequest['method']>

/** A client for a sidecar; what it fails with is an HttpFailure. */
export function openClient({ url, token }: Sidecar, timeoutMs: number): HttpClient {
  const headers = token ? { authorization: `Bearer ${token}` } : {}
  return new HttpClient({ baseUrl: url, timeoutMs, maxBytes: 64 * 2 ** 20, headers })
}

/**
 * Asks a sidecar. An answer with a status in `good` comes back as parsed JSON.
 *
 * @throws AppError that says in a sentence what is wrong and what to do
 */
export async function askSidecar(
  sidecar: Sidecar,
  path: string,
  { method = 'GET', good = [200] }: Pick<HttpRequest, 'method'> & { good?: readonly number[] } = {},
): Promise<unknown> {
  const { status, body } = await (sidecar.ask?.(path, method) ?? askOver(sidecar, method, path))
  const json = parseOrUndefined(body)
  if (good.includes(status) && json !== undefined) return json
  throw toRefusal(sidecar.url, status, json)
}

async function askOver(sidecar: Sidecar, method: Method, path: string) {
  const client = openClient(sidecar, 15_000)
  try {
    return await client.ask({ method, path })
  } catch (error) {
    throw error instanceof HttpFailure ? toUnreachable(sidecar.url, error) : error
  } finally {
    client.close()
  }
}

/** The JSON of an answer; undefined when it is something else. */
export function parseOrUndefined(body: Buffer): unknown {
  try {
    return parseText(body.toString('utf8'))
  } catch {
    return undefined
  }
}

/** A sidecar that does not answer at all. */
export function toUnreachable(url: string, { message }: HttpFailure): AppError {
  const text = `the sidecar at ${url} ${message}: is it running? Set its address with --url or SIDECAR_URL`
  return new AppError('unreachable', text)
}

/** True for a problem document of a role: what stands between may answer anything else. */
export const isProblem = (body: unknown): boolean =>
  String((Object(body) as Partial<Problem>).type).startsWith(problemType)

const codes: Record<number, ErrorCode> = { 401: 'unauthorized', 403: 'forbidden', 404: 'not_found' }

/** The reason why a sidecar, or what answers in its place, did not do what it was asked. */
export function toRefusal(url: string, status: number, body: unknown): AppError {
  const { detail, field } = Object(body) as Partial<Problem>
  const noSuchPath = status === 404 && field === undefined
  if (noSuchPath || !isProblem(body)) {
    const text = `${url} answers (HTTP ${status}), but is not a sidecar; set its address with --url or SIDECAR_URL`
    return new AppError('unreachable', text)
  }
  const code = codes[status] ?? 'unreachable'
  return new AppError(code, `${detail}${remedies[status] ?? ''}`, { field })
}

const remedies: Record<number, string> = {
  401: '; set SIDECAR_TOKEN (make a token with wafermon token new, where the sidecar runs)',
  403: '; set SIDECAR_TOKEN to another one (make it with wafermon token new, where the sidecar runs)',
}
