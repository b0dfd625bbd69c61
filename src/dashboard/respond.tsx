import type { Context } from 'hono'
import type { ContentfulStatusCode } from 'hono/utils/http-status'
import { Layout } from '../../views/layout.tsx'
import { MessageBody } from '../../views/pages/message.tsx'
import { AppError } from '../core/errors.ts'
import { must } from '../core/must.ts'
import { describeUnknown } from '../core/spelling.ts'
import { statusByCode } from '../platform/problem.ts'
import { logSparsely } from '../platform/sparse-log.ts'
import { toSentence } from './model/error-text.ts'
import type { Problem } from './model/query.ts'
import { openVisit, type RouteContext, readParams, toPage, type Visit } from './visit.ts'

/**
 * Only our own scripts, styles, images and connections, no inline code, no frame around us, and
 * forms go nowhere else.
 */
const policy = [
  "default-src 'none'",
  "script-src 'self'",
  "worker-src 'self'",
  "style-src 'self'",
  "img-src 'self'",
  "connect-src 'self'",
  "form-action 'self'",
  "base-uri 'none'",
  "frame-ancestors 'none'",
].join('; ')

type Rendered = { toString(): string | Promise<string> }
type Status = 200 | 403 | 404 | 422 | 500 | 503

/** How soon a page without anything to show reloads, in seconds. */
const reloadS = 10

/** An HTML response about a site. */
export function respond(visit: Visit, content: Rendered, status: Status = 200): Promise<Response> {
  const { c } = visit
  if (status === 503) {
    c.header('Retry-After', '5')
    // Works without JavaScript too. There is nothing on the page that could be lost.
    c.header('Refresh', String(reloadS))
  }
  return respondHtml(c, content, status)
}

/** An HTML response under the policy of the pages. */
export async function respondHtml(
  c: Context,
  content: Rendered,
  status: ContentfulStatusCode = 200,
): Promise<Response> {
  c.header('Content-Security-Policy', policy)
  c.header('Vary', 'Cookie')
  // Our own forms are recognized by their origin, which `no-referrer` would remove.
  c.header('Referrer-Policy', 'same-origin')
  return c.html(content.toString(), status)
}

/** Finds the site of a request, and answers failures with a page that explains them. */
export async function withVisit(
  context: RouteContext,
  c: Context,
  answer: (visit: Visit) => Promise<Response>,
): Promise<Response> {
  const { dashboard } = context
  const wanted = c.req.query('site')
  const site = dashboard.site(wanted)
  const shown = site ?? must(dashboard.site(undefined), 'there is a site without a name given')
  const visit = openVisit(context, c, shown)
  if (!site) {
    return respondMessage(visit, 404, 'No such site', `This dashboard has no site ${wanted}.`)
  }
  try {
    return await answer(visit)
  } catch (error) {
    return respondFailure(visit, error)
  }
}

function respondFailure(visit: Visit, error: unknown): Promise<Response> {
  if (error instanceof AppError && statusByCode[error.code] < 500) {
    const status = error.code === 'not_found' ? 404 : 422
    return respondMessage(visit, status, 'This cannot be shown', toSentence(error.message))
  }
  const { log } = visit.dashboard
  const fields = { error, path: visit.c.req.path }
  logSparsely(log, 'page failed', { level: 'error', fields, event: 'page failed' })
  return respondMessage(visit, 500, 'This page failed', 'The log of the web role has the reason.')
}

type Link = { href: string; text: string }

/** A page that can only say why it has nothing to show. */
export function respondMessage(
  visit: Visit,
  status: Status,
  title: string,
  detail: string | readonly string[],
  link?: Link,
) {
  const page = toPage(visit)
  return respond(
    visit,
    <Layout page={page} title={title}>
      <MessageBody page={page} title={title} detail={detail} link={link} />
    </Layout>,
    status,
  )
}

/**
 * 422: what of the address was not understood, and so not applied. Nothing is shown without it, for a
 * list that ignores a filter looks like one that has it. The way out is the same address without those
 * parts.
 */
export function respondNotUnderstood(visit: Visit, problems: readonly Problem[]) {
  const given = readParams(visit)
  const rest = readParams(visit)
  for (const { name } of problems) rest.delete(name)
  const { path } = visit.c.req
  const without = rest.size > 0 ? `${path}?${rest}` : path
  const sentences = problems.map(({ name, detail }) => {
    const value = given.getAll(name).join(', ')
    return `${name.slice(0, 64)}: ${detail.replace(/[^?]$/, '$&.')} “${value.slice(0, 100)}” was not applied.`
  })
  const link = { href: without, text: 'Show the page without it' }
  return respondMessage(visit, 422, 'Part of this address was not understood', sentences, link)
}

/** The parameters of an address that a page does not have, or has once. */
export function findUnknown(visit: Visit, known: readonly string[]): Problem[] {
  const given = readParams(visit)
  const all = [...known, 'site', 'theme']
  return [...new Set(given.keys())].flatMap((name) => {
    if (!all.includes(name)) return [{ name, detail: describeUnknown(name, all) }]
    const isRepeated = !repeatable.includes(name) && given.getAll(name).length > 1
    return isRepeated ? [{ name, detail: 'is given more than once' }] : []
  })
}

const repeatable = ['status', 'flag']
