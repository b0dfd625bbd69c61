import { type Context, Hono, type MiddlewareHandler } from 'hono'
import { aboutRoutes } from '../api/about.ts'
import { listOf, secondsSince } from '../api/asked.ts'
import { centralSpecs } from '../api/central-specs.ts'
import type { HealthReport } from '../api/health.ts'
import { noParams, readParams } from '../api/params.ts'
import { readApi, readPaths } from '../api/read-api.ts'
import { streamBody } from '../api/stream-body.ts'
import { AppError } from '../core/errors.ts'
import { Auth, refuseOpenDoor, requireScope } from '../platform/auth.ts'
import type { CentralConfig } from '../platform/config.ts'
import { createApp, listen } from '../platform/http.ts'
import type { RoleContext, RoleReady } from '../platform/role.ts'
import { type SiteHealth, siteHealth } from '../sites/central-health.ts'
import { type Passed, passTo } from '../sites/central-pass.ts'
import { type CentralSite, centralSites, siteCalled } from '../sites/central-sites.ts'
import { mergedReader } from '../sites/merged.ts'
import { mergedFeed } from '../sites/merged-feed.ts'

/** Readers of the merged stream at once: each is a connection to every site. */
const mostStreams = 100

type Role = RoleContext & { insecure: boolean }

/** The questions of a local API, over many sites at once. */
export async function startCentral(config: CentralConfig, context: Role): Promise<RoleReady> {
  const auth = new Auth({ tokensFile: config.TOKENS_FILE, anonymous: config.ALLOW_ANONYMOUS })
  refuseOpenDoor(config.HOST, auth, context.insecure)
  const app = centralApp(config, auth, context)
  const tls = { cert: config.TLS_CERT, key: config.TLS_KEY, ca: config.TLS_CA }
  return { url: await listen(app, { host: config.HOST, port: config.PORT, tls }, context.life) }
}

/** The routes of the central API. */
export function centralApp(config: CentralConfig, auth: Auth, context: RoleContext): Hono {
  const { log, life, metrics } = context
  const timeoutMs = config.REQUEST_TIMEOUT_S * 1000
  const sites = centralSites({ sites: config.SITES, token: config.LOCAL_API_TOKEN, timeoutMs })
  const note = (site: string, up: boolean) => metrics.siteUp.set({ site }, up ? 1 : 0)
  const health = siteHealth(sites, note, life.signal)
  const limits = { defaultLimit: config.QUERY_DEFAULT_LIMIT, maxLimit: config.QUERY_MAX_LIMIT }

  const app = createApp({ log, metrics })
  const pass = passThrough(sites, config, context)
  for (const path of readPaths) app.on(['GET', 'HEAD'], path, requireScope(auth, 'read'), pass)
  app.route('/', siteRoutes(auth, health))
  const reader = mergedReader({ sites, deadlineMs: timeoutMs, onAsked: note })
  const feed = mergedFeed({ sites, onChange: note })
  const stream = { feed, metrics, log, stopping: life.signal, maxClients: mostStreams }
  app.route('/', readApi({ reader, auth, limits, stream }))
  const about = {
    service: config.SERVICE_NAME ?? 'central',
    check: async () => report(await health()),
  }
  return app.route(
    '/',
    aboutRoutes({
      title: 'central API',
      auth,
      metrics,
      health: about,
      routes: centralSpecs(limits),
      refreshMetrics: health,
    }),
  )
}

/** `GET /v1/sites`. */
function siteRoutes(auth: Auth, health: () => Promise<SiteHealth[]>): Hono {
  return new Hono().get('/v1/sites', requireScope(auth, 'read'), async (c) => {
    readParams(c, noParams)
    const started = performance.now()
    const sites = await health()
    return c.json({ ...listOf(sites), duration_s: secondsSince(started) })
  })
}

/** With every site away there is nothing to answer with; with some away, the rest is worth having. */
function report(sites: readonly SiteHealth[]): HealthReport {
  return {
    ready: sites.some(({ status }) => status !== 'unreachable'),
    status: sites.every(({ status }) => status === 'ok') ? 'ok' : 'degraded',
    sites: Object.fromEntries(sites.map(({ id, status, endpoint }) => [id, { status, endpoint }])),
  }
}

/** A question with `site=` goes to that site as it stands. */
function passThrough(
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
