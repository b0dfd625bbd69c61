import type { PropsWithChildren } from 'hono/jsx'
import type { Job, JobPage, TimeField, Total } from '../../src/core/job.ts'
import type { Micros } from '../../src/core/time.ts'
import { age, count, number, when } from '../format.ts'
import { isStartKnown, windowText } from '../job-text.ts'
import {
  firstPage,
  type JobsQuery,
  jobsUrl,
  type Sort,
  sortOrder,
  sorts,
  toTimeField,
  windowNames,
} from '../jobs-query.ts'
import { ageOfPart, type Notice, type Page } from '../page.ts'
import {
  Cards,
  CardsSection,
  cardQuestions,
  cardUrl,
  type Tally,
  type UsualCounts,
} from '../partials/cards.tsx'
import { Filters } from '../partials/filters.tsx'
import { JobsTable } from '../partials/jobs-table.tsx'
import { Notices } from '../partials/notice.tsx'
import { Down, Panel } from '../partials/panel.tsx'
import { FoundSubjobs } from '../partials/subjob-lists.tsx'

/** Parts that are undefined were never answered; `notices` and the top bar say why. */
export type JobsView = {
  query: JobsQuery
  /** Of the window; null reaches back to the first job. Without an end it begins later than now. */
  from: Micros | null
  to: Micros | undefined
  apps: readonly string[]
  tally: Tally | undefined
  usual: UsualCounts | undefined
  jobs: readonly Job[] | undefined
  /** Those that a search found; undefined without one. */
  subjobs: JobPage | undefined
  /** Of a list with flags. */
  total?: Total | undefined
  /** Addresses of the pages of older and newer rows. */
  older: string | undefined
  newer: string | undefined
  notices: readonly Notice[]
}

export function JobsBody({ page, view }: { page: Page; view: JobsView }) {
  const { query } = view
  const site = page.siteQuery
  const first = firstPage(query)
  return (
    <>
      <div class="head">
        <h1>Jobs</h1>
        <small id="window">{listText(view, page.now)}</small>
        <NewRows count={0} href={jobsUrl(first, site)} />
        <span class="sp" />
        <a class="btn" href={jobsUrl(first, site, '/jobs.csv')}>
          CSV
        </a>
        <a class="btn" href={jobsUrl(first, site, '/jobs.ndjson')}>
          NDJSON
        </a>
      </div>
      <Filters query={query} apps={view.apps} site={site} now={page.now} />
      <Notices notices={view.notices} />
      {/* Each is there from the start, if empty: an open page fills what was not known when it loaded. */}
      <CardsSection oldS={view.tally && ageOfPart(page, ...cardQuestions)}>
        {view.tally === undefined ? null : <JobsCards view={view} tally={view.tally} site={site} />}
      </CardsSection>
      <ListAge oldS={view.jobs && ageOfPart(page, 'jobs')} />
      <div id="list" class="body">
        {view.jobs === undefined ? <Down title="Jobs" /> : null}
        {view.jobs === undefined ? null : <Rows page={page} view={view} jobs={view.jobs} />}
      </div>
      <div id="found" class="body">
        {view.subjobs === undefined ? null : (
          <FoundSubjobs
            page={page}
            subjobs={view.subjobs.items}
            more={view.subjobs.nextCursor !== null}
          />
        )}
      </div>
    </>
  )
}

/** Beside the list, which an open page never replaces as a whole. Empty while its rows are current. */
function ListAge({ oldS }: { oldS: number | undefined }) {
  return (
    <div id="list-age" class="body">
      {oldS === undefined ? null : <p class="old stale">These rows are {age(oldS)} old.</p>}
    </div>
  )
}

/** What the jobs of a list did in its window. */
const listVerbs: Record<TimeField, string> = {
  started: 'started',
  active: 'active',
  ended: 'ended',
  seen: 'last heard of',
}

/** What the list has: of flagged jobs their number, of all others what they did in the window. */
function listText(view: JobsView, now: Micros): string {
  const { query, total } = view
  if (query.flags.length === 0) {
    return `${listVerbs[toTimeField(query.sort)]} ${windowText(view, now)}`
  }
  const which = `${query.flags.join(', ')}, whenever they began`
  if (total === undefined) return which
  return `${total.complete ? '' : 'more than '}${count(total.count, openJob(query))} ${which}`
}

/** What a list of flagged jobs has: with late also jobs that wait. */
const openJob = ({ flags }: JobsQuery) => (flags.includes('late') ? 'open job' : 'running job')

