import { type Context, Hono } from 'hono'
import type * as z from 'zod'
import { cursorToWire } from '../core/cursor-wire.ts'
import { AppError } from '../core/errors.ts'
import type { JobFilter, JobPage } from '../core/job.ts'
import { jobDetailToWire, pageToWire } from '../core/job-wire.ts'
import { exportRows, formatOf } from './export.ts'
import {
  eventParams,
  filterOf,
  type JobParams,
  jobParams,
  type Limits,
  ownSubjobParams,
  subjobParams,
} from './job-params.ts'
import { answerJobsById } from './jobs-by-id.ts'
import { idIn, noParams, readParams } from './query-params.ts'
import { type Asked, answer, ask, listOf, type ReaderSource } from './reader-source.ts'

export type JobRouteOptions = {
  reader: ReaderSource
  limits: Limits
  /** Milliseconds since 1970. */
  now?: () => number
}

type List = {
  name: 'jobs' | 'subjobs'
  params: JobParams
  asked: Asked
  filter: JobFilter
}

/** Lists of jobs and subjobs, as JSON by pages or exported whole, and all about one job. */
export function jobRoutes({ reader, limits, now = Date.now }: JobRouteOptions): Hono {
  const schemas = {
    jobs: jobParams(limits),
    subjobs: subjobParams(limits),
    own: ownSubjobParams(limits),
    events: eventParams(limits),
  }
  const list = (c: Context, name: 'jobs' | 'subjobs', schema: z.ZodObject, jobId?: string) => {
    const params = { ...readParams(c, schema), ...(jobId && { job_id: jobId }) } as JobParams
    return answerList(
      c,
      { name, params, asked: ask(reader), filter: filterOf(params, limits, now()) },
      limits,
    )
  }
  return new Hono()
    .get('/v1/jobs', (c) => list(c, 'jobs', schemas.jobs))
    .get('/v1/subjobs', (c) => list(c, 'subjobs', schemas.subjobs))
    .get('/v1/jobs/by-id', (c) => answerJobsById(c, reader))
    .get('/v1/jobs/:id', async (c) => {
      readParams(c, noParams)
      const started = performance.now()
      const asked = ask(reader)
      return answer(c, asked, started, jobDetailToWire(await jobOf(c, asked, idIn(c))))
    })
    .get('/v1/jobs/:id/subjobs', async (c) => {
      const id = idIn(c)
      readParams(c, schemas.own)
      await jobOf(c, ask(reader), id)
      return list(c, 'subjobs', schemas.own, id)
    })
    .get('/v1/jobs/:id/events', async (c) => {
      const id = idIn(c)
      const { limit = limits.defaultLimit } = readParams(c, schemas.events)
      const started = performance.now()
      const asked = ask(reader)
      await jobOf(c, asked, id)
      const items = await asked.reader.findEvents(id, limit, c.req.raw.signal)
      return answer(c, asked, started, { ...listOf(items), complete: items.length < limit })
    })
}

async function jobOf(c: Context, { reader }: Asked, id: string) {
  const found = await reader.getJob(id, c.req.raw.signal)
  if (found) return found
  throw new AppError('not_found', `there is no job or subjob ${id}`, { field: 'id' })
}

async function answerList(c: Context, list: List, { maxLimit }: Limits): Promise<Response> {
  const { name, params, asked, filter } = list
  if (filter.cursor?.sites && !asked.sites) {
    throw new AppError('invalid', 'cursor: was made over several sites; this is one of them', {
      field: 'cursor',
    })
  }
  const { signal } = c.req.raw
  const find = (wanted: JobFilter): Promise<JobPage> =>
    name === 'jobs'
      ? asked.reader.findJobs(wanted, signal)
      : asked.reader.findSubjobs(wanted, signal)
  c.header('Vary', 'Accept')
  const format = formatOf(c, params.format)
  if (format !== 'json') {
    const { limit } = params
    return exportRows(c, { name, format, filter, limit, maxLimit, find, sites: asked.sites })
  }
  const started = performance.now()
  const page = await find(filter)
  if (page.nextCursor) c.header('Link', `<${nextLink(c, filter, page.nextCursor)}>; rel="next"`)
  return answer(c, asked, started, pageToWire(page, filter))
}

/** The same question behind the last row. The window is pinned, or it would move while one pages. */
function nextLink(
  c: Context,
  filter: JobFilter,
  cursor: NonNullable<JobPage['nextCursor']>,
): string {
  const { pathname, searchParams } = new URL(c.req.url)
  if (filter.from !== undefined) searchParams.set('from', filter.from)
  searchParams.set('cursor', cursorToWire(cursor, filter))
  return `${pathname}?${searchParams}`
}
