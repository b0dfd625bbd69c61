import { AppError } from '../core/errors.ts'
import { must } from '../core/must.ts'
import { type AnswerCache, Live, type SiteView } from '../dashboard/index.ts'
import { sleep } from '../platform/backoff.ts'
import type { RoleContext } from '../platform/role.ts'
import { type RemoteSite, remoteReader } from '../sites/remote-reader.ts'
import type { WebConfig } from './settings.ts'

/** Name of the view over every site of a central API. */
const allSites = 'all sites'
/** How often a central API is asked which sites there are, in milliseconds. */
const sitesEveryMs = 30_000
/** The same until it has named one: both may have been started together. */
const firstSitesEveryMs = 2000

type Sites = {
  /** The site that is shown unless another is asked for. */
  first(): SiteView
  /** The site of that name, the first one without a name; undefined when the name is unknown. */
  get(name: string | undefined): SiteView | undefined
  /** Names to choose from; empty where there is only one site. */
  names(): readonly string[]
}

/** The sites to choose from. Each is followed from the first visit on. */
export function openSites(config: WebConfig, context: RoleContext, cache: AnswerCache): Sites {
  const views = new Map<string, SiteView>()
  const openView = (name: string, site: string | undefined): SiteView => {
    const known = views.get(name)
    if (known) return known
    const backend = openReader(config, site)
    const view = { name, backend, live: follow(backend, name, context, cache) }
    views.set(name, view)
    return view
  }
  return config.CENTRAL_API === undefined
    ? oneSite(config.DEFAULT_SITE ?? 'this site', openView)
    : manySites(config, context, openView)
}

type OpenView = (name: string, site: string | undefined) => SiteView

function oneSite(name: string, openView: OpenView): Sites {
  const first = () => openView(name, undefined)
  return {
    first,
    get: (wanted) => (wanted === undefined || wanted === name ? first() : undefined),
    names: () => [],
  }
}

function manySites(config: WebConfig, { life, log }: RoleContext, openView: OpenView): Sites {
  let found: string[] = []
  const central = openReader(config, undefined)
  const keepListing = async () => {
    while (!life.signal.aborted) {
      try {
        found = await central.listSites(life.signal)
      } catch (error) {
        if (!life.signal.aborted) log.warn({ error }, 'could not list the sites')
      }
      await sleep(found.length === 0 ? firstSitesEveryMs : sitesEveryMs, life.signal)
    }
  }
  void keepListing()
  const names = () => [
    allSites,
    ...new Set([...(config.DEFAULT_SITE ? [config.DEFAULT_SITE] : []), ...found]),
  ]
  const get = (wanted = config.DEFAULT_SITE ?? allSites) => {
    if (!names().includes(wanted)) return undefined
    return openView(wanted, wanted === allSites ? undefined : wanted)
  }
  return { first: () => must(get(), 'the default is always among the names'), get, names }
}

function openReader(config: WebConfig, site: string | undefined): RemoteSite {
  const baseUrl = config.CENTRAL_API ?? config.LOCAL_API
  if (baseUrl === undefined) throw new AppError('invalid', 'LOCAL_API or CENTRAL_API must be set')
  const timeoutMs = config.REQUEST_TIMEOUT_S * 1000
  return remoteReader({ baseUrl, token: config.LOCAL_API_TOKEN, timeoutMs, site })
}

function follow(
  backend: RemoteSite,
  site: string,
  { life, log }: RoleContext,
  cache: AnswerCache,
): Live {
  const live = new Live({
    backend,
    signal: life.signal,
    onError: (error) => log.warn({ site, detail: (error as Error).message }, 'live stream broken'),
    onChange: () => cache.expire(),
  })
  const running = live.run()
  life.onStop(`live stream of ${site}`, () => running)
  return live
}
