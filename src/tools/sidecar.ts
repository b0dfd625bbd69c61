import { AppError, type ErrorCode } from '../core/errors.ts'
import { type Problem, problemType } from '../platform/problem.ts'

const timeoutMs = 15_000

/** The sidecar that a tool talks to, and the token to show to it. */
export type Sidecar = { url: string; token: string | undefined }

/** The header that carries the token of a sidecar that wants one. */
export function tokenHeader({ token }: Sidecar): Record<string, string> {
  return token ? { authorization: `Bearer ${token}` } : {}
}

/**
 * Asks a sidecar. Any answer of a status in `good` comes back as parsed JSON.
 *
 * @throws AppError that says in a sentence what is wrong and what to do
 */
export async function askSidecar(
  sidecar: Sidecar,
  path: string,
  { method = 'GET', good = [200] }: { method?: string; good?: readonly number[] } = {},
): Promise<unknown> {
  const response = await reach(sidecar, path, method)
  const body: unknown = await response.json().catch(() => undefined)
  if (good.includes(response.status) && body !== undefined) return body
  throw refusal(sidecar.url, response.status, body)
}

async function reach(sidecar: Sidecar, path: string, method: string): Promise<Response> {
  try {
    const signal = AbortSignal.timeout(timeoutMs)
    return await fetch(`${sidecar.url}${path}`, { method, headers: tokenHeader(sidecar), signal })
  } catch (error) {
    throw unreachable(sidecar.url, error)
  }
}

/** A sidecar that does not answer at all. */
export function unreachable(url: string, error: unknown): AppError {
  const { name, cause } = error as Error & { cause?: { code?: string } }
  const why = name === 'TimeoutError' ? 'no answer in time' : (cause?.code ?? 'no connection')
  const text = `the sidecar at ${url} cannot be reached (${why}): is it running there? Set its address with --url or SIDECAR_URL`
  return new AppError('unreachable', text)
}

const codes: Record<number, ErrorCode> = { 401: 'unauthorized', 403: 'forbidden', 404: 'not_found' }

/** Why a sidecar, or whatever answers in its place, did not do what it was asked. */
export function refusal(url: string, status: number, body: unknown): AppError {
  const { type, detail, field } = Object(body) as Partial<Problem>
  const noSuchPath = status === 404 && field === undefined
  if (noSuchPath || !String(type).startsWith(problemType)) {
    const text = `${url} answers (HTTP ${status}), but it is not a sidecar; set the address with --url or SIDECAR_URL`
    return new AppError('unreachable', text)
  }
  const code = codes[status] ?? 'unreachable'
  return new AppError(code, `${detail}${remedies[status] ?? ''}`, { field })
}

const remedies: Record<number, string> = {
  401: '; set SIDECAR_TOKEN (create one with wafermon token new on the host of the sidecar)',
  403: '; set SIDECAR_TOKEN to another one (create it with wafermon token new on the host of the sidecar)',
}