function JobsCards({
  view,
  tally,
  site,
}: {
  view: JobsView
  tally: Tally
  site: string | undefined
}) {
  const { query } = view
  return (
    <Cards
      tally={tally}
      usual={view.usual}
      span={`ended in ${isRange(query) ? 'the range' : windowNames[query.window]}`}
      href={(counted) => cardUrl(counted, query, site)}
    />
  )
}

const isRange = ({ from, to }: JobsQuery) => from !== undefined || to !== undefined

/** New rows wait here, so that the list never moves under a finger. */
export function NewRows({
  count: n,
  more = false,
  href,
  oob = false,
}: {
  count: number
  /** There are more than were counted. */
  more?: boolean
  href: string
  oob?: boolean
}) {
  return (
    <p id="new" class="new" data-n={n} {...(oob ? { 'hx-swap-oob': 'outerMorph' } : {})}>
      {n === 0 ? null : (
        <a class="btn" href={href}>
          {more ? `over ${number(n - 1)} new` : `${number(n)} new`}: show
        </a>
      )}
    </p>
  )
}

function Rows({ page, view, jobs }: { page: Page; view: JobsView; jobs: readonly Job[] }) {
  const { query } = view
  if (jobs.length === 0) {
    return (
      <>
        <Empty page={page} view={view} />
        {view.older === undefined && view.newer === undefined ? null : <PageLinks view={view} />}
      </>
    )
  }
  return (
    <>
      <Panel label="Jobs" id="rows">
        <JobsTable
          jobs={jobs}
          now={page.now}
          site={page.siteQuery}
          time={toTimeField(query.sort)}
          caption={`Jobs, ${sorts[query.sort]}`}
          sorted={sortLink(query, page.siteQuery)}
        />
      </Panel>
      <PageLinks view={view}>
        <span>{`${count(jobs.length, 'row')}, ${sorts[query.sort]}`}</span>
        <small>{startsText(jobs, page.now)}</small>
      </PageLinks>
    </>
  )
}

function PageLinks({ view, children }: PropsWithChildren<{ view: JobsView }>) {
  const { query, older, newer } = view
  return (
    <nav class="pages" aria-label="Pages">
      <PageLink rel="next" href={older} text={pageNames(query.sort)[0]} />
      <PageLink rel="prev" href={newer} text={pageNames(query.sort)[1]} />
      {children}
    </nav>
  )
}

/** The first and the last start on the page, whatever it is sorted by. */
function startsText(jobs: readonly Job[], now: Micros): string {
  const starts = jobs
    .filter(isStartKnown)
    .map(({ startedAt }) => startedAt)
    .sort()
  const [first, last] = [starts[0], starts.at(-1)]
  if (first === undefined || last === undefined) return ''
  return `started ${when(first, now)} to ${when(last, now)}`
}

const pageNames = (sort: Sort): [further: string, back: string] =>
  sortOrder(sort) === 'desc' ? ['Older', 'Newer'] : ['Newer', 'Older']

function sortLink(query: JobsQuery, site: string | undefined) {
  if (!query.sort.startsWith('started')) return undefined
  const descending = query.sort === 'started-desc'
  const sort = descending ? 'started-asc' : 'started-desc'
  return {
    direction: descending ? ('descending' as const) : ('ascending' as const),
    href: jobsUrl({ ...firstPage(query), sort }, site),
  }
}

function PageLink({ rel, href, text }: { rel: string; href: string | undefined; text: string }) {
  if (href === undefined) {
    return (
      <button class="btn" type="button" disabled>
        {text}
      </button>
    )
  }
  return (
    <a class="btn" rel={rel} href={href}>
      {text}
    </a>
  )
}

function Empty({ page, view }: { page: Page; view: JobsView }) {
  const { query } = view
  const site = page.siteQuery
  const wide = query.window === '7d' || query.window === 'all' ? 'all' : '7d'
  const plain: JobsQuery = { ...firstPage(query), from: undefined, to: undefined, window: wide }
  if (query.flags.length > 0) {
    return (
      <p id="none" class="empty">
        {`No ${openJob(query)} matches these filters.`}
      </p>
    )
  }
  return (
    <p id="none" class="empty">
      No job matches these filters, {listText(view, page.now)}.{' '}
      <a href={jobsUrl(plain, site)}>{wide === 'all' ? 'Show all jobs' : 'Show 7 days'}</a>
    </p>
  )
}
