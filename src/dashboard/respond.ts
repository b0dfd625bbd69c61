import type { Context } from 'hono'
import type { ContentfulStatusCode } from 'hono/utils/http-status'
import { MessagePage } from '../../views/pages/message.tsx'
import { AppError } from '../core/errors.ts'
import { statusOf } from '../platform/problem.ts'
import { sentence } from './model/error-text.ts'
import { type Dashboard, pageOf, type Visit, visitOf } from './visit.ts'

/** What each file of routes is given. */
export type Routes = { dashboard: Dashboard }

/**
 * No script, style, image or connection but our own, no inline code, no frame around us, and forms
 * lead nowhere else.
 */
const policy = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self'",
  "img-src 'self'",
  "connect-src 'self'",
  "form-action 'self'",
  "base-uri 'none'",
  "frame-ancestors 'none'",
].join('; ')

type Rendered = { toString(): string | Promise<string> }
type Status = 200 | 404 | 422 | 500 | 503

/** How soon a page that has nothing to show for want of the API asks again, in seconds. */
const againS = 10

/** An answer in HTML, under the policy of the pages. */
export function html(visit: Visit, content: Rendered, status: Status = 200): Promise<Response> {
  const { c } = visit
  if (status === 503) {
    c.header('Retry-After', '5')
    // Also without script. There is nothing on the page that could be lost.
    c.header('Refresh', String(againS))
  }
  return htmlOf(c, content, status)
}

export async function htmlOf(
  c: Context,
  content: Rendered,
  status: ContentfulStatusCode = 200,
): Promise<Response> {
  c.header('Content-Security-Policy', policy)
  c.header('Vary', 'Cookie')
  // Our own forms have to be known by their origin, which no-referrer would take from them.
  c.header('Referrer-Policy', 'same-origin')
  return c.html(content.toString(), status)
}

/** Finds the site that a request is about, and turns what fails into a page that says so. */
export async function visited(
  dashboard: Dashboard,
  c: Context,
  answer: (visit: Visit) => Promise<Response>,
): Promise<Response> {
  const wanted = c.req.query('site')
  const site = dashboard.site(wanted)
  const visit = visitOf(dashboard, c, site ?? dashboard.site(undefined)!)
  if (!site) return message(visit, 404, 'No such site', `There is no site ${wanted} here.`)
  try {
    return await answer(visit)
  } catch (error) {
    return failed(visit, error)
  }
}

function failed(visit: Visit, error: unknown): Promise<Response> {
  if (error instanceof AppError && statusOf[error.code] < 500) {
    const status = error.code === 'not_found' ? 404 : 422
    return message(visit, status, 'This cannot be shown', sentence(error.message))
  }
  visit.dashboard.log.error({ error, path: visit.c.req.path }, 'page failed')
  return message(visit, 500, 'This page failed', 'The log of the web role says why.')
}

export function message(visit: Visit, status: Status, title: string, detail: string) {
  return html(visit, MessagePage({ page: pageOf(visit), title, detail }), status)
}
