import { jobUrl } from '../../../views/job-query.ts'
import { jobName } from '../../../views/job-text.ts'
import { JobBody, type JobView } from '../../../views/pages/job.tsx'
import { isOpen, type Job } from '../../core/job.ts'
import { definePage } from '../define-page.tsx'
import { toSentence } from '../model/error-text.ts'
import { loadEvents, loadSubjobs, readJobQuery } from '../model/job-parts.ts'
import { archiveNotices } from '../model/notices.ts'
import { respondMessage, respondNotUnderstood } from '../respond.tsx'
import { ask, readParams, type Visit } from '../visit.ts'
import { closeForms, closeParts } from './close.tsx'

const uuid = /^[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$/

/** One job or subjob. */
export const jobPage = definePage({
  path: '/jobs/:id',
  navigation: { under: '/jobs' },
  title: ({ job }: JobView) => jobName(job, 100),
  load,
  body: JobBody,
  params: ['subjobs', 'subjobs_after', 'events', 'events_after', 'archive'],
  parts: closeParts,
  forms: closeForms,
})

const readId = ({ c }: Visit) => c.req.param('id') ?? ''

async function load(visit: Visit): Promise<JobView | Response> {
  const id = readId(visit)
  if (!uuid.test(id)) {
    return respondMessage(visit, 404, 'No such job', `${id} is not the id of a job.`)
  }
  const { query, problems } = readJobQuery(readParams(visit))
  if (problems.length > 0) return respondNotUnderstood(visit, problems)
  const [found, subjobs, events] = await Promise.all([
    ask(visit, ['job', id, query.archive], (backend, signal) =>
      backend.getJob(id, signal, query.archive),
    ),
    loadSubjobs(visit, id, query),
    loadEvents(visit, id, query),
  ])
  if (found === undefined) return respondMissing(visit, id)
  const { job } = found
  return {
    job,
    parent: await loadParent(visit, job),
    counts: found.subjobs,
    attempts: found.attempts,
    // The same for every visitor, as an open page is made again for all: the form says who may send it.
    closes: visit.backend.closeJob !== undefined && isOpen(job.status),
    query,
    subjobs,
    events,
    notices: [found.completeness, events?.completeness].flatMap((completeness) =>
      archiveNotices({
        ...{ completeness, now: visit.now },
        href: jobUrl(job.id, visit.siteQuery, { ...query, archive: true }),
      }),
    ),
  }
}

/** The job or subjob above a subjob; null when it has not reported. */
async function loadParent(visit: Visit, { parentId }: Job): Promise<Job | null | undefined> {
  if (parentId === null) return undefined
  const found = await ask(visit, ['parent', parentId], async (backend, signal) => {
    const [hot] = await backend.getJobs([parentId], signal)
    // It may be in the archive alone.
    return { parent: hot ?? (await backend.getJob(parentId, signal))?.job ?? null }
  })
  return found?.parent
}

function respondMissing(visit: Visit, id: string): Promise<Response> {
  const failure = visit.failures[0]
  if (!failure) {
    return respondMessage(
      visit,
      404,
      'No such job',
      `There is no job ${id}, neither in the hot store nor in the archive.`,
    )
  }
  const detail = `${toSentence(failure.message)} Try again in a moment.`
  return respondMessage(visit, 503, 'The API is not answering', detail)
}
