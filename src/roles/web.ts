import { aboutRoutes } from '../api/role-routes.ts'
import { Access, AnswerCache, dashboardRoutes, type SiteView } from '../dashboard/index.ts'
import { Auth, refuseOpenDoor } from '../platform/auth.ts'
import type { WebConfig } from '../platform/config.ts'
import { createApp } from '../platform/http.ts'
import { listen, toAddress } from '../platform/listen.ts'
import type { RoleContext, RoleReady } from '../platform/role.ts'
import { sitesOf } from './web-sites.ts'

/** Answers younger than this are shared; see AnswerCache. */
const memoryOptions = { freshMs: 2000, restMs: 3000, most: 60 }

/** Shows the dashboard of one site (LOCAL_API), or of all of them (CENTRAL_API). Keeps nothing. */
export async function startWeb(
  config: WebConfig,
  context: RoleContext & { insecure: boolean },
): Promise<RoleReady> {
  const { log, life, metrics } = context
  const auth = new Auth({ tokensFile: config.TOKENS_FILE, anonymous: config.ALLOW_ANONYMOUS })
  refuseOpenDoor(config.HOST, auth, context.insecure)
  const memory = new AnswerCache(memoryOptions)
  const sites = sitesOf(config, context, memory)

  const app = createApp({ log, metrics })
  const about = {
    service: config.SERVICE_NAME ?? 'web',
    check: () => health(sites.first()),
  }
  app.route('/', aboutRoutes({ title: 'web', auth, metrics, health: about, routes: [] }))
  app.route(
    '/',
    dashboardRoutes({
      site: sites.get,
      get siteNames() {
        return sites.names()
      },
      memory,
      door: new Access({ auth, secret: config.LOCAL_API_TOKEN ?? '', port: config.PORT }),
      log,
      metrics,
      signal: life.signal,
      now: Date.now,
    }),
  )
  return { url: await listen(app, toAddress(config), life) }
}

/** Serves pages whatever the API does; without it they show what was known last. */
function health({ name, live }: SiteView) {
  const { fresh } = live
  return {
    ready: true,
    status: fresh.state === 'live' ? ('ok' as const) : ('degraded' as const),
    site: name,
    stream: fresh.state,
  }
}
