import { toCentral } from '../api/central-routes.ts'
import type { HealthReport } from '../api/health.ts'
import { questionRoutes } from '../api/questions.ts'
import { toQueryLimits } from '../api/settings.ts'
import { type AskSite, passThrough } from '../api/site-pass.ts'
import { siteRoutes } from '../api/sites.ts'
import type { Auth } from '../platform/auth.ts'
import type { RoleContext, RoleReady, StartContext } from '../platform/role.ts'
import type { SiteHealth } from '../sites/site.ts'
import { Sites } from '../sites/sites.ts'
import { openAuth, type Service, serve } from './serve.ts'
import type { CentralConfig } from './settings.ts'

/** Maximum readers of the merged stream: each is sent every event of every site. */
const maxStreams = 100

/** Longest that health waits for a site, in milliseconds: probes give up after a few seconds. */
const probeMs = 3000

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
  const sites = new Sites({
    sites: config.SITES,
    token: config.LOCAL_API_TOKEN,
    tokens: config.SITE_TOKENS,
    timeoutMs: config.REQUEST_TIMEOUT_S * 1000,
    onUp: (site, up) => metrics.siteUp.set({ site }, up ? 1 : 0),
    stopping: life.signal,
  })
  life.onStop('sites', () => sites.close())
  const health = () => sites.health()
  const stream = { feed: sites.feed, metrics, log, stopping: life.signal, maxClients: maxStreams }
  const askSite: AskSite = async (id, question, signal) => sites.get(id).pass(question, signal)
  const questions = { reader: sites.ask, limits: toQueryLimits(config), stream }
  return {
    auth,
    title: 'central API',
    name: 'central',
    routes: [
      ...siteRoutes({ list: health }),
      ...toCentral(questionRoutes(questions), passThrough(askSite, context)),
    ],
    check: async () => toReport(await sites.healthWithin(probeMs)),
    refreshMetrics: health,
  }
}

/** Ready while any site answers: a partial answer is better than none. */
function toReport(sites: readonly SiteHealth[]): HealthReport {
  return {
    ready: sites.some(({ status }) => status !== 'unreachable'),
    status: sites.every(({ status }) => status === 'ok') ? 'ok' : 'degraded',
    sites: Object.fromEntries(sites.map(({ id, status, endpoint }) => [id, { status, endpoint }])),
  }
}
