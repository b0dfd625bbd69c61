import { AppError } from '../core/errors.ts'
import { type AnswerCache, Live, type SiteView } from '../dashboard/index.ts'
import { sleep } from '../platform/backoff.ts'
import type { RoleContext } from '../platform/role.ts'
import { type RemoteSite, remoteReader } from '../sites/remote-reader.ts'
import type { WebConfig } from './settings.ts'

/** Name of the view over every site of a central API. */
const allSites = 'all sites'
/** How often a central API is asked which sites there are, in milliseconds. */
const sitesEveryMs = 30_000
/** While it has told of none: both may have been started together. */
const sitesSoonMs = 2000

type Sites = {
  first(): SiteView
  get(name: string | undefined): SiteView | undefined
  names(): readonly string[]
}

/** The sites there are to look at. Each is followed from the first time somebody looks. */
export function sitesOf(config: WebConfig, context: RoleContext, memory: AnswerCache): Sites {
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
      await sleep(found.length === 0 ? sitesSoonMs : sitesEveryMs, life.signal)
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
  memory: AnswerCache,
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
