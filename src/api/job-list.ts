import type { Context } from 'hono'
import { cursorToWire } from '../core/cursor-wire.ts'
import { AppError } from '../core/errors.ts'
import type { Cursor, JobFilter, JobPage } from '../core/job.ts'
import { jobToWire } from '../core/job-wire.ts'
import { pageHeadToWire } from '../core/page-wire.ts'
import { chooseFormat, exportRows } from './export.ts'
import type { JobParams, Limits } from './job-params.ts'
import { type Asked, answerItems } from './reader-source.ts'

export type List = {
  name: 'jobs' | 'subjobs'
  params: JobParams
  asked: Asked
  filter: JobFilter
}

/** Answers a list: a page as JSON, or every row of it as a file. */
export async function answerList(c: Context, list: List, { maxLimit }: Limits): Promise<Response> {
  const { name, params, asked, filter } = list
  if (filter.cursor?.sites && !asked.sites) {
    throw new AppError(
      'invalid',
      'cursor: comes from a list over several sites; this list is of one site',
      {
        field: 'cursor',
      },
    )
  }
  const { signal } = c.req.raw
  const find = (wanted: JobFilter): Promise<JobPage> =>
    name === 'jobs'
      ? asked.reader.findJobs(wanted, signal)
      : asked.reader.findSubjobs(wanted, signal)
  c.header('Vary', 'Accept')
  const format = chooseFormat(c, params.format)
  if (format !== 'json') {
    const { limit } = params
    return exportRows(c, { name, format, filter, limit, maxLimit, find, sites: asked.sites })
  }
  return answerItems(c, asked, filter.limit, async () => {
    const page = await find(filter)
    if (page.nextCursor) c.header('Link', `<${nextLink(c, filter, page.nextCursor)}>; rel="next"`)
    return { items: page.items, toWire: jobToWire, more: pageHeadToWire(page, filter) }
  })
}

/** The same question after the last row. The window is pinned, or it would move between pages. */
function nextLink(c: Context, filter: JobFilter, cursor: Cursor): string {
  const { pathname, searchParams } = new URL(c.req.url)
  if (filter.from !== undefined) searchParams.set('from', filter.from)
  searchParams.set('cursor', cursorToWire(cursor, filter))
  return `${pathname}?${searchParams}`
}
