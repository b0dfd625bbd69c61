import { must } from '../core/must.ts'
import { sleep } from '../platform/backoff.ts'
import type { RoleContext } from '../platform/role.ts'
import { Live } from './live/live.ts'
import type { AnswerCache } from './model/answer-cache.ts'
import type { Backend } from './model/backend.ts'
import { limitToSite } from './model/one-site.ts'
import type { SiteView } from './visit.ts'

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

export type SiteViewsOptions = {
  /** The API of one site, or without an id of the API as a whole. */
  openBackend: (site: string | undefined) => Backend
  /** Ids of the sites of a central API; absent when the API is that of one site. */
  listSites?: ((signal: AbortSignal) => Promise<string[]>) | undefined
  /** The site that is shown first; the only one that is shown, where the API is not central. */
  defaultSite: string | undefined
  cache: AnswerCache
}

/** The sites to choose from. Each is followed from the first visit on. */
export function openSites(options: SiteViewsOptions, context: RoleContext): Sites {
  const { listSites, defaultSite } = options
  // A local API may have events of other sites; central is asked with the site.
  const onlySite = listSites === undefined ? defaultSite : undefined
  const views = new Map<string, SiteView>()
  const openView = (name: string, site: string | undefined): SiteView => {
    const known = views.get(name)
    if (known) return known
    const opened = options.openBackend(site)
    const backend = onlySite === undefined ? opened : limitToSite(opened, onlySite)
    const view = { name, backend, live: follow(backend, name, context, options.cache) }
    views.set(name, view)
    return view
  }
  return listSites === undefined
    ? oneSite(defaultSite ?? 'this site', openView)
    : manySites({ listSites, defaultSite }, context, openView)
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

type Many = Pick<SiteViewsOptions, 'defaultSite'> & {
  listSites: (signal: AbortSignal) => Promise<string[]>
}

function manySites(
  { listSites, defaultSite }: Many,
  { life, log }: RoleContext,
  openView: OpenView,
): Sites {
  let found: string[] = []
  const keepListing = async () => {
    while (!life.signal.aborted) {
      try {
        found = await listSites(life.signal)
      } catch (error) {
        if (!life.signal.aborted) log.warn({ error }, 'could not list the sites')
      }
      await sleep(found.length === 0 ? firstSitesEveryMs : sitesEveryMs, life.signal)
    }
  }
  void keepListing()
  const names = () => [allSites, ...new Set([...(defaultSite ? [defaultSite] : []), ...found])]
  const get = (wanted = defaultSite ?? allSites) => {
    if (!names().includes(wanted)) return undefined
    return openView(wanted, wanted === allSites ? undefined : wanted)
  }
  return { first: () => must(get(), 'the default is always among the names'), get, names }
}

function follow(
  backend: Backend,
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
