import { Layout } from '../../../views/layout.tsx'
import { AcceptBody, type AcceptView } from '../../../views/pages/accept.tsx'
import { withQuery } from '../../../views/urls.ts'
import { AppError } from '../../core/errors.ts'
import type { ListPage, Place } from '../../core/list-order.ts'
import { type Source, sourcesQuestion } from '../../core/questions/sources.ts'
import { sourceStates } from '../../core/source-state.ts'
import { isFromOurPages, readAddress, readVisitor } from '../access.ts'
import { toSentence } from '../model/error-text.ts'
import { respond, respondMessage } from '../respond.tsx'
import { readParams, toPage, type Visit } from '../visit.ts'

/** The form by which a person accepts what a source has lost. It is part of the pipeline page. */
export const acceptParts = { '/pipeline/accept': showForm }
export const acceptForms = { '/pipeline/accept': takeForm }

const title = 'Accept a loss'

async function showForm(visit: Visit): Promise<Response> {
  const id = readParams(visit).get('source') ?? ''
  return refuse(visit) ?? show(visit, id, { problem: undefined, reason: '', by: '' })
}

async function takeForm(visit: Visit): Promise<Response> {
  const refused = refuse(visit)
  if (refused) return refused
  const { c, backend, dashboard } = visit
  if (!isFromOurPages(c)) {
    return respondMessage(visit, 403, title, 'The form was not sent from this dashboard.')
  }
  const given = await c.req.parseBody()
  const textOf = (name: string) => (typeof given[name] === 'string' ? given[name].trim() : '')
  const [id, reason, by] = [textOf('source'), textOf('reason'), textOf('by')]
  const visitor = readVisitor(c)
  const session = visitor.kind === 'session' ? `token ${visitor.id} of the dashboard` : ''
  const who = [by, session, readAddress(c)].filter(Boolean).join(', ').slice(0, 100)
  const missing = Number(textOf('missing'))
  try {
    await backend.acceptSource?.(id, { reason, by: who, missing }, dashboard.signal)
  } catch (error) {
    if (!(error instanceof AppError)) throw error
    return show(visit, id, { problem: toSentence(error.message), reason, by })
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
  if (readVisitor(visit.c).mayOperate) return undefined
  return respondMessage(
    visit,
    403,
    title,
    'This needs a token with the scope operate: sign in with one.',
  )
}

type Form = Pick<AcceptView, 'problem' | 'reason' | 'by'>

/** Asked anew, past the cache: what is accepted is what is shown. */
async function show(visit: Visit, id: string, form: Form): Promise<Response> {
  const { backend, dashboard } = visit
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
  if (sources.length === 0) {
    return respondMessage(visit, 404, title, `There is no source ${id}.`)
  }
  const page = toPage(visit)
  const view = { sources, id, ...form }
  const content = (
    <Layout page={page} title={title} section="/pipeline">
      <AcceptBody page={page} view={view} />
    </Layout>
  )
  return respond(visit, content, form.problem === undefined ? 200 : 422)
}

const pageRows = 1000
