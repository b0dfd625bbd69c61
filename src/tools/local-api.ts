import { AppError, type ErrorCode } from '../core/errors.ts'
import { HttpClient } from '../platform/http-client.ts'
import { HttpFailure } from '../platform/http-failure.ts'
import type { Problem } from '../platform/problem.ts'
import { isProblem, parseOrUndefined } from './sidecar.ts'

/** The local API that a tool talks to, and the token to show to it. */
export type LocalApi = { url: string; token: string | undefined }

/**
 * Asks a local API; with a body, has it do something.
 *
 * @throws AppError that says in a sentence what is wrong and what to do
 */
export async function askLocalApi(
  { url, token }: LocalApi,
  path: string,
  body?: object,
): Promise<unknown> {
  const headers = {
    'content-type': 'application/json',
    ...(token ? { authorization: `Bearer ${token}` } : {}),
  }
  const client = new HttpClient({
    baseUrl: url,
    timeoutMs: 15_000,
    maxBytes: 64 * 2 ** 20,
    headers,
  })
  try {
    const { status, body: raw } = await client.ask({
      path,
      ...(body === undefined ? {} : { method: 'POST', body: JSON.stringify(body) }),
    })
    const json = parseOrUndefined(raw)
    if (status === 200 && json !== undefined) return json
    throw toRefusal(url, status, json)
  } catch (error) {
    if (!(error instanceof HttpFailure)) throw error
    const text = `the local API at ${url} ${error.message}: is it running? Set its address with --url or LOCAL_API_BASE`
    throw new AppError('unreachable', text)
  } finally {
    client.close()
  }
}

const codes: Record<number, ErrorCode> = {
  401: 'unauthorized',
  403: 'forbidden',
  404: 'not_found',
  409: 'conflict',
  422: 'invalid',
}

function toRefusal(url: string, status: number, body: unknown): AppError {
  const { detail, field } = Object(body) as Partial<Problem>
  if (!isProblem(body) || (status === 404 && field === undefined)) {
    const text = `${url} answers (HTTP ${status}), but is not a local API of this version; set its address with --url or LOCAL_API_BASE`
    return new AppError('unreachable', text)
  }
  const remedy = status === 401 || status === 403 ? tokenRemedy : ''
  return new AppError(codes[status] ?? 'unreachable', `${detail}${remedy}`, { field })
}

const tokenRemedy =
  '; set LOCAL_API_TOKEN (make a token with wafermon token new --scope operate, where the local API runs)'
