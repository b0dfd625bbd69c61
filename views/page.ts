import type { Micros } from '../src/core/time.ts'

/** What is known of the plant itself. */
export type Plant = {
  /** The newest event; null before the first one, undefined while that is not known. */
  lastEventAt: Micros | null | undefined
  /** Sidecars that were heard before and are silent now. */
  silentSidecars: number
}

/**
 * How old a part of a page is that shows the answers to these questions, in seconds. Undefined while all were
 * answered, and where the whole page is old: it says so itself.
 */
export function ageOfPart({ fresh, behind }: Page, ...questions: string[]): number | undefined {
  if (fresh.state !== 'behind' || fresh.whole) return undefined
  const ages = questions.flatMap((name) => behind.get(name) ?? [])
  return ages.length === 0 ? undefined : Math.max(...ages)
}

/** The state of the connection to the API, and with it how current a page is. */
export type Fresh =
  /** Follows the API, which was last heard this many seconds ago. */
  | { state: 'live'; ageS: number }
  /** Follows some of the sites; the others have been silent since the times given. */
  | { state: 'partial'; ageS: number; total: number; missing: readonly MissingSite[] }
  /** The API does not answer; the values are this old, null when there never were any. */
  | { state: 'stale'; ageS: number | null; reason?: string | undefined }
  /**
   * The API answers, but not every question of the page; or the page (`whole`) cannot be made any more.
   * What that concerns is this old, null when it was never known.
   */
  | { state: 'behind'; whole: boolean; ageS: number | null; reason: string }
  /** Rendered just now, not yet followed. */
  | { state: 'loaded' }

/** A site without contact, and since when. */
export type MissingSite = { id: string; since: Micros }

/** Addresses of the files that pages load; each holds a hash of the content. */
export type AssetUrls = {
  css: string
  icon: string
  htmx: string
  /** Keeps pages current; also the script of the worker that does it for all windows. */
  live: string
  script: string
}

export type Theme = 'light' | 'dark' | undefined

/** An entry of the navigation. */
export type NavigationEntry = { name: string; path: string }

/** The part that every page has, whatever it shows. */
export type Page = {
  navigation: readonly NavigationEntry[]
  /** The site shown; its name is in the title and the top bar. */
  site: string
  /** The site for links, as `?site=`; undefined where there is only one. */
  siteQuery: string | undefined
  /** Sites to choose from; empty at a site. */
  sites: readonly string[]
  /** There are simulated jobs among those shown; every page says so. */
  simulated: boolean
  theme: Theme
  /** Id of the token that the visitor signed in with; undefined without a session. */
  signedIn: string | undefined
  now: Micros
  plant: Plant
  fresh: Fresh
  /** Questions that failed, and the age in seconds of the answer that stands in for a newer one. */
  behind: ReadonlyMap<string, number>
  /** Path and query of this page. */
  here: string
  assets: AssetUrls
  version: string
}

/** Something the reader must know before trusting the values below it. */
export type Notice = {
  /** `stale`: values are old or incomplete (hatched); `error`: something failed (ink). */
  kind: 'stale' | 'error'
  title: string
  detail: string
  link?: { href: string; text: string } | undefined
}
