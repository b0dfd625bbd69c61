import { Hono } from 'hono'
import { PipelinePage, type PipelineView } from '../../../views/pages/pipeline.tsx'
import { withQuery } from '../../../views/urls.ts'
import type { JobFilter } from '../../core/job.ts'
import { html, type Routes, visited } from '../respond.ts'
import { ask, pageOf, statusFor, type Visit } from '../visit.ts'

/** `/pipeline`: where between program and store events stand, and whether any is missing. */
export function pipelineRoutes({ dashboard }: Routes): Hono {
  return new Hono().get('/pipeline', (c) => visited(dashboard, c, pipelinePage))
}

/** One row is enough: it is the completeness that is wanted. */
const anything: JobFilter = { time: 'started', order: 'desc', limit: 1 }

async function pipelinePage(visit: Visit): Promise<Response> {
  const [sources, list, health] = await Promise.all([
    ask(visit, ['sources'], (backend, signal) => backend.listSources(signal)),
    ask(visit, ['jobs', anything], (backend, signal) => backend.findJobs(anything, signal)),
    ask(visit, ['health'], (backend, signal) => backend.health(signal)),
  ])
  const page = pageOf(visit)
  const view: PipelineView = {
    sources,
    completeness: list?.completeness,
    health: visit.failures.length > 0 ? undefined : health,
    notices: [],
    live: withQuery('/events', { view: 'any', site: page.siteQuery }),
  }
  return html(visit, <PipelinePage page={page} view={view} />, statusFor(visit))
}
