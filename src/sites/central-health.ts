import type { CentralSite } from './central-sites.ts'
import { shownUrl } from './central-sites.ts'

/** How one site answers for its health. */
export type SiteHealth = {
  id: string
  status: 'ok' | 'degraded' | 'unreachable'
  /** Seconds since it was asked; null when it did not answer. */
  age_s: number | null
  endpoint: string
  version: string | null
  error: string | null
}

type Checked = Omit<SiteHealth, 'age_s'> & { at: number }

/** An answer younger than this is given again: probes and scrapes must not become a load on sites. */
const freshMs = 2000

/**
 * Asks all sites at once how they are.
 *
 * @param onChecked told of every site that was asked: whether it answered
 * @param signal ends what is under way: the role is stopping
 */
export function siteHealth(
  sites: readonly CentralSite[],
  onChecked: (site: string, up: boolean) => void,
  signal: AbortSignal,
): () => Promise<SiteHealth[]> {
  let last: { at: number; checked: Promise<Checked[]> } | undefined
  return async () => {
    if (!last || performance.now() - last.at > freshMs) {
      const checked = Promise.all(sites.map((site) => check(site, onChecked, signal)))
      last = { at: performance.now(), checked }
    }
    return (await last.checked).map(({ at, ...site }) => ({
      ...site,
      age_s: site.status === 'unreachable' ? null : Math.round(performance.now() - at) / 1000,
    }))
  }
}

async function check(
  { id, url, reader }: CentralSite,
  onChecked: (site: string, up: boolean) => void,
  signal: AbortSignal,
): Promise<Checked> {
  const endpoint = shownUrl(url)
  try {
    // Health is open to all: a site that refuses our token would look well, and answer nothing.
    const [{ status, version }] = await Promise.all([reader.health(signal), reader.admits(signal)])
    onChecked(id, true)
    const known = status === 'ok' ? 'ok' : 'degraded'
    return { id, status: known, endpoint, version, error: null, at: performance.now() }
  } catch (error) {
    onChecked(id, false)
    const reason = (error as Error).message
    return {
      id,
      status: 'unreachable',
      endpoint,
      version: null,
      error: reason,
      at: performance.now(),
    }
  }
}
