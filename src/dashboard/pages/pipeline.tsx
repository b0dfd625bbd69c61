import { PipelineBody, type PipelineView } from '../../../views/pages/pipeline.tsx'
import type { JobFilter } from '../../core/job.ts'
import { orphansQuestion } from '../../core/questions/orphans.ts'
import { sourcesQuestion } from '../../core/questions/sources.ts'
import { definePage } from '../define-page.tsx'
import { anyJobView } from '../live/live-view.ts'
import { firstTime } from '../model/query.ts'
import { ask, type Visit } from '../visit.ts'

/** Where are events between program and database, and is any missing? */
export const pipelinePage = definePage({
  path: '/pipeline',
  navigation: { entry: 'Pipeline' },
  title: () => 'Pipeline',
  load,
  body: PipelineBody,
  live: { view: anyJobView },
})

/** One row is enough: only the completeness of the answer is used. */
const anyJob: JobFilter = { time: 'started', order: 'desc', limit: 1 }

const orphans: JobFilter = {
  from: firstTime,
  time: 'started',
  order: 'desc',
  parent: 'missing',
  limit: 20,
}

async function load(visit: Visit): Promise<PipelineView> {
  const [sources, list, health, counts, newest] = await Promise.all([
    ask(visit, ['sources'], (backend, signal) => backend.ask(sourcesQuestion, {}, signal)),
    ask(visit, ['jobs', anyJob], (backend, signal) => backend.findJobs(anyJob, signal)),
    ask(visit, ['health'], (backend, signal) => backend.health(signal)),
    ask(visit, ['orphans'], (backend, signal) => backend.ask(orphansQuestion, {}, signal)),
    ask(visit, ['subjobs', orphans], (backend, signal) => backend.findSubjobs(orphans, signal)),
  ])
  return {
    sources,
    completeness: list?.completeness,
    health: visit.failures.length > 0 ? undefined : health,
    orphans: counts && newest && { counts, newest: newest.items },
    notices: [],
  }
}
