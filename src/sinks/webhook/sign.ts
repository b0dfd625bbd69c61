import { createHmac } from 'node:crypto'

/**
 * The headers of Standard Webhooks for a body, exactly as it is sent. A receiver that knows one of
 * the keys can check it, so that a key can be replaced while both sides use both.
 *
 * @param id the same on each repeat
 * @param nowMs since 1970
 */
export function signHeaders(
  { id, body, nowMs }: { id: string; body: string; nowMs: number },
  keys: readonly Buffer[],
): Record<string, string> {
  const timestamp = String(Math.floor(nowMs / 1000))
  const signatures = keys.map(
    (key) =>
      `v1,${createHmac('sha256', key).update(`${id}.${timestamp}.`).update(body).digest('base64')}`,
  )
  return {
    'webhook-id': id,
    'webhook-timestamp': timestamp,
    ...(signatures.length > 0 ? { 'webhook-signature': signatures.join(' ') } : {}),
  }
}
