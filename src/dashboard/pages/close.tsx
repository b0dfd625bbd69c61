import { jobName } from '../../../views/job-text.ts'
import { Layout } from '../../../views/layout.tsx'
import { CloseBody, type CloseView } from '../../../views/pages/close.tsx'
import { jobPath } from '../../../views/urls.ts'
import { AppError } from '../../core/errors.ts'
import { endStatuses, isOpen, type Job } from '../../core/job.ts'
import { describeOutage, toSentence } from '../model/error-text.ts'
import { respond, respondHtml, respondMessage } from '../respond.tsx'
import { isOutage, toPage, type Visit } from '../visit.ts'
import { nameWho, readForm, refuseVisitor } from './operator.ts'

/** The form by which a person closes a job. It is part of the page of the job. */
export const closeParts = { '/jobs/:id/close': showForm }
export const closeForms = { '/jobs/:id/close': takeForm }

const title = 'Close a job'

type Form = Pick<CloseView, 'problem' | 'status' | 'reason' | 'by'>

const empty: Form = { problem: undefined, status: 'unknown', reason: '', by: '' }

const readId = ({ c }: Visit) => c.req.param('id') ?? ''

async function showForm(visit: Visit): Promise<Response> {
  return refuse(visit) ?? show(visit, empty)
}

async function takeForm(visit: Visit): Promise<Response> {
  const refused = refuse(visit)
  if (refused) return refused
  const { c, backend, dashboard } = visit
  const textOf = await readForm(visit)
  const [id, reason, typed] = [readId(visit), textOf('reason'), textOf('by')]
  const status = endStatuses.find((one) => one === textOf('status')) ?? 'unknown'
  const by = nameWho(visit, typed)
  try {
    await backend.closeJob?.(id, { status, reason, by }, dashboard.signal)
  } catch (error) {
    if (!(error instanceof AppError)) throw error
    return show(visit, { problem: toSentence(error.message), status, reason, by: typed })
  }
  dashboard.log.info({ job: id, by, status }, 'job closed')
  dashboard.cache.expire()
  return c.redirect(jobPath(id, visit.siteQuery), 303)
}

/** Undefined for a visitor who may close a job here. */
function refuse(visit: Visit): Promise<Response> | undefined {
  if (visit.backend.closeJob === undefined) {
    return respondMessage(visit, 403, title, 'A job is closed on the dashboard of its site.')
  }
  return refuseVisitor(visit, title, jobPath(readId(visit), visit.siteQuery))
}

async function show(visit: Visit, form: Form): Promise<Response> {
  const id = readId(visit)
  try {
    // Asked anew, past the cache: what is closed is what is shown.
    const found = await visit.backend.getJob(id, visit.dashboard.signal)
    if (found === undefined) return respondMessage(visit, 404, title, `There is no job ${id}.`)
    const { job } = found
    if (!isOpen(job.status) && form.problem === undefined) {
      return respondMessage(visit, 422, title, `${jobName(job, 100)} has ended: ${job.status}.`)
    }
    return respond(visit, toForm(visit, id, job, form), form.problem === undefined ? 200 : 422)
  } catch (error) {
    if (!isOutage(error)) throw error
    const detail = `${describeOutage(error)} Try again in a moment.`
    if (form.problem === undefined) return respondMessage(visit, 503, title, detail)
    // Without a reload by itself: it would lose what was typed.
    const problem = `Nothing was closed as far as is known. ${detail}`
    return respondHtml(visit.c, toForm(visit, id, undefined, { ...form, problem }), 503)
  }
}

function toForm(visit: Visit, id: string, job: Job | undefined, form: Form) {
  const page = toPage(visit)
  return (
    <Layout page={page} title={title} section="/jobs">
      <CloseBody page={page} view={{ id, job, ...form }} />
    </Layout>
  )
}
