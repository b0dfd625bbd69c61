import { Hono } from 'hono'
import { version } from '../platform/version.ts'

/** What a role knows of itself. */
export type Health = {
  /** Whether it can do its work; otherwise 503. */
  ready: boolean
  /** Works, but something that it depends on does not. */
  degraded: boolean
  /** Fields of this role, in snake_case. */
  details: Record<string, unknown>
}

/** `GET /v1/healthz`: 200 when the role can do its work, 503 when it cannot. No token is needed. */
export function healthRoute(service: string, health: () => Health | Promise<Health>): Hono {
  return new Hono().get('/v1/healthz', async (c) => {
    const { ready, degraded, details } = await health()
    const status = ready && !degraded ? 'ok' : 'degraded'
    return c.json({ status, service, version, ...details }, ready ? 200 : 503)
  })
}
