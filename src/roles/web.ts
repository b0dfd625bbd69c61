import { AppError } from '../core/errors.ts'
import {
  Access,
  AnswerCache,
  dashboardRoutes,
  openSites,
  type SiteView,
} from '../dashboard/index.ts'
import { clock } from '../platform/clock.ts'
import type { RoleReady, StartContext } from '../platform/role.ts'
import { type RemoteSite, remoteReader } from '../sites/remote-reader.ts'
import { openAuth, serve } from './serve.ts'
import type { WebConfig } from './settings.ts'

/**
 * Answers younger than this are shared; see AnswerCache. 200 open pages ask up to 2,000 questions, most of
 * them for a few rows; a row of a list is about 1 kB.
 */
const cacheOptions = { freshMs: 2000, restMs: 3000, mostRows: 60_000 }

/** Shows the dashboard of one site (LOCAL_API), or of all of them (CENTRAL_API). Keeps nothing. */
export async function startWeb(config: WebConfig, context: StartContext): Promise<RoleReady> {
  const { log, life, metrics } = context
  const auth = openAuth(config, context)
  const cache = new AnswerCache(cacheOptions)
  const openBackend = (site: string | undefined) => openReader(config, site)
  const sites = openSites(
    {
      openBackend,
      listSites: config.CENTRAL_API ? openBackend(undefined).listSites : undefined,
      defaultSite: config.DEFAULT_SITE,
      cache,
    },
    context,
  )
  // From the start: health says whether the API is followed, and the first page is live at once.
  sites.first()
  const pages = dashboardRoutes({
    site: sites.get,
    get siteNames() {
      return sites.names()
    },
    simulated: config.SIMULATED,
    cache,
    access: new Access({ auth, secret: config.LOCAL_API_TOKEN ?? '', port: config.PORT }),
    log,
    metrics,
    signal: life.signal,
    now: clock.nowMs,
  })
  return serve(config, context, {
    auth,
    title: 'web',
    name: 'web',
    routes: [],
    pages,
    check: () => health(sites.first()),
  })
}

/** Over a central API no loss is accepted and no job closed: that is done at the site. */
function openReader(config: WebConfig, site: string | undefined): RemoteSite | Central {
  const baseUrl = config.CENTRAL_API ?? config.LOCAL_API
  if (baseUrl === undefined) throw new AppError('invalid', 'LOCAL_API or CENTRAL_API must be set')
  const timeoutMs = config.REQUEST_TIMEOUT_S * 1000
  const reader = remoteReader({ baseUrl, token: config.LOCAL_API_TOKEN, timeoutMs, site })
  if (config.CENTRAL_API === undefined) return reader
  const { acceptSource: _, closeJob: __, ...central } = reader
  return central
}

type Central = Omit<RemoteSite, 'acceptSource' | 'closeJob'>

/** Serves pages also while the API is away; they then show the last known values. */
function health({ name, live }: SiteView) {
  const { fresh } = live
  return {
    ready: true,
    status: fresh.state === 'live' ? ('ok' as const) : ('degraded' as const),
    site: name,
    stream: fresh.state,
  }
}
