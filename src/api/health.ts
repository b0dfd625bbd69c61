import { Hono } from 'hono'
import type { ContentfulStatusCode } from 'hono/utils/http-status'
import { version } from '../platform/version.ts'

/** What a role says of itself. */
export type HealthReport = {
  /** Whether it can do its work: else the answer is 503, and nobody should send it any. */
  ready: boolean
  status: 'ok' | 'degraded'
  [detail: string]: unknown
}

export type HealthOptions = {
  service: string
  check: () => HealthReport | Promise<HealthReport>
}

/** `GET /v1/healthz`. Open to everybody: probes carry no token, and it says nothing about jobs. */
export function healthRoute({ service, check }: HealthOptions): Hono {
  return new Hono().get('/v1/healthz', async (c) => {
    const { ready, status, ...details } = await check()
    const code: ContentfulStatusCode = ready ? 200 : 503
    return c.json({ status: ready ? status : 'degraded', service, version, ...details }, code)
  })
}
