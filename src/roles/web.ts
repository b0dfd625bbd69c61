import { healthRoute } from '../api/health.ts'
import { AppError } from '../core/errors.ts'
import { dashboardRoutes, Live, Memory, type SiteView } from '../dashboard/index.ts'
import { Auth, refuseOpenDoor, requireScope } from '../platform/auth.ts'
import { sleep } from '../platform/backoff.ts'
import type { WebConfig } from '../platform/config.ts'
import { createApp, listen, metricsRoute } from '../platform/http.ts'
import type { RoleContext, RoleReady } from '../platform/role.ts'
import { type RemoteSite, remoteReader } from '../sites/remote.ts'

/** Name of the view over every site of a central API. */
const allSites = 'all sites'
/** How often a central API is asked which sites there are, in milliseconds. */
const sitesEveryMs = 30_000
/** Answers younger than this are shared; see Memory. */
const memoryOptions = { freshMs: 2000, restMs: 3000, most: 60 }

/** Shows the dashboard of one site (LOCAL_API), or of all of them (CENTRAL_API). Keeps nothing. */
export async function startWeb(
  config: WebConfig,
  context: RoleContext & { insecure: boolean },
): Promise<RoleReady> {
  const { log, life, metrics } = context
  const auth = new Auth({ tokensFile: config.TOKENS_FILE, anonymous: config.ALLOW_ANONYMOUS })
  refuseOpenDoor(config.HOST, auth, context.insecure)
  const memory = new Memory(memoryOptions)
  const sites = sitesOf(config, context, memory)

  const app = createApp({ log, metrics })
  const check = () => health(sites.first())
  app.route('/', healthRoute({ service: config.SERVICE_NAME ?? 'web', check }))
  app.route('/', metricsRoute(metrics))
  app.use('*', requireScope(auth, 'read'))
  app.route(
    '/',
    dashboardRoutes({
      site: sites.get,
      get siteNames() {
        return sites.names()
      },
      memory,
      log,
      metrics,
      signal: life.signal,
      now: Date.now,
    }),
  )
  const tls = { cert: config.TLS_CERT, key: config.TLS_KEY, ca: config.TLS_CA }
  return { url: await listen(app, { host: config.HOST, port: config.PORT, tls }, life) }
}

type Sites = {
  first(): SiteView
  get(name: string | undefined): SiteView | undefined
  names(): readonly string[]
}

/** The sites there are to look at. Each is followed from the first time somebody looks. */
function sitesOf(config: WebConfig, context: RoleContext, memory: Memory): Sites {
  const views = new Map<string, SiteView>()
  const viewOf = (name: string, site: string | undefined): SiteView => {
    const known = views.get(name)
    if (known) return known
    const backend = readerOf(config, site)
    const view = { name, backend, live: follow(backend, name, context, memory) }
    views.set(name, view)
    return view
  }
  return config.CENTRAL_API === undefined
    ? oneSite(config.DEFAULT_SITE ?? 'this site', viewOf)
    : manySites(config, context, viewOf)
}

type ViewOf = (name: string, site: string | undefined) => SiteView

function oneSite(name: string, viewOf: ViewOf): Sites {
  const first = () => viewOf(name, undefined)
  return {
    first,
    get: (wanted) => (wanted === undefined || wanted === name ? first() : undefined),
    names: () => [],
  }
}

function manySites(config: WebConfig, { life, log }: RoleContext, viewOf: ViewOf): Sites {
  let found: string[] = []
  const central = readerOf(config, undefined)
  const keepLooking = async () => {
    while (!life.signal.aborted) {
      try {
        found = await central.listSites(life.signal)
      } catch (error) {
        if (!life.signal.aborted) log.warn({ error }, 'could not list the sites')
      }
      await sleep(sitesEveryMs, life.signal)
    }
  }
  void keepLooking()
  const names = () => [
    allSites,
    ...new Set([...(config.DEFAULT_SITE ? [config.DEFAULT_SITE] : []), ...found]),
  ]
  const get = (wanted = config.DEFAULT_SITE ?? allSites) => {
    if (!names().includes(wanted)) return undefined
    return viewOf(wanted, wanted === allSites ? undefined : wanted)
  }
  return { first: () => get()!, get, names }
}

function readerOf(config: WebConfig, site: string | undefined): RemoteSite {
  const baseUrl = config.CENTRAL_API ?? config.LOCAL_API
  if (baseUrl === undefined) throw new AppError('invalid', 'LOCAL_API or CENTRAL_API must be set')
  const timeoutMs = config.REQUEST_TIMEOUT_S * 1000
  return remoteReader({ baseUrl, token: config.LOCAL_API_TOKEN, timeoutMs, site })
}

function follow(
  backend: RemoteSite,
  site: string,
  { life, log }: RoleContext,
  memory: Memory,
): Live {
  const live = new Live({
    backend,
    signal: life.signal,
    onError: (error) => log.warn({ site, detail: (error as Error).message }, 'live stream broken'),
    onChange: () => memory.expire(),
  })
  const running = live.run()
  life.onStop(`live stream of ${site}`, () => running)
  return live
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
