import { InvalidArgumentError, Option } from 'commander'
import { AppError, type ErrorCode } from '../core/errors.ts'
import { siteIdMessage, siteIdPattern } from '../core/site-id.ts'
import { type Problem, problemType } from '../platform/problem.ts'

const standard = 'http://127.0.0.1:8000'
const timeoutMs = 15_000

/** `--url`, which every tool that talks to a sidecar has. */
export const sidecarOption = () =>
  new Option('--url <address>', 'the sidecar').env('SIDECAR_URL').default(standard).argParser(toUrl)

/** `--site`, of tools that send events. */
export const siteOption = () =>
  new Option('--site <id>', 'id of the site').default('fab1').argParser(toSite)

function toSite(text: string): string {
  if (siteIdPattern.test(text)) return text
  throw new InvalidArgumentError(`It ${siteIdMessage}.`)
}

/** An empty variable means "not set", as compose files and unit files write it. */
function toUrl(text: string): string {
  if (text === '') return standard
  if (/^https?:\/\//i.test(text) && URL.canParse(text)) return text.replace(/\/+$/, '')
  throw new InvalidArgumentError(`Give an address such as ${standard}.`)
}

/** What a tool sends along: the token of the environment, where there is one. */
export function tokenHeader(env: NodeJS.ProcessEnv = process.env): Record<string, string> {
  const token = env.SIDECAR_TOKEN
  return token ? { authorization: `Bearer ${token}` } : {}
}

/**
 * Asks a sidecar. Any answer of a status in `good` comes back as parsed JSON.
 *
 * @throws AppError that says in a sentence what is wrong and what to do
 */
export async function askSidecar(
  url: string,
  path: string,
  { method = 'GET', good = [200] }: { method?: string; good?: readonly number[] } = {},
): Promise<unknown> {
  const response = await reach(url, path, method)
  const body: unknown = await response.json().catch(() => undefined)
  if (good.includes(response.status) && body !== undefined) return body
  throw refusal(url, response.status, body)
}

async function reach(url: string, path: string, method: string): Promise<Response> {
  try {
    const signal = AbortSignal.timeout(timeoutMs)
    return await fetch(`${url}${path}`, { method, headers: tokenHeader(), signal })
  } catch (error) {
    throw unreachable(url, error)
  }
}

/** A sidecar that does not answer at all. */
export function unreachable(url: string, error: unknown): AppError {
  const { name, cause } = error as Error & { cause?: { code?: string } }
  const why = name === 'TimeoutError' ? 'no answer in time' : (cause?.code ?? 'no connection')
  const text = `the sidecar at ${url} cannot be reached (${why}): is it running there? --url or SIDECAR_URL says where it is`
  return new AppError('unreachable', text)
}

const codes: Record<number, ErrorCode> = { 401: 'unauthorized', 403: 'forbidden', 404: 'not_found' }

/** Why a sidecar, or whatever answers in its place, did not do what it was asked. */
export function refusal(url: string, status: number, body: unknown): AppError {
  const { type, detail, field } = Object(body) as Partial<Problem>
  const noSuchPath = status === 404 && field === undefined
  if (noSuchPath || !String(type).startsWith(problemType)) {
    const text = `${url} answers (HTTP ${status}), but not as a sidecar does: --url or SIDECAR_URL says where it is`
    return new AppError('unreachable', text)
  }
  const code = codes[status] ?? 'unreachable'
  return new AppError(code, `${detail}${remedies[status] ?? ''}`, { field })
}

const remedies: Record<number, string> = {
  401: '; put one into SIDECAR_TOKEN (wafermon token new makes it where the sidecar runs)',
  403: '; put another one into SIDECAR_TOKEN (wafermon token new makes it where the sidecar runs)',
}
