import { Hono } from 'hono'
import { type Auth, requireScope } from '../platform/auth.ts'
import { listOf } from './asked.ts'
import { noParams, readParams } from './params.ts'

/** What the central API knows of one site. */
export type SiteView = {
  id: string
  status: 'ok' | 'degraded' | 'unreachable'
  age_s: number | null
  endpoint: string
  version: string | null
  error: string | null
}

/** `GET /v1/sites`. */
export function siteRoutes({
  auth,
  list,
}: {
  auth: Auth
  list: (signal: AbortSignal) => Promise<SiteView[]>
}): Hono {
  return new Hono().get('/v1/sites', requireScope(auth, 'read'), async (c) => {
    readParams(c, noParams)
    return c.json(listOf(await list(c.req.raw.signal)))
  })
}
