import { type Job, type JobStatus, type SubjobCounts, statuses } from '../../src/core/job.ts'
import type { Micros } from '../../src/core/time.ts'
import { capitalize, count, number } from '../format.ts'
import { type JobQuery, jobUrl, type SubjobList, type Subjobs } from '../job-query.ts'
import { toolText } from '../job-text.ts'
import { ageOfPart, type Page } from '../page.ts'
import { DataTable } from './data-table.tsx'
import { Gantt } from './gantt.tsx'
import {
  elapsedColumn,
  errorColumn,
  keyColumn,
  queueColumn,
  startedColumn,
  statusColumn,
} from './jobs-table.tsx'
import { Panel } from './panel.tsx'

/** The part of a job page that is about its subjobs. */
type SubjobsView = {
  job: Job
  counts: SubjobCounts
  /** Undefined when the API was away. */
  subjobs: Subjobs | undefined
  query: JobQuery
}

/** The subjobs of a page over time and as a table, with the way to all others. */
export function SubjobsPanel({ page, view }: { page: Page; view: SubjobsView }) {
  const { job, counts, subjobs, query } = view
  if (counts.total === 0 || subjobs === undefined) return null
  const { rows } = subjobs
  const isList = query.subjobs !== undefined || query.subjobsAfter !== undefined
  return (
    <Panel
      title="Subjobs over time"
      oldS={ageOfPart(page, 'job', 'subjobs')}
      note={noteOf(view, isList)}
    >
      <Gantt job={job} subjobs={rows} now={page.now} site={page.siteQuery} />
      <details class="data" id="subjobs" open={isList}>
        <summary>
          {rows.length < counts.total
            ? `These ${number(rows.length)} as a table`
            : `All ${number(rows.length)} as a table`}
        </summary>
        <DataTable
          caption={isList ? 'Subjobs, newest first' : 'Subjobs, failed and running first'}
          stack
          columns={columns(page)}
          rows={rows}
          rowId={({ id }) => `sub-${id}`}
          empty="There are none."
        />
      </details>
      {isList || rows.length < counts.total ? <Lists page={page} view={view} /> : null}
    </Panel>
  )
}

function noteOf({ counts, subjobs, query }: SubjobsView, isList: boolean): string {
  const rows = subjobs?.rows.length ?? 0
  if (rows === counts.total && !isList) return count(rows, 'subjob')
  const total = count(totalOf(query.subjobs, counts), 'subjob')
  const which = query.subjobs === undefined || query.subjobs === 'all' ? '' : `${query.subjobs} `
  const order = isList ? 'newest first' : 'failed and running first, then the newest'
  return `${number(rows)} of ${which}${total}, ${order}`
}

const totalOf = (list: SubjobList | undefined, counts: SubjobCounts) =>
  list === undefined || list === 'all' ? counts.total : counts[list]

/** Links to the subjobs of each state, and to the next page. */
function Lists({ page, view }: { page: Page; view: SubjobsView }) {
  const { job, counts, subjobs, query } = view
  const href = (change: JobQuery) =>
    jobUrl(
      job.id,
      page.siteQuery,
      { ...query, subjobs: undefined, subjobsAfter: undefined, ...change },
      'subjobs',
    )
  const lists: SubjobList[] = [...statuses.filter((status: JobStatus) => counts[status] > 0), 'all']
  const after = subjobs?.older
  return (
    <nav class="pages" aria-label="Subjobs by status">
      {lists.map((list) => (
        <a
          class="btn"
          href={href({ subjobs: list })}
          aria-current={query.subjobs === list ? 'true' : undefined}
        >
          {`${capitalize(list)} ${number(totalOf(list, counts))}`}
        </a>
      ))}
      {after === undefined ? null : (
        <a class="btn" rel="next" href={href({ subjobs: query.subjobs, subjobsAfter: after })}>
          Older subjobs
        </a>
      )}
      {query.subjobs === undefined && query.subjobsAfter === undefined ? null : (
        <a class="btn" href={href({})}>
          Failed and running first
        </a>
      )}
    </nav>
  )
}

const columns = ({ now, siteQuery }: { now: Micros; siteQuery: string | undefined }) => [
  statusColumn(),
  keyColumn('Subjob', siteQuery),
  startedColumn(now),
  queueColumn(now),
  { head: 'Chamber', cell: toolText },
  elapsedColumn('Took', now),
  errorColumn('Last error', 120),
]
