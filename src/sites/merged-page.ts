import { estimateBytes } from '../core/answer-size.ts'
import {
  archiveUses,
  type Completeness,
  type Cursor,
  type Job,
  type JobFilter,
  type JobPage,
  type Position,
} from '../core/job.ts'
import { sortTime } from '../core/job-filter.ts'
import { mergeParts } from '../core/merge-parts.ts'
import { must } from '../core/must.ts'

/** The page of one site. */
export type SitePage = { site: string; page: JobPage }

type Row = Position & { site: string; job: Job }

/**
 * One page from the pages of several sites: rows in the order of the list, up to the limit and to the
 * bytes of a page.
 *
 * The cursor holds the place of every site that was reached, so that a site that did not answer
 * this time continues at its position when it is back.
 *
 * @param sites all sites, those that did not answer included
 */
export function mergePages(
  pages: readonly SitePage[],
  filter: JobFilter,
  sites: readonly string[],
): JobPage {
  const parts = pages.map(({ site, page }) => ({
    ...{ site, rows: rowsOf({ site, page }, filter), end: page.nextCursor },
  }))
  const { order, limit } = filter
  const { rows, end } = mergeParts(parts, { order, limit, sizeOf: ({ job }) => estimateBytes(job) })
  const places = placesAfter(rows, parts, filter.cursor, sites)
  const last = end ?? rows.at(-1)
  // With a site missing there may be more; but an empty page ends the list, or callers never stop.
  const more = end !== null || (rows.length > 0 && pages.length < sites.length)
  return {
    items: rows.map(({ job }) => job),
    nextCursor: more && last ? { at: last.at, id: last.id, sites: places } : null,
    completeness: mergeCompleteness(pages),
    ...mergeTotals(pages, sites),
  }
}

/** Only lists with flags have totals. Without a site, or with one that stopped counting, there are more. */
function mergeTotals(pages: readonly SitePage[], sites: readonly string[]): Pick<JobPage, 'total'> {
  const totals = pages.flatMap(({ page }) => page.total ?? [])
  if (totals.length === 0) return {}
  const count = totals.reduce((sum, total) => sum + total.count, 0)
  const complete = totals.length === sites.length && totals.every((total) => total.complete)
  return { total: { count, complete } }
}

/** The position in the rows of one site; undefined when that site has never answered. */
export function positionAt(cursor: Cursor | undefined, site: string): Position | undefined {
  if (cursor === undefined) return undefined
  return cursor.sites ? cursor.sites.get(site) : { at: cursor.at, id: cursor.id }
}

const rowsOf = ({ site, page }: SitePage, { time }: JobFilter): Row[] =>
  page.items.map((job) => ({ site, job, id: job.id, at: sortTime(job, time) ?? '' }))

type SitePart = { site: string; rows: readonly Row[]; end: Position | null }

/** The place that was reached at each site: its last row on the page, or its end once all of its rows are on it. */
function placesAfter(
  taken: readonly Row[],
  parts: readonly SitePart[],
  before: Cursor | undefined,
  sites: readonly string[],
): Map<string, Position> {
  const places = new Map<string, Position>()
  for (const site of sites) {
    const position = positionAt(before, site)
    if (position) places.set(site, position)
  }
  for (const { site, at, id } of taken) places.set(site, { at, id })
  const bySite = Map.groupBy(taken, ({ site }) => site)
  for (const { site, rows, end } of parts) {
    const isWhole = (bySite.get(site)?.length ?? 0) === rows.length
    if (isWhole && end) places.set(site, { at: end.at, id: end.id })
  }
  return places
}

/** Maximum gaps, and spools with wrong clocks, named over all sites. */
const maxNamed = 100

/** The worst value of each: the whole may lack what any part of it may lack. */
function mergeCompleteness(pages: readonly SitePage[]): Completeness {
  const all = pages.map(({ page }) => page.completeness)
  const least = (times: readonly string[]) => times.reduce((a, b) => (a < b ? a : b))
  const ages = all.flatMap(({ oldestSourceAgeS }) => oldestSourceAgeS ?? [])
  const hot = all.flatMap(({ hotFrom }) => hotFrom ?? [])
  const searched = all.flatMap(({ archiveSearchedFrom }) => archiveSearchedFrom ?? [])
  const greatest = (times: readonly string[]) => times.reduce((a, b) => (a > b ? a : b))
  const sum = (of: (one: Completeness) => number) => all.reduce((total, one) => total + of(one), 0)
  const named = (site: string, source: string) => `${site}/${source}`
  const namesOf = (field: 'silentSources' | 'skewedSources') =>
    pages
      .flatMap(({ site, page }) => page.completeness[field].map((source) => named(site, source)))
      .slice(0, maxNamed)
  return {
    asOf: least(all.map(({ asOf }) => asOf)),
    sources: sum(({ sources }) => sources),
    sourcesReporting: sum(({ sourcesReporting }) => sourcesReporting),
    sourcesSilent: sum(({ sourcesSilent }) => sourcesSilent),
    sourcesGone: sum(({ sourcesGone }) => sourcesGone),
    silentSources: namesOf('silentSources'),
    waiting: sum(({ waiting }) => waiting),
    missing: sum(({ missing }) => missing),
    gaps: pages
      .flatMap(({ site, page }) =>
        page.completeness.gaps.map((gap) => ({ ...gap, source: named(site, gap.source) })),
      )
      .slice(0, maxNamed),
    oldestSourceAgeS: ages.length > 0 ? Math.max(...ages) : null,
    skewedSources: namesOf('skewedSources'),
    hotFrom: hot.length > 0 ? greatest(hot) : null,
    archive: must(
      archiveUses[Math.max(...all.map(({ archive }) => archiveUses.indexOf(archive)))],
      'at least one site answered',
    ),
    archiveSearchedFrom: searched.length > 0 ? greatest(searched) : null,
    archiveMissing: pages
      .flatMap(({ site, page }) =>
        page.completeness.archiveMissing.map((gap) => ({ ...gap, why: `${site}: ${gap.why}` })),
      )
      .slice(0, maxNamed),
  }
}
