import { activeTraceparent } from '../platform/tracing.ts'
import type { CentralSite } from './central-sites.ts'
import { explained, type Peer, readText, unreachable } from './http-json.ts'

export type PassOptions = {
  site: CentralSite
  token?: string | undefined
  /** Longest wait for the answer to begin, and for all of it when it is JSON, in milliseconds. */
  timeoutMs: number
  /** Longest silence within a stream or an export, in milliseconds; three heartbeats. */
  maxSilenceMs?: number
}

export type Question = {
  method: 'GET' | 'HEAD'
  path: string
  query: URLSearchParams
  headers: Headers
}

export type Passed = {
  status: number
  headers: Record<string, string>
  /** JSON comes whole, and everything else as it arrives. */
  body: string | AsyncGenerator<Uint8Array> | null
}

const sentOn = ['accept', 'last-event-id']
const sentBack = [
  'content-type',
  'content-disposition',
  'retry-after',
  'vary',
  'wafermon-completeness',
  'x-accel-buffering',
]

/**
 * Puts a question to one site as it stands, and hands its answer back as it stands: what a newer
 * site says is not lost, and an export or a stream is not held in memory.
 *
 * @throws AppError unreachable when the site does not answer in time, or not as a local API does
 */
export async function passTo(
  { site, token, timeoutMs, maxSilenceMs = 45_000 }: PassOptions,
  question: Question,
  signal: AbortSignal,
): Promise<Passed> {
  const peer: Peer = { baseUrl: site.url, token, timeoutMs, maxBytes: 64 * 2 ** 20, fetch }
  const timeout = new AbortController()
  const timer = setTimeout(() => timeout.abort(), timeoutMs)
  const either = AbortSignal.any([signal, timeout.signal])
  try {
    const response = await fetch(addressOf(site, question), {
      method: question.method,
      headers: headersOf(question.headers, token),
      redirect: 'error',
      signal: either,
    })
    if (response.status === 401 || response.status === 403) {
      await response.body?.cancel()
      throw unreachable(
        peer,
        `refuses our token (${response.status}); give central one with scope read`,
      )
    }
    const headers = headersBack(response, site)
    const isJson = /^application\/(problem\+)?json/.test(headers['content-type'] ?? '')
    if (question.method === 'HEAD' || response.body === null) {
      return { status: response.status, headers, body: null }
    }
    if (isJson)
      return { status: response.status, headers, body: await readText(response, peer, either) }
    const body = watched(response.body, timeout, maxSilenceMs)
    return { status: response.status, headers, body }
  } catch (error) {
    throw explained(error, { peer, signal, timeout: timeout.signal })
  } finally {
    clearTimeout(timer)
  }
}

function addressOf({ url }: CentralSite, { path, query }: Question): string {
  return query.size > 0 ? `${url}${path}?${query}` : url + path
}

function headersOf(given: Headers, token: string | undefined): Record<string, string> {
  const headers: Record<string, string> = {}
  for (const name of sentOn) {
    const value = given.get(name)
    if (value !== null) headers[name] = value
  }
  const traceparent = activeTraceparent()
  if (traceparent !== undefined) headers.traceparent = traceparent
  if (token !== undefined) headers.authorization = `Bearer ${token}`
  return headers
}

function headersBack(response: Response, site: CentralSite): Record<string, string> {
  const headers: Record<string, string> = {}
  for (const name of sentBack) {
    const value = response.headers.get(name)
    if (value !== null) headers[name] = value
  }
  const link = response.headers.get('link')
  // The next page is asked of us, and we must know of which site.
  if (link !== null) headers.link = link.replace(/\?([^>]*)>/, `?site=${site.id}&$1>`)
  return headers
}

/** A connection that went silent is given up: its reader must not take it for a quiet one. */
async function* watched(
  body: ReadableStream<Uint8Array>,
  silence: AbortController,
  maxSilenceMs: number,
): AsyncGenerator<Uint8Array> {
  const reader = body.getReader()
  try {
    for (;;) {
      const timer = setTimeout(() => silence.abort(), maxSilenceMs)
      const { done, value } = await reader.read().finally(() => clearTimeout(timer))
      if (done) return
      yield value
    }
  } finally {
    await reader.cancel().catch(() => {})
  }
}
