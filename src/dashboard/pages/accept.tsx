import { Layout } from '../../../views/layout.tsx'
import { AcceptBody, type AcceptView } from '../../../views/pages/accept.tsx'
import { withQuery } from '../../../views/urls.ts'
import { AppError } from '../../core/errors.ts'
import type { ListPage, Place } from '../../core/list-order.ts'
import { type Source, sourcesQuestion } from '../../core/questions/sources.ts'
import { sourceStates } from '../../core/source-state.ts'
import { describeOutage, toSentence } from '../model/error-text.ts'
import { respond, respondHtml, respondMessage } from '../respond.tsx'
import { isOutage, readParams, toPage, type Visit } from '../visit.ts'
import { nameWho, readForm, refuseVisitor } from './operator.ts'

/** The form by which a person accepts what a source has lost. It is part of the pipeline page. */
export const acceptParts = { '/pipeline/accept': showForm }
export const acceptForms = { '/pipeline/accept': takeForm }

const title = 'Accept a loss'

async function showForm(visit: Visit): Promise<Response> {
  const id = readParams(visit).get('source') ?? ''
  return refuse(visit) ?? show(visit, id, { problem: undefined, reason: '', by: '', missing: 0 })
}

async function takeForm(visit: Visit): Promise<Response> {
  const refused = refuse(visit)
  if (refused) return refused
  const { c, backend, dashboard } = visit
  const textOf = await readForm(visit)
  const [id, reason, by] = [textOf('source'), textOf('reason'), textOf('by')]
  const who = nameWho(visit, by)
  const missing = Number(textOf('missing'))
  try {
    await backend.acceptSource?.(id, { reason, by: who, missing }, dashboard.signal)
  } catch (error) {
    if (!(error instanceof AppError)) throw error
    return show(visit, id, { problem: toSentence(error.message), reason, by, missing })
  }
  dashboard.log.info({ source: id, by: who }, 'loss accepted')
  dashboard.cache.expire()
  return c.redirect(withQuery('/pipeline', { site: visit.siteQuery }), 303)
}

/** Undefined for a visitor who may accept a loss here. */
function refuse(visit: Visit): Promise<Response> | undefined {
  if (visit.backend.acceptSource === undefined) {
    return respondMessage(visit, 403, title, 'A loss is accepted on the dashboard of its site.')
  }
  return refuseVisitor(visit, title, '/pipeline')
}

type Form = Pick<AcceptView, 'problem' | 'reason' | 'by' | 'missing'>

async function show(visit: Visit, id: string, form: Form): Promise<Response> {
  try {
    const sources = await findSources(visit, id)
    if (sources.length === 0) {
      return respondMessage(visit, 404, title, `There is no source ${id}.`)
    }
    const missing = sources.reduce((sum, source) => sum + source.missing, 0)
    const status = form.problem === undefined ? 200 : 422
    return respond(visit, toForm(visit, { sources, id, ...form, missing }), status)
  } catch (error) {
    if (!isOutage(error)) throw error
    const detail = `${describeOutage(error)} Try again in a moment.`
    if (form.problem === undefined) return respondMessage(visit, 503, title, detail)
    // Without a reload by itself: it would lose what was typed.
    const problem = `Nothing was accepted as far as is known. ${detail}`
    const content = toForm(visit, { sources: undefined, id, ...form, problem })
    return respondHtml(visit.c, content, 503)
  }
}

/** Asked anew, past the cache: what is accepted is what is shown. */
async function findSources({ backend, dashboard }: Visit, id: string): Promise<Source[]> {
  const sources: Source[] = []
  // The openings of one spool follow each other; the first is the one after "no epoch".
  let after: Place | null = [id, '']
  while (after) {
    const page: ListPage<Source> = await backend.askPage(
      sourcesQuestion,
      { states: sourceStates, limit: pageRows },
      dashboard.signal,
      after,
    )
    const own = page.items.filter((source) => source.id === id)
    sources.push(...own)
    after = own.length === page.items.length ? page.next : null
  }
  return sources
}

function toForm(visit: Visit, view: AcceptView) {
  const page = toPage(visit)
  return (
    <Layout page={page} title={title} section="/pipeline">
      <AcceptBody page={page} view={view} />
    </Layout>
  )
}

const pageRows = 1000
