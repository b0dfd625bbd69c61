import { toCentral } from '../api/central-routes.ts'
import type { HealthReport } from '../api/health.ts'
import { questionRoutes } from '../api/questions.ts'
import { toQueryLimits } from '../api/settings.ts'
import { siteRoutes } from '../api/sites.ts'
import type { Auth } from '../platform/auth.ts'
import type { RoleContext, RoleReady, StartContext } from '../platform/role.ts'
import { type SiteHealth, siteHealth } from '../sites/central-health.ts'
import { centralSites } from '../sites/central-sites.ts'
import { mergedFeed } from '../sites/merged-feed.ts'
import { mergedReader } from '../sites/merged-reader.ts'
import { passThrough } from './central-pass-through.ts'
import { openAuth, type Service, serve } from './serve.ts'
import type { CentralConfig } from './settings.ts'

/** Maximum readers of the merged stream: each is a connection to every site. */
const maxStreams = 100

/** Answers the questions of a local API, over many sites. */
export async function startCentral(
  config: CentralConfig,
  context: StartContext,
): Promise<RoleReady> {
  const auth = openAuth(config, context)
  return serve(config, context, centralService(config, auth, context))
}

/** The HTTP side of the central API. */
export function centralService(config: CentralConfig, auth: Auth, context: RoleContext): Service {
  const { log, life, metrics } = context
  const timeoutMs = config.REQUEST_TIMEOUT_S * 1000
  const sites = centralSites({ sites: config.SITES, token: config.LOCAL_API_TOKEN, timeoutMs })
  const note = (site: string, up: boolean) => metrics.siteUp.set({ site }, up ? 1 : 0)
  const health = siteHealth(sites, note, life.signal)
  const limits = toQueryLimits(config)
  const reader = mergedReader({ sites, deadlineMs: timeoutMs, onAsked: note })
  const feed = mergedFeed({ sites, onChange: note })
  const stream = { feed, metrics, log, stopping: life.signal, maxClients: maxStreams }
  return {
    auth,
    title: 'central API',
    name: 'central',
    routes: [
      ...siteRoutes({ list: health }),
      ...toCentral(questionRoutes({ reader, limits, stream }), passThrough(sites, config, context)),
    ],
    check: async () => report(await health()),
    refreshMetrics: health,
  }
}

/** With every site away there is nothing to answer with; with some away, the rest is worth having. */
function report(sites: readonly SiteHealth[]): HealthReport {
  return {
    ready: sites.some(({ status }) => status !== 'unreachable'),
    status: sites.every(({ status }) => status === 'ok') ? 'ok' : 'degraded',
    sites: Object.fromEntries(sites.map(({ id, status, endpoint }) => [id, { status, endpoint }])),
  }
}
