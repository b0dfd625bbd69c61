import { Hono } from 'hono'
import { centralSpecs } from '../api/central-specs.ts'
import type { HealthReport } from '../api/health.ts'
import { noParams, readParams } from '../api/query-params.ts'
import { readApi, readPaths } from '../api/read-api.ts'
import { listOf, secondsSince } from '../api/reader-source.ts'
import { aboutRoutes } from '../api/role-routes.ts'
import { Auth, refuseOpenDoor, requireScope } from '../platform/auth.ts'
import type { CentralConfig } from '../platform/config.ts'
import { createApp } from '../platform/http.ts'
import { listen, toAddress } from '../platform/listen.ts'
import type { RoleContext, RoleReady } from '../platform/role.ts'
import { type SiteHealth, siteHealth } from '../sites/central-health.ts'
import { centralSites } from '../sites/central-sites.ts'
import { mergedFeed } from '../sites/merged-feed.ts'
import { mergedReader } from '../sites/merged-reader.ts'
import { passThrough } from './central-pass-through.ts'

/** Readers of the merged stream at once: each is a connection to every site. */
const mostStreams = 100

type Role = RoleContext & { insecure: boolean }

/** The questions of a local API, over many sites at once. */
export async function startCentral(config: CentralConfig, context: Role): Promise<RoleReady> {
  const auth = new Auth({ tokensFile: config.TOKENS_FILE, anonymous: config.ALLOW_ANONYMOUS })
  refuseOpenDoor(config.HOST, auth, context.insecure)
  const app = centralApp(config, auth, context)
  return { url: await listen(app, toAddress(config), context.life) }
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
