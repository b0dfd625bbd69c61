import { Hono } from 'hono'
import { AppError } from '../../core/errors.ts'
import { sentence } from '../model/error-text.ts'
import { filterOf, readJobsQuery } from '../model/query.ts'
import { message, type Routes, visited } from '../respond.ts'
import type { Visit } from '../visit.ts'

const types = {
  csv: 'text/csv; charset=utf-8',
  ndjson: 'application/x-ndjson; charset=utf-8',
} as const

/** `/jobs.csv`, `/jobs.ndjson`: the rows of the list as the API writes them, handed through. */
export function exportRoutes({ dashboard }: Routes): Hono {
  return new Hono()
    .get('/jobs.csv', (c) => visited(dashboard, c, (visit) => download(visit, 'csv')))
    .get('/jobs.ndjson', (c) => visited(dashboard, c, (visit) => download(visit, 'ndjson')))
}

async function download(visit: Visit, format: keyof typeof types): Promise<Response> {
  const { c, backend, name, now, dashboard } = visit
  const { query } = readJobsQuery(new URL(c.req.url).searchParams)
  const first = { ...query, after: undefined, before: undefined }
  const { filter } = filterOf(first, now)
  const signal = AbortSignal.any([c.req.raw.signal, dashboard.signal])
  try {
    const body = await backend.exportJobs(filter, format, signal)
    const stamp = now.slice(0, 19).replaceAll(/[-:]/g, '')
    const file = `wafermon-${name.replaceAll(/[^A-Za-z0-9._-]/g, '_')}-jobs-${stamp}Z.${format}`
    return c.body(body, 200, {
      'content-type': types[format],
      'content-disposition': `attachment; filename="${file}"`,
    })
  } catch (error) {
    if (!(error instanceof AppError) || !error.retryable) throw error
    return message(visit, 503, 'The export failed', `${sentence(error.message)} Try again soon.`)
  }
}
