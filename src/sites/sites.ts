import { AppError } from '../core/errors.ts'
import type { LiveBatch, LiveFeed, LiveSites } from '../core/live.ts'
import { mergedFeed } from './merged-feed.ts'
import { type MergedAsked, mergedReader } from './merged-reader.ts'
import { parseSites } from './parse-sites.ts'
import { Site, type SiteHealth } from './site.ts'

export type SitesOptions = {
  /** `fab1=http://host:18000,fab2=http://host:18000`, as the configuration has checked it. */
  sites: string
  /** Token for the sites that have none of their own. */
  token?: string | undefined
  /** Tokens by site. A site must not learn the token of another. */
  tokens?: ReadonlyMap<string, string> | undefined
  /** Longest wait for one site, in milliseconds. */
  timeoutMs: number
  /** Called with every sign that a site answers, or does not. */
  onUp: (site: string, up: boolean) => void
  /** Aborts when the role stops. */
  stopping: AbortSignal
}

/** All sites of a central API, in the order of its configuration. */
export class Sites {
  readonly #sites: readonly Site[]
  /** A reader for one question to all sites, and the outcome per site. */
  readonly ask: () => MergedAsked
  /** The live streams of all sites as one. */
  readonly feed: LiveFeed<LiveBatch | LiveSites>

  constructor({ sites, token: shared, tokens, timeoutMs, onUp, stopping }: SitesOptions) {
    this.#sites = parseSites(sites).map(({ id, url }) => {
      const token = tokens?.get(id) ?? shared
      return new Site({ id, url, token, timeoutMs, stopping, onUp: (up) => onUp(id, up) })
    })
    this.ask = mergedReader({ sites: this.#sites, deadlineMs: timeoutMs, onAsked: onUp })
    this.feed = mergedFeed(this.#sites)
  }

  /** @throws AppError not_found that lists the sites there are */
  get(id: string): Site {
    const site = this.#sites.find((one) => one.id === id)
    if (site) return site
    const known = this.#sites.map((one) => one.id).join(', ')
    const wanted = JSON.stringify(id.slice(0, 64))
    const message = `there is no site ${wanted}; the sites are ${known}`
    throw new AppError('not_found', message, { field: 'site' })
  }

  health(): Promise<SiteHealth[]> {
    return Promise.all(this.#sites.map((site) => site.health()))
  }

  /** The same, with those that do not answer within `ms` as unreachable. */
  healthWithin(ms: number): Promise<SiteHealth[]> {
    return Promise.all(this.#sites.map((site) => site.healthWithin(ms)))
  }

  close(): void {
    for (const site of this.#sites) site.close()
  }
}
