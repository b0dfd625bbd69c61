import type { Hono } from 'hono'
import { toCentral } from '../api/central-routes.ts'
import type { HealthReport } from '../api/health.ts'
import { questionRoutes } from '../api/questions.ts'
import { roleRoutes } from '../api/role-routes.ts'
import { siteRoutes } from '../api/sites.ts'
import { Auth, refuseOpenDoor } from '../platform/auth.ts'
import type { CentralConfig } from '../platform/config.ts'
import { addressOf, createApp, listen } from '../platform/http.ts'
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
  return { url: await listen(app, addressOf(config), context.life) }
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
  const reader = mergedReader({ sites, deadlineMs: timeoutMs, onAsked: note })
  const feed = mergedFeed({ sites, onChange: note })
  const stream = { feed, metrics, log, stopping: life.signal, maxClients: mostStreams }
  const questions = questionRoutes({ reader, limits, stream })
  const about = {
    service: config.SERVICE_NAME ?? 'central',
    check: async () => report(await health()),
  }
  return app.route(
    '/',
    roleRoutes({
      title: 'central API',
      auth,
      metrics,
      health: about,
      routes: [
        ...siteRoutes({ list: health }),
        ...toCentral(questions, passThrough(sites, config, context)),
      ],
      refreshMetrics: health,
    }),
  )
}

/** With every site away there is nothing to answer with; with some away, the rest is worth having. */
function report(sites: readonly SiteHealth[]): HealthReport {
  return {
    ready: sites.some(({ status }) => status !== 'unreachable'),
    status: sites.every(({ status }) => status === 'ok') ? 'ok' : 'degraded',
    sites: Object.fromEntries(sites.map(({ id, status, endpoint }) => [id, { status, endpoint }])),
  }
}
