import { PipelineBody, type PipelineView, sidecarRows } from '../../../views/pages/pipeline.tsx'
import type { JobFilter } from '../../core/job.ts'
import { orphansQuestion } from '../../core/questions/orphans.ts'
import {
  readSourceCursor,
  sourceCursorToWire,
  sourcesQuestion,
} from '../../core/questions/sources.ts'
import { definePage } from '../define-page.tsx'
import { sitesNotices } from '../model/notices.ts'
import { firstTime } from '../model/query.ts'
import { ask, assessFreshness, readParams, type Visit } from '../visit.ts'
import { acceptForms, acceptParts } from './accept.tsx'

/** Where are events between program and database, and is any missing? */
export const pipelinePage = definePage({
  path: '/pipeline',
  navigation: { entry: 'Pipeline' },
  title: () => 'Pipeline',
  load,
  body: PipelineBody,
  params: ['after', 'source'],
  parts: acceptParts,
  forms: acceptForms,
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
  const cursor = readParams(visit).get('after') ?? ''
  const after = readSourceCursor(cursor)
  const [troubled, sources, list, health, counts, newest] = await Promise.all([
    ask(visit, ['troubled'], (backend, signal) =>
      backend.ask(sourcesQuestion, { trouble: true, limit: sidecarRows }, signal),
    ),
    ask(visit, ['sources', after?.id, after?.epoch], (backend, signal) =>
      backend.ask(sourcesQuestion, { limit: sidecarRows, after }, signal),
    ),
    ask(visit, ['jobs', anyJob], (backend, signal) => backend.findJobs(anyJob, signal)),
    ask(visit, ['health'], (backend, signal) => backend.health(signal)),
    ask(visit, ['orphans'], (backend, signal) => backend.ask(orphansQuestion, {}, signal)),
    ask(visit, ['subjobs', orphans], (backend, signal) => backend.findSubjobs(orphans, signal)),
  ])
  const last = sources?.at(-1)
  return {
    troubled,
    sources,
    after: after && cursor,
    next: sources && last && sources.length >= sidecarRows ? sourceCursorToWire(last) : undefined,
    completeness: list?.completeness,
    missingSites: list?.sites?.missing ?? [],
    accepts: visit.backend.acceptSource !== undefined && visit.dashboard.access.mayOperate(visit.c),
    health: visit.failures.length > 0 ? undefined : health,
    orphans: counts && newest && { counts, newest: newest.items },
    notices: sitesNotices(list ?? {}, assessFreshness(visit)),
  }
}
