import { Hono } from 'hono'
import { centralSpecs } from '../api/central-specs.ts'
import type { HealthReport } from '../api/health.ts'
import { noParams, readParams } from '../api/query-params.ts'
import { readApi, readPaths } from '../api/read-api.ts'
import { listOf, secondsSince } from '../api/reader-source.ts'
import { aboutRoutes } from '../api/role-routes.ts'
import { Auth, refuseOpenDoor, requireScope } from '../platform/auth.ts'
import type { CentralConfig } from '../platform/config.ts'
import { addressOf, createApp, listen } from '../platform/http.ts'
import type { RoleContext, RoleReady } from '../platform/role.ts'
import type { SiteHealth } from '../sites/site.ts'
import { Sites } from '../sites/sites.ts'
import { passThrough } from './central-pass-through.ts'

/** Maximum readers of the merged stream: each is sent every event of every site. */
const maxStreams = 100

type Role = RoleContext & { insecure: boolean }

/** The questions of a local API, over many sites at once. */
export async function startCentral(config: CentralConfig, context: Role): Promise<RoleReady> {
  const auth = new Auth({ tokensFile: config.TOKENS_FILE, anonymous: config.ALLOW_ANONYMOUS })
  refuseOpenDoor(config.HOST, auth, context.insecure)
  const app = centralApp(config, auth, context)
  return { url: await listen(app, addressOf(config), context.life) }
}

/** The routes of the central API. */
export function centralApp(config: CentralConfig, auth: Auth, context: RoleContext): Hono {
  const { log, life, metrics } = context
  const sites = new Sites({
    sites: config.SITES,
    token: config.LOCAL_API_TOKEN,
    timeoutMs: config.REQUEST_TIMEOUT_S * 1000,
    onUp: (site, up) => metrics.siteUp.set({ site }, up ? 1 : 0),
    stopping: life.signal,
  })
  life.onStop('sites', () => sites.close())
  const limits = { defaultLimit: config.QUERY_DEFAULT_LIMIT, maxLimit: config.QUERY_MAX_LIMIT }

  const app = createApp({ log, metrics })
  const pass = passThrough(sites, context)
  for (const path of readPaths) app.on(['GET', 'HEAD'], path, requireScope(auth, 'read'), pass)
  app.route('/', siteRoutes(auth, sites))
  const stream = { feed: sites.feed, metrics, log, stopping: life.signal, maxClients: maxStreams }
  app.route('/', readApi({ reader: sites.ask, auth, limits, stream }))
  const about = {
    service: config.SERVICE_NAME ?? 'central',
    check: async () => toReport(await sites.health()),
  }
  return app.route(
    '/',
    aboutRoutes({
      title: 'central API',
      auth,
      metrics,
      health: about,
      routes: centralSpecs(limits),
      refreshMetrics: () => sites.health(),
    }),
  )
}

/** `GET /v1/sites`. */
function siteRoutes(auth: Auth, sites: Sites): Hono {
  return new Hono().get('/v1/sites', requireScope(auth, 'read'), async (c) => {
    readParams(c, noParams)
    const started = performance.now()
    const items = await sites.health()
    return c.json({ ...listOf(items), duration_s: secondsSince(started) })
  })
}

/** Ready while any site answers: the answers of the others are worth having. */
function toReport(sites: readonly SiteHealth[]): HealthReport {
  return {
    ready: sites.some(({ status }) => status !== 'unreachable'),
    status: sites.every(({ status }) => status === 'ok') ? 'ok' : 'degraded',
    sites: Object.fromEntries(sites.map(({ id, status, endpoint }) => [id, { status, endpoint }])),
  }
}
