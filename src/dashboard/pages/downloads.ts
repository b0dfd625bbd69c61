import { AppError } from '../../core/errors.ts'
import { toSentence } from '../model/error-text.ts'
import { readJobsQuery, toFilter } from '../model/query.ts'
import { respondMessage, respondNotUnderstood } from '../respond.tsx'
import { readParams, type Visit } from '../visit.ts'

const types = {
  csv: 'text/csv; charset=utf-8',
  ndjson: 'application/x-ndjson; charset=utf-8',
} as const

/** The rows of the list as files, passed through as the API writes them. */
export const downloads = {
  '/jobs.csv': (visit: Visit) => download(visit, 'csv'),
  '/jobs.ndjson': (visit: Visit) => download(visit, 'ndjson'),
}

async function download(visit: Visit, format: keyof typeof types): Promise<Response> {
  const { c, backend, name, now, dashboard } = visit
  const { query, problems } = readJobsQuery(readParams(visit))
  if (problems.length > 0) return respondNotUnderstood(visit, problems)
  const first = { ...query, after: undefined, before: undefined }
  const { filter } = toFilter(first, now)
  const signal = AbortSignal.any([c.req.raw.signal, dashboard.signal])
  const stamp = now.slice(0, 19).replaceAll(/[-:]/g, '')
  const file = `wafermon-${name.replaceAll(/[^A-Za-z0-9._-]/g, '_')}-jobs-${stamp}Z.${format}`
  const headers = {
    'content-type': types[format],
    'content-disposition': `attachment; filename="${file}"`,
  }
  // The export of the API would never be read, nor canceled.
  if (c.req.method === 'HEAD') return c.body(null, 200, headers)
  try {
    return c.body(await backend.exportJobs(filter, format, signal), 200, headers)
  } catch (error) {
    if (!(error instanceof AppError) || !error.retryable) throw error
    const detail = `${toSentence(error.message)} Try again in a moment.`
    return respondMessage(visit, 503, 'The export failed', detail)
  }
}
