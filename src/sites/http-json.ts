import { AppError } from '../core/errors.ts'
import { parseText } from '../core/json.ts'

export type Fetch = typeof globalThis.fetch

export type Peer = {
  /** Without a slash at the end. */
  baseUrl: string
  token?: string | undefined
  /** Longest wait for an answer and for all of its body, in milliseconds. */
  timeoutMs: number
  /** Largest answer that is read, in bytes. */
  maxBytes: number
  fetch: Fetch
}

/**
 * Asks a peer for JSON.
 *
 * @returns undefined when the peer says 404
 * @throws AppError `invalid` when the peer refuses the question, `unreachable` for all else that
 * can go wrong: no answer, too slow, too large, an error, something that is not JSON. When the
 * caller goes away, the reason of its signal.
 */
export async function askJson(peer: Peer, path: string, signal: AbortSignal): Promise<unknown> {
  const timeout = AbortSignal.timeout(peer.timeoutMs)
  const either = AbortSignal.any([signal, timeout])
  try {
    const response = await peer.fetch(peer.baseUrl + path, {
      headers: headersOf(peer, 'application/json'),
      redirect: 'error',
      signal: either,
    })
    if (response.status === 404) {
      await response.body?.cancel()
      return undefined
    }
    const text = await readText(response, peer, either)
    if (!response.ok) throw refusal(response.status, text, peer)
    return parse(text, peer)
  } catch (error) {
    throw explained(error, { peer, signal, timeout })
  }
}

/** Opens an answer that is read as it comes. The wait for its headers is bounded, its length is not. */
export async function openStream(
  peer: Peer,
  path: string,
  accept: string,
  signal: AbortSignal,
  extra: Record<string, string> = {},
): Promise<Response & { body: ReadableStream<Uint8Array> }> {
  const timeout = new AbortController()
  const timer = setTimeout(() => timeout.abort(), peer.timeoutMs)
  try {
    const response = await peer.fetch(peer.baseUrl + path, {
      headers: { ...headersOf(peer, accept), ...extra },
      redirect: 'error',
      signal: AbortSignal.any([signal, timeout.signal]),
    })
    if (!response.ok || response.body === null) {
      throw refusal(response.status, await readText(response, peer, timeout.signal), peer)
    }
    return response as Response & { body: ReadableStream<Uint8Array> }
  } catch (error) {
    throw explained(error, { peer, signal, timeout: timeout.signal })
  } finally {
    clearTimeout(timer)
  }
}

/** Asks a path for its headers alone. @throws AppError unreachable when that is refused or fails */
export async function admits(peer: Peer, path: string, signal: AbortSignal): Promise<void> {
  const timeout = AbortSignal.timeout(peer.timeoutMs)
  try {
    const { ok, status } = await peer.fetch(peer.baseUrl + path, {
      method: 'HEAD',
      headers: headersOf(peer, '*/*'),
      redirect: 'error',
      signal: AbortSignal.any([signal, timeout]),
    })
    if (!ok) throw refusal(status, '', peer)
  } catch (error) {
    throw explained(error, { peer, signal, timeout })
  }
}

function headersOf({ token }: Peer, accept: string): Record<string, string> {
  return token === undefined ? { accept } : { accept, authorization: `Bearer ${token}` }
}

/** The whole of an answer, while it is not larger than the peer may send. */
export async function readText(
  response: Response,
  peer: Peer,
  signal: AbortSignal,
): Promise<string> {
  if (response.body === null) return ''
  const reader = response.body.getReader()
  const chunks: Uint8Array[] = []
  let size = 0
  for (;;) {
    signal.throwIfAborted()
    const { done, value } = await reader.read()
    if (done) return Buffer.concat(chunks).toString('utf8')
    size += value.byteLength
    if (size > peer.maxBytes) {
      await reader.cancel()
      throw unreachable(peer, `sent more than ${peer.maxBytes} bytes`)
    }
    chunks.push(value)
  }
}

function parse(text: string, peer: Peer): unknown {
  try {
    return parseText(text)
  } catch (cause) {
    throw unreachable(peer, 'answered with something that is not JSON', cause)
  }
}

function refusal(status: number, text: string, peer: Peer): AppError {
  const problem = problemIn(text)
  if (status === 401 || status === 403) {
    return unreachable(peer, `refuses our token (${status}); give this role one with scope read`)
  }
  if (status === 400 || status === 422) {
    return new AppError('invalid', problem.detail ?? 'the API refused the question', {
      field: problem.field,
    })
  }
  return unreachable(peer, `answered ${status}${problem.detail ? `: ${problem.detail}` : ''}`)
}

function problemIn(text: string): { detail?: string; field?: string } {
  try {
    const { detail, field } = JSON.parse(text) as Record<string, unknown>
    return {
      ...(typeof detail === 'string' ? { detail: detail.slice(0, 300) } : {}),
      ...(typeof field === 'string' ? { field } : {}),
    }
  } catch {
    return {}
  }
}

type Calling = { peer: Peer; signal: AbortSignal; timeout: AbortSignal }

/** What a failed call means: the caller left, the peer was slow, or the peer was not there. */
export function explained(error: unknown, { peer, signal, timeout }: Calling): unknown {
  if (signal.aborted) return signal.reason
  if (timeout.aborted) {
    return unreachable(peer, `did not answer within ${peer.timeoutMs / 1000} s`, error)
  }
  if (error instanceof AppError) return error
  return unreachable(peer, `cannot be reached (${reasonOf(error)})`, error)
}

function reasonOf(error: unknown): string {
  const cause = (error as { cause?: { code?: string; message?: string } }).cause
  return cause?.code ?? cause?.message ?? (error as Error).message
}

/** Says which API by its origin: the rest of an address may hold a secret. */
export function unreachable(peer: Peer, what: string, cause?: unknown): AppError {
  return new AppError('unreachable', `the API at ${new URL(peer.baseUrl).host} ${what}`, { cause })
}
