import { firstPage, type JobsQuery, jobsParams, jobsUrl } from '../../../views/jobs-query.ts'
import { JobsBody, type JobsView } from '../../../views/pages/jobs.tsx'
import type { Tally } from '../../../views/partials/cards.tsx'
import type { JobPage } from '../../core/job.ts'
import { appsQuestion } from '../../core/questions/apps.ts'
import { runningQuestion } from '../../core/questions/running.ts'
import { secondsBetween } from '../../core/time.ts'
import { definePage } from '../define-page.tsx'
import { judgedNotices, sumRunning } from '../model/flagged.ts'
import { linkNeighbors } from '../model/neighbors.ts'
import { archiveNotices, completenessNotices, sitesNotices } from '../model/notices.ts'
import { type JobsSpan, pageSize, readJobsQuery, readSpan, toFilter } from '../model/query.ts'
import { loadTally } from '../model/tally.ts'
import { usualCounts } from '../model/usual-counts.ts'
import { respondNotUnderstood } from '../respond.tsx'
import { ask, askCounts, assessFreshness, readParams, type Visit } from '../visit.ts'
import { downloads } from './downloads.ts'

/** The list of jobs with its filters. */
export const jobsPage = definePage({
  path: '/jobs',
  navigation: { entry: 'Jobs' },
  title: () => 'Jobs',
  load,
  body: JobsBody,
  params: jobsParams,
  parts: downloads,
})

async function load(visit: Visit): Promise<JobsView | Response> {
  const { query, problems } = readJobsQuery(readParams(visit))
  if (problems.length > 0) return respondNotUnderstood(visit, problems)
  const { filter, flipped } = toFilter(query, visit.now)
  const [list, apps, tally, usual, running, subjobs] = await Promise.all([
    ask(
      visit,
      ['jobs', query],
      (backend, signal) => backend.findJobs(filter, signal),
      keepSearched(query),
    ),
    ask(visit, ['apps'], (backend, signal) => backend.ask(appsQuestion, {}, signal)),
    loadCards(visit, query),
    loadUsual(visit, query),
    query.flags.length === 0 ? undefined : loadRunning(visit, filter.exactApp),
    findSubjobs(visit, query),
  ])
  const span = readSpan(query, visit.now)
  const neighbors = linkNeighbors(query, list, visit.siteQuery)
  return {
    ...span,
    query,
    apps: [...new Set((apps ?? []).map(({ name }) => name))].sort(),
    tally,
    usual,
    subjobs,
    total: list?.total,
    jobs: list && (flipped ? list.items.toReversed() : list.items),
    ...neighbors,
    notices: [
      ...(running ? judgedNotices(running, query.flags) : []),
      ...sitesNotices(visit.sites, assessFreshness(visit)),
      ...completenessNotices(list?.completeness, visit.siteQuery),
      ...(query.flags.length > 0 ? [] : listArchive(visit, { query, list, span, neighbors })),
    ],
  }
}

/** Of the archive a page is not made again at every change: its files do not change, and cost time. */
const searchedKeepMs = 60_000

const keepSearched = ({ archive }: JobsQuery) => (archive ? searchedKeepMs : undefined)

/** What the list has of the archive. */
function listArchive(
  { siteQuery, now }: Visit,
  {
    query,
    list,
    span,
    neighbors,
  }: {
    query: JobsQuery
    list: JobPage | undefined
    span: JobsSpan
    neighbors: { older: string | undefined; newer: string | undefined }
  },
) {
  const isShort = list !== undefined && list.nextCursor !== null && list.items.length < pageSize
  return archiveNotices({
    ...{ completeness: list?.completeness, from: span.from, now },
    href: jobsUrl({ ...firstPage(query), archive: true }, siteQuery),
    further: isShort ? (query.before === undefined ? neighbors.older : neighbors.newer) : undefined,
  })
}

/** Subjobs shown of those that a search finds. */
const subjobsShown = 20

/** The subjobs that a search finds, on its first page: some have no job through which to reach them. */
async function findSubjobs(visit: Visit, query: JobsQuery) {
  const isSearch = query.q !== '' && query.after === undefined && query.before === undefined
  if (!isSearch || query.flags.length > 0) return undefined
  const { filter } = toFilter(query, visit.now)
  return ask(
    visit,
    ['subjobs', query],
    (backend, signal) => backend.findSubjobs({ ...filter, limit: subjobsShown }, signal),
    keepSearched(query),
  )
}

async function loadRunning(visit: Visit, exactApp: string | undefined) {
  const params = { exactApp }
  const rows = await askCounts(visit, ['running', exactApp], { question: runningQuestion, params })
  return rows && sumRunning(rows.items)
}

/** The usual counts of the window; a range from a link is compared with nothing. */
async function loadUsual(visit: Visit, { from, to, window }: JobsQuery) {
  return from === undefined && to === undefined ? usualCounts(visit, window) : undefined
}

/** The API counts no more days at once. */
const mostDays = 9999

/** The cards; undefined when the API is away, or the span is empty or too long to be counted. */
async function loadCards(visit: Visit, query: JobsQuery): Promise<Tally | undefined> {
  const { from, to } = readSpan(query, visit.now)
  if (from === null || to === undefined) return undefined
  if (secondsBetween(from, to) > mostDays * 86_400) return undefined
  const isWindow = query.from === undefined && query.to === undefined
  const key = isWindow ? query.window : JSON.stringify([query.window, query.from, query.to])
  return loadTally(visit, { from, to, key })
}
