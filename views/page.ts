import type { Micros } from '../src/core/time.ts'

/** How current a page is. */
export type Fresh =
  /** Follows the API; last heard of it so many seconds ago. */
  | { state: 'live'; ageS: number }
  /** Follows some of the sites; of the others nothing is heard since then. */
  | { state: 'partial'; ageS: number; total: number; missing: readonly MissingSite[] }
  /** The API does not answer; what is shown is so old, null when there never was anything. */
  | { state: 'stale'; ageS: number | null; reason?: string | undefined }
  /** Rendered just now, and not yet followed. */
  | { state: 'loaded' }

/** A site that is not heard, and since when. */
export type MissingSite = { id: string; since: Micros }

/** Addresses of what the pages load; each holds a hash of the content. */
export type AssetUrls = {
  css: string
  icon: string
  /** htmx with its extension for server-sent events. */
  htmx: string
  script: string
}

export type Theme = 'light' | 'dark' | undefined

/** What every page has, whatever it shows. */
export type Page = {
  /** The site shown; the name stands in the title and the top bar. */
  site: string
  /** Put on links as `?site=` when there are several to choose from. */
  siteQuery: string | undefined
  /** Sites to choose from; empty at a site. */
  sites: readonly string[]
  theme: Theme
  /** Id of the token somebody signed in with; undefined where nobody has to. */
  signedIn: string | undefined
  now: Micros
  fresh: Fresh
  /** Path and query of the page itself. */
  here: string
  assets: AssetUrls
  version: string
}

/** Something the reader must know before believing what is below it. */
export type Notice = {
  /** `stale`: old or incomplete values (hatched); `error`: something failed (ink). */
  kind: 'stale' | 'error'
  title: string
  detail: string
  link?: { href: string; text: string } | undefined
}
