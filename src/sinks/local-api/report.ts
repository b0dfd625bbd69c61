import type { Report } from '../../core/delivery.ts'
import { HttpClient } from '../../platform/http-client.ts'
import { readTls } from '../http.ts'
import type { Settings } from './settings.ts'

/** Longest wait for an answer, in milliseconds: half of the time between two heartbeats. */
const maxTimeoutMs = 5000

/** Hands heartbeats to the local API, on a connection of their own: a batch that hangs does not hold them up. */
export function makeReport(settings: Settings): Report {
  const { base_url, token, timeout } = settings
  const client = new HttpClient({
    baseUrl: base_url,
    timeoutMs: Math.min(timeout * 1000, maxTimeoutMs),
    tls: readTls(settings),
    maxBytes: 64 * 1024,
    headers: {
      'content-type': 'application/json',
      ...(token ? { authorization: `Bearer ${token}` } : {}),
    },
  })
  return async (said, signal) => {
    const request = {
      method: 'POST',
      path: '/v1/ingest/heartbeat',
      body: JSON.stringify(said),
    } as const
    try {
      const { status, body } = await client.ask(request, signal)
      if (status === 404) return 'unknown'
      if (status === 200) return readKept(body.toString('utf8'))
      return { failed: `it answered ${status}` }
    } catch (error) {
      return { failed: (error as Error).message }
    }
  }
}

/** Only our own API's word counts: what is in between answers 200 to anything. */
function readKept(text: string): Awaited<ReturnType<Report>> {
  try {
    const { ok, stamps } = Object(JSON.parse(text)) as { ok?: unknown; stamps?: unknown }
    if (stamps === 'ignored') {
      return { failed: 'the token lacks the scope forward: give LOCAL_API_TOKEN that scope' }
    }
    if (ok === true) return 'kept'
  } catch {
    // Said below.
  }
  return { failed: 'it answered 200, but not as a local API does (a proxy?)' }
}
