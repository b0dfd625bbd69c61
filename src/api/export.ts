import type { Context } from 'hono'
import { csvLine } from '../core/csv.ts'
import { AppError } from '../core/errors.ts'
import type { Completeness, Cursor, Job, JobFilter, JobPage } from '../core/job.ts'
import { jobToWire } from '../core/job-wire.ts'
import type { SitesReport } from '../core/sites.ts'
import type { formats } from './job-params.ts'
import { streamBody } from './stream-body.ts'

export type Format = (typeof formats)[number]
type ExportFormat = Exclude<Format, 'json'>

/** Rows that an export asks for at once: what it holds in memory. */
const pageSize = 1000

const mediaTypes: Record<ExportFormat, string> = {
  csv: 'text/csv; charset=utf-8; header=present',
  ndjson: 'application/x-ndjson; charset=utf-8',
}

/** The columns of the CSV: the fields of a row as JSON has them, in this order. */
const shared = ['app_id', 'app_name', 'app_version', 'site_id', 'status']
const measured = [
  'started_at',
  'ended_at',
  'duration_s',
  'cpu_user_s',
  'cpu_system_s',
  'mem_max_mb',
  'progress',
  'metrics',
  'metadata',
  'error_count',
  'last_error',
  'last_event_at',
  'event_count',
  'inserted_at',
  'updated_at',
  'stuck',
  'lost',
  'late',
  'end_before_start',
  'usual',
]
export const csvColumns = {
  jobs: ['job_id', 'job_key', ...shared, ...measured],
  subjobs: ['subjob_id', 'job_id', 'sub_key', ...shared, ...measured],
} as const

/** The format asked for: the parameter wins over `Accept`; JSON when neither names another. */
export function formatOf(c: Context, param: Format | undefined): Format {
  if (param !== undefined) return param
  const accepted = (c.req.header('accept') ?? '').split(',').flatMap((part) => {
    const [type = '', ...rest] = part.split(';').map((text) => text.trim().toLowerCase())
    const q = Number(rest.find((text) => text.startsWith('q='))?.slice(2) ?? 1)
    const format = formatByType[type]
    return format && q > 0 ? [{ format, q }] : []
  })
  // The sort is stable: among equals the first named is taken.
  return accepted.sort((a, b) => b.q - a.q)[0]?.format ?? 'json'
}

const formatByType: Record<string, Format | undefined> = {
  'text/csv': 'csv',
  'application/x-ndjson': 'ndjson',
  'application/json': 'json',
  'application/*': 'json',
  '*/*': 'json',
}

export type ExportOptions = {
  name: keyof typeof csvColumns
  format: ExportFormat
  filter: JobFilter
  /** Most rows; all of the window when absent. */
  limit: number | undefined
  maxLimit: number
  find: (filter: JobFilter) => Promise<JobPage>
  /** Over several sites: how they fared so far. */
  sites?: (() => SitesReport) | undefined
}

/**
 * Streams every row of a filter, a page at a time, as fast as the reader takes them. The first page
 * is asked for before the answer begins, so what is wrong from the start is a problem document; what
 * goes wrong later breaks the connection off.
 *
 * @throws AppError unreachable when a site is missing: a file cannot say that it lacks one
 */
export async function exportRows(c: Context, options: ExportOptions): Promise<Response> {
  const { name, format } = options
  const headers = {
    'content-type': mediaTypes[format],
    'content-disposition': `attachment; filename="${name}.${format}"`,
  }
  if (c.req.method === 'HEAD') return c.body(null, 200, headers)
  const pages = pagesOf(options)
  const first = await pages.next()
  if (first.done) throw new Error('an export without a first page')
  return c.body(streamBody(c, textOf(first.value, pages, options)), 200, {
    ...headers,
    'wafermon-completeness': completenessHeader(first.value.completeness),
  })
}

async function* pagesOf({ filter, limit, maxLimit, find, sites }: ExportOptions) {
  let left = limit ?? Number.POSITIVE_INFINITY
  let cursor: Cursor | undefined = filter.cursor
  for (;;) {
    const page: JobPage = await find({
      ...filter,
      limit: Math.min(pageSize, maxLimit, left),
      cursor,
    })
    refuseHoles(sites?.())
    yield page
    left -= page.items.length
    if (page.nextCursor === null || left <= 0) return
    if (page.items.length === 0) throw new Error('a page without rows has a next page')
    cursor = page.nextCursor
  }
}

function refuseHoles(sites: SitesReport | undefined): void {
  const failed = sites?.details.filter(({ status }) => status === 'failed') ?? []
  if (failed.length === 0) return
  const names = failed.map(({ id }) => id).join(', ')
  throw new AppError(
    'unreachable',
    `an export must be whole, and these sites did not answer: ${names}; export the others with site=`,
  )
}

async function* textOf(
  first: JobPage,
  rest: AsyncGenerator<JobPage>,
  { name, format }: ExportOptions,
): AsyncGenerator<string> {
  const columns = csvColumns[name]
  const line = {
    csv: (job: Job) => {
      const row = jobToWire(job)
      return csvLine(columns.map((column) => row[column]))
    },
    ndjson: (job: Job) => `${JSON.stringify(jobToWire(job))}\n`,
  }[format]
  const head = format === 'csv' ? csvLine(columns) : ''
  yield head + first.items.map(line).join('')
  for await (const page of rest) yield page.items.map(line).join('')
}

/** What the file may be missing: it has no room for it itself. */
function completenessHeader(completeness: Completeness): string {
  const { asOf, sources, gaps, oldestSourceAgeS, skewedSources, hotFrom, archive } = completeness
  return [
    `as_of=${asOf}`,
    `sources=${sources}`,
    `gaps=${gaps.length}`,
    `oldest_source_age_s=${oldestSourceAgeS ?? ''}`,
    `skewed_sources=${skewedSources.length}`,
    `hot_from=${hotFrom ?? ''}`,
    `archive=${archive}`,
  ].join('; ')
}
