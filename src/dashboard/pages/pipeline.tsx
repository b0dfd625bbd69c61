import { PipelineBody, type PipelineView } from '../../../views/pages/pipeline.tsx'
import type { JobFilter } from '../../core/job.ts'
import { sourcesQuestion } from '../../core/questions/sources.ts'
import { definePage } from '../define-page.tsx'
import { ask, type Visit } from '../visit.ts'

/** Where are events between program and database, and is any missing? */
export const pipelinePage = definePage({
  path: '/pipeline',
  navigation: { entry: 'Pipeline' },
  title: () => 'Pipeline',
  load,
  body: PipelineBody,
})

/** One row is enough: only the completeness of the answer is used. */
const anyJob: JobFilter = { time: 'started', order: 'desc', limit: 1 }

async function load(visit: Visit): Promise<PipelineView> {
  const [sources, list, health] = await Promise.all([
    ask(visit, ['sources'], (backend, signal) => backend.ask(sourcesQuestion, {}, signal)),
    ask(visit, ['jobs', anyJob], (backend, signal) => backend.findJobs(anyJob, signal)),
    ask(visit, ['health'], (backend, signal) => backend.health(signal)),
  ])
  return {
    sources,
    completeness: list?.completeness,
    health: visit.failures.length > 0 ? undefined : health,
    notices: [],
  }
}
