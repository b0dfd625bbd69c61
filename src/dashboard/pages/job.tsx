import { Hono } from 'hono'
import { JobPage, type JobView } from '../../../views/pages/job.tsx'
import { withQuery } from '../../../views/urls.ts'
import { AppError } from '../../core/errors.ts'
import type { JobFilter } from '../../core/job.ts'
import { sentence } from '../model/error-text.ts'
import { html, message, type Routes, visited } from '../respond.ts'
import { ask, pageOf, statusFor, type Visit } from '../visit.ts'

/** Subjobs and events read for a page; the page says when there are more. */
const mostSubjobs = 500
const mostEvents = 500
const uuid = /^[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$/

/** `/jobs/{id}`: one job or subjob. */
export function jobRoutes({ dashboard }: Routes): Hono {
  return new Hono().get('/jobs/:id', (c) => visited(dashboard, c, jobPage))
}

async function jobPage(visit: Visit): Promise<Response> {
  const id = visit.c.req.param('id') ?? ''
  if (!uuid.test(id)) return message(visit, 404, 'No such job', `${id} is not the id of a job.`)
  const filter: JobFilter = {
    from: '1970-01-01T00:00:00.000000Z',
    time: 'started',
    order: 'asc',
    jobId: id,
    limit: mostSubjobs,
  }
  const [found, subjobs, events] = await Promise.all([
    ask(visit, ['job', id], (backend, signal) => backend.getJob(id, signal)),
    ask(visit, ['subjobs', id], (backend, signal) => backend.findSubjobs(filter, signal)),
    ask(visit, ['events', id], async (backend, signal) =>
      backend.findEvents(id, mostEvents, signal).catch(noneWhenUnknown),
    ),
  ])
  if (found === undefined) return missing(visit, id)
  const page = pageOf(visit)
  const view: JobView = {
    job: found.job,
    counts: found.subjobs,
    subjobs: subjobs?.items ?? [],
    events,
    notices: [],
    live: withQuery('/events', { view: 'job', id, site: page.siteQuery }),
  }
  return html(visit, <JobPage page={page} view={view} />, statusFor(visit))
}

const noneWhenUnknown = (error: unknown) => {
  if (error instanceof AppError && error.code === 'not_found') return []
  throw error
}

function missing(visit: Visit, id: string): Promise<Response> {
  const failure = visit.failures[0]
  if (failure) {
    return message(
      visit,
      503,
      'The API does not answer',
      `${sentence(failure.message)} Try again soon.`,
    )
  }
  return message(visit, 404, 'No such job', `There is no job ${id} in the hot store.`)
}
