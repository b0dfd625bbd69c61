import type { Context, MiddlewareHandler } from 'hono'
import { streamBody } from '../api/stream-body.ts'
import { AppError } from '../core/errors.ts'
import type { RoleContext } from '../platform/role.ts'
import { type Passed, passTo } from '../sites/central-pass.ts'
import { type CentralSite, siteCalled } from '../sites/central-sites.ts'
import type { CentralConfig } from './settings.ts'

/** A question with `site=` goes to that site as it stands. */
export function passThrough(
  sites: readonly CentralSite[],
  config: CentralConfig,
  { life, metrics, log }: RoleContext,
): MiddlewareHandler {
  const options = { token: config.LOCAL_API_TOKEN, timeoutMs: config.REQUEST_TIMEOUT_S * 1000 }
  return async (c, next) => {
    const id = siteIn(c)
    if (id === undefined) return next()
    const site = siteCalled(id, sites)
    const query = new URL(c.req.url).searchParams
    query.delete('site')
    const method = c.req.method === 'HEAD' ? 'HEAD' : 'GET'
    const question = { method, path: c.req.path, query, headers: c.req.raw.headers } as const
    const signal = AbortSignal.any([c.req.raw.signal, life.signal])
    const passed = await passTo({ site, ...options }, question, signal).catch((error: unknown) => {
      if (!signal.aborted) metrics.siteUp.set({ site: id }, 0)
      throw error
    })
    metrics.siteUp.set({ site: id }, 1)
    return answerPassed(c, passed, (error) => log.warn({ error, site: id }, 'answer broken off'))
  }
}

function siteIn(c: Context): string | undefined {
  const given = c.req.queries('site')
  if (given === undefined) return undefined
  const [id, ...more] = given
  if (id !== undefined && id !== '' && more.length === 0) return id
  const what = more.length > 0 ? 'is given more than once; give it once' : 'is empty; name a site'
  throw new AppError('invalid', `site: ${what}, or leave it out for all of them`, { field: 'site' })
}

function answerPassed(c: Context, passed: Passed, onError: (error: unknown) => void): Response {
  const { status, headers, body } = passed
  const sent = typeof body === 'string' || body === null ? body : streamBody(c, body, { onError })
  return c.newResponse(sent as ReadableStream, { status: status as 200, headers })
}
