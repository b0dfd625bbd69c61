import { PipelineBody, type PipelineView, sidecarRows } from '../../../views/pages/pipeline.tsx'
import type { JobFilter } from '../../core/job.ts'
import { type Place, placeToWire, readPlace } from '../../core/list-order.ts'
import { orphansQuestion } from '../../core/questions/orphans.ts'
import { sourcesQuestion } from '../../core/questions/sources.ts'
import { definePage } from '../define-page.tsx'
import { sitesNotices } from '../model/notices.ts'
import { firstTime, ofAnotherList } from '../model/query.ts'
import { respondNotUnderstood } from '../respond.tsx'
import { ask, askCounts, assessFreshness, readParams, type Visit } from '../visit.ts'
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

async function load(visit: Visit): Promise<PipelineView | Response> {
  const params = readParams(visit)
  const cursor = params.get('after') ?? ''
  const after = placeFrom(cursor)
  const problems = [
    ...(cursor === '' || after ? [] : [{ name: 'after', detail: ofAnotherList }]),
    ...(params.has('source') ? [{ name: 'source', detail: 'is for the form of a loss' }] : []),
  ]
  if (problems.length > 0) return respondNotUnderstood(visit, problems)
  const [troubled, sources, list, health, counts, newest] = await Promise.all([
    ask(visit, ['troubled'], (backend, signal) =>
      backend.ask(sourcesQuestion, { trouble: true, limit: sidecarRows }, signal),
    ),
    ask(visit, ['sources', after], (backend, signal) =>
      backend.askPage(sourcesQuestion, { limit: sidecarRows }, signal, after),
    ),
    ask(visit, ['jobs', anyJob], (backend, signal) => backend.findJobs(anyJob, signal)),
    ask(visit, ['health'], (backend, signal) => backend.health(signal)),
    askCounts(visit, ['orphans'], { question: orphansQuestion, params: {} }),
    ask(visit, ['subjobs', orphans], (backend, signal) => backend.findSubjobs(orphans, signal)),
  ])
  return {
    troubled,
    sources: sources?.items,
    after: after && cursor,
    next: sources?.next ? placeToWire(sources.next) : undefined,
    completeness: list?.completeness,
    missingSites: visit.sites?.missing ?? [],
    // The same for every visitor, as an open page is made again for all: the form says who may send it.
    accepts: visit.backend.acceptSource !== undefined,
    health: visit.failures.length > 0 ? undefined : health,
    orphans: counts &&
      newest && { counts: counts.items, cut: counts.cut ?? false, newest: newest.items },
    notices: sitesNotices(visit.sites, assessFreshness(visit)),
  }
}

/** Where the page begins; undefined for what is not a place. */
function placeFrom(cursor: string): Place | undefined {
  try {
    return cursor === '' ? undefined : readPlace(sourcesQuestion.order ?? [], cursor)
  } catch {
    return undefined
  }
}
