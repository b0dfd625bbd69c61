import type { Context } from 'hono'
import { csvLine } from '../core/csv.ts'
import { AppError } from '../core/errors.ts'
import type { Completeness, Cursor, Job, JobFilter, JobPage } from '../core/job.ts'
import { jobTable, jobToValues, jobToWire, subjobTable } from '../core/job-wire.ts'
import { ensure } from '../core/must.ts'
import type { SitesReport } from '../core/sites.ts'
import type { formats } from './job-params.ts'
import { streamBody } from './stream-body.ts'

type Format = (typeof formats)[number]
type ExportFormat = Exclude<Format, 'json'>

/** Rows that an export holds in memory at most, and those that it writes in one go. */
const [pageSize, sliceSize] = [1000, 100]

const mediaTypes: Record<ExportFormat, string> = {
  csv: 'text/csv; charset=utf-8; header=present',
  ndjson: 'application/x-ndjson; charset=utf-8',
}

const tables = { jobs: jobTable, subjobs: subjobTable }

/** The parameter overrides `Accept`; JSON when neither names another format. */
export function chooseFormat(c: Context, param: Format | undefined): Format {
  if (param !== undefined) return param
  const accepted = (c.req.header('accept') ?? '').split(',').flatMap((part) => {
    const [type = '', ...rest] = part.split(';').map((text) => text.trim().toLowerCase())
    const q = Number(rest.find((text) => text.startsWith('q='))?.slice(2) ?? 1)
    const format = formatByType[type]
    return format && q > 0 ? [{ format, q }] : []
  })
  // The sort is stable: among equals the first one wins.
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
  name: keyof typeof tables
  format: ExportFormat
  filter: JobFilter
  /** Maximum rows; all of the window when absent. */
  limit: number | undefined
  maxLimit: number
  find: (filter: JobFilter) => Promise<JobPage>
  /** Over several sites: the outcome per site so far. */
  sites?: (() => SitesReport) | undefined
}

/**
 * Streams every row of a filter, a page at a time, as fast as the caller reads them. The first page
 * is read before the answer begins, so that an early failure is answered with a problem document; a
 * later one breaks the connection off.
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
  ensure(first.done !== true, 'an export has a first page, even an empty one')
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
    if (filter.archive === true || cursor !== filter.cursor) refuseGaps(page.completeness)
    yield page
    left -= page.items.length
    if (page.nextCursor === null || left <= 0) return
    ensure(moves(cursor, page.nextCursor), 'a page leads on from where the last one ended')
    cursor = page.nextCursor
  }
}

/** The header of the file tells what the first page lacks of an archive that nobody asked for. */
function refuseGaps({ archiveMissing: [gap] }: Completeness): void {
  if (gap === undefined) return
  throw new AppError(
    'unreachable',
    `the archive cannot be searched from ${gap.from} to ${gap.to} (${gap.why}), and an export must be complete; export the hot store alone with archive=false`,
  )
}

const moves = (before: Cursor | undefined, after: Cursor): boolean =>
  JSON.stringify(before, placesToJson) !== JSON.stringify(after, placesToJson)

/** Of several sites, the place of each. */
const placesToJson = (_: string, value: unknown) =>
  value instanceof Map ? [...value.entries()] : value

function refuseHoles(sites: SitesReport | undefined): void {
  const failed = sites?.details.filter(({ status }) => status === 'failed') ?? []
  if (failed.length === 0) return
  const names = failed.map(({ id }) => id).join(', ')
  throw new AppError(
    'unreachable',
    `these sites did not answer, and an export must be complete: ${names}; export the other sites with site=`,
  )
}

async function* textOf(
  first: JobPage,
  rest: AsyncGenerator<JobPage>,
  { name, format }: ExportOptions,
): AsyncGenerator<string> {
  const line = {
    csv: (job: Job) => csvLine(jobToValues(job)),
    ndjson: (job: Job) => `${JSON.stringify(jobToWire(job))}\n`,
  }[format]
  const head = format === 'csv' ? csvLine(tables[name].names) : ''
  if (head !== '') yield head
  for (const items of inSlices(first.items)) yield items.map(line).join('')
  for await (const page of rest) {
    for (const items of inSlices(page.items)) yield items.map(line).join('')
  }
}

/** A page with large metadata is not written in one go: others get their turn. */
function* inSlices(items: readonly Job[]): Generator<readonly Job[]> {
  for (let i = 0; i < items.length; i += sliceSize) yield items.slice(i, i + sliceSize)
}

/** Completeness of the file, in a header: the file itself has no place for it. */
function completenessHeader(completeness: Completeness): string {
  const { asOf, oldestSourceAgeS, skewedSources, hotFrom, archive, ...counts } = completeness
  const { archiveSearchedFrom, archiveMissing } = counts
  return [
    `as_of=${asOf}`,
    `sources=${counts.sources}`,
    `sources_reporting=${counts.sourcesReporting}`,
    `sources_silent=${counts.sourcesSilent}`,
    `missing=${counts.missing}`,
    `gaps=${counts.gaps.length}`,
    `oldest_source_age_s=${oldestSourceAgeS ?? ''}`,
    `skewed_sources=${skewedSources.length}`,
    `hot_from=${hotFrom ?? ''}`,
    `archive=${archive}`,
    `archive_searched_from=${archiveSearchedFrom ?? ''}`,
    `archive_missing=${archiveMissing.length}`,
  ].join('; ')
}
