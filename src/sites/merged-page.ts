import { estimateBytes, maxPageBytes } from '../core/answer-size.ts'
import type { Completeness, Cursor, Job, JobFilter, JobPage, Position } from '../core/job.ts'
import { sortTime } from '../core/job-filter.ts'
import { must } from '../core/must.ts'

/** The page of one site. */
export type SitePage = { site: string; page: JobPage }

type Row = Position & { site: string; job: Job }

/**
 * One page from the pages of several sites: rows in the order of the list, up to the limit and to the
 * bytes of a page.
 *
 * The cursor holds the last row of every site that was shown, so that a site that did not answer
 * this time continues at its position when it is back.
 *
 * @param sites all sites, those that did not answer included
 */
export function mergePages(
  pages: readonly SitePage[],
  filter: JobFilter,
  sites: readonly string[],
): JobPage {
  const rows = pages.flatMap((page) => rowsOf(page, filter)).sort(comparing(filter))
  const left = new Map(pages.map(({ site, page }) => [site, page.items.length]))
  const unfinished = new Set(pages.flatMap(({ site, page }) => (page.nextCursor ? [site] : [])))
  const taken: Row[] = []
  let bytes = 0
  for (const row of rows) {
    bytes += estimateBytes(row.job)
    if (taken.length === filter.limit || (taken.length > 0 && bytes > maxPageBytes)) break
    taken.push(row)
    const remaining = must(left.get(row.site), 'each row is from one of the pages') - 1
    left.set(row.site, remaining)
    // The next row of this site is unknown, and could come before the rows of the other sites.
    if (remaining === 0 && unfinished.has(row.site)) break
  }
  // With a site missing there may be more; but an empty page ends the list, or callers never stop.
  const more =
    taken.length < rows.length ||
    unfinished.size > 0 ||
    (taken.length > 0 && pages.length < sites.length)
  return {
    items: taken.map(({ job }) => job),
    nextCursor: more ? cursorAfter(taken, filter.cursor, sites) : null,
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

const comparing =
  ({ order }: JobFilter) =>
  (a: Row, b: Row): number => {
    const sign = order === 'asc' ? 1 : -1
    if (a.at !== b.at) return a.at < b.at ? -sign : sign
    return a.id === b.id ? 0 : a.id < b.id ? -sign : sign
  }

function cursorAfter(
  taken: readonly Row[],
  before: Cursor | undefined,
  sites: readonly string[],
): Cursor | null {
  const last = taken.at(-1)
  if (!last) return null
  const positions = new Map<string, Position>()
  for (const site of sites) {
    const position = positionAt(before, site)
    if (position) positions.set(site, position)
  }
  for (const { site, at, id } of taken) positions.set(site, { at, id })
  return { at: last.at, id: last.id, sites: positions }
}

/** Maximum gaps, and spools with wrong clocks, named over all sites. */
const maxNamed = 100

const ranks = ['used', 'available', 'off'] as const

/** The worst value of each: the whole may lack what any part of it may lack. */
function mergeCompleteness(pages: readonly SitePage[]): Completeness {
  const all = pages.map(({ page }) => page.completeness)
  const least = (times: readonly string[]) => times.reduce((a, b) => (a < b ? a : b))
  const ages = all.flatMap(({ oldestSourceAgeS }) => oldestSourceAgeS ?? [])
  const hot = all.flatMap(({ hotFrom }) => hotFrom ?? [])
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
    hotFrom: hot.length > 0 ? hot.reduce((a, b) => (a > b ? a : b)) : null,
    archive: must(
      ranks[Math.max(...all.map(({ archive }) => ranks.indexOf(archive)))],
      'at least one site answered',
    ),
  }
}
