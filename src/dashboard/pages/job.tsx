import { jobName } from '../../../views/job-text.ts'
import { JobBody, type JobView } from '../../../views/pages/job.tsx'
import { AppError } from '../../core/errors.ts'
import type { JobFilter } from '../../core/job.ts'
import { definePage } from '../define-page.tsx'
import { toSentence } from '../model/error-text.ts'
import { firstTime } from '../model/query.ts'
import { respondMessage } from '../respond.tsx'
import { ask, type Visit } from '../visit.ts'

/** Maximum subjobs and events read for a page; the page says when there are more. */
const mostSubjobs = 500
const mostEvents = 500
const uuid = /^[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$/

/** One job or subjob. */
export const jobPage = definePage({
  path: '/jobs/:id',
  navigation: { under: '/jobs' },
  title: ({ job }: JobView) => jobName(job),
  load,
  body: JobBody,
})

const readId = ({ c }: Visit) => c.req.param('id') ?? ''

async function load(visit: Visit): Promise<JobView | Response> {
  const id = readId(visit)
  if (!uuid.test(id)) {
    return respondMessage(visit, 404, 'No such job', `${id} is not the id of a job.`)
  }
  const filter: JobFilter = {
    from: firstTime,
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
  if (found === undefined) return respondMissing(visit, id)
  return {
    job: found.job,
    counts: found.subjobs,
    subjobs: subjobs?.items ?? [],
    events: events?.items,
    moreEvents: events !== undefined && events.next !== null,
    notices: [],
  }
}

const noneWhenUnknown = (error: unknown) => {
  if (error instanceof AppError && error.code === 'not_found') return { items: [], next: null }
  throw error
}

function respondMissing(visit: Visit, id: string): Promise<Response> {
  const failure = visit.failures[0]
  if (!failure) {
    return respondMessage(visit, 404, 'No such job', `There is no job ${id} in the hot store.`)
  }
  const detail = `${toSentence(failure.message)} Try again in a moment.`
  return respondMessage(visit, 503, 'The API is not answering', detail)
}
