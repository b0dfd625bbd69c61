import { type Context, Hono, type MiddlewareHandler } from 'hono'
import { bodyLimit } from 'hono/body-limit'
import type { Logger } from 'pino'
import { count } from '../../../views/format.ts'
import { OnwardPage, SignInPage } from '../../../views/pages/sign-in.tsx'
import { withQuery } from '../../../views/urls.ts'
import { AppError } from '../../core/errors.ts'
import { tokenFromRequest } from '../../platform/auth.ts'
import { logSparsely } from '../../platform/sparse-log.ts'
import { version } from '../../platform/version.ts'
import { type Access, isFromOurPages, readAddress, toOwnPath, type Visitor } from '../access.ts'
import { assetUrls } from '../assets.ts'
import { respondHtml } from '../respond.tsx'
import { type Dashboard, readTheme } from '../visit.ts'

/** Maximum size of the form, which holds one token. */
const mostBytes = 16_384

/** `/sign-in` and `/sign-out`, which need no token. */
export function signInRoutes(dashboard: Dashboard): Hono {
  const { access } = dashboard
  return new Hono()
    .get('/sign-in', async (c) => {
      const next = toOwnPath(c.req.query('next'))
      const scope = readScope(c)
      if (hasEnough(access.identify(c), scope)) return c.redirect(next, 303)
      const invitation = c.req.query('once')
      // A look at the headers alone must not use it up.
      if (invitation === undefined || c.req.method !== 'GET') return form(c, next, { scope })
      return acceptInvitation(c, dashboard, invitation, next)
    })
    .post('/sign-in', bodyLimit({ maxSize: mostBytes, onError: tooLarge }), (c) =>
      signIn(c, dashboard),
    )
    .post('/sign-out', async (c) => {
      if (!isFromOurPages(c)) return foreign(c)
      access.signOut(c)
      return c.redirect('/sign-in', 303)
    })
}

/** What the token has to allow: a link to this page says so where more than reading is needed. */
const readScope = (c: Context) => (c.req.query('scope') === 'operate' ? 'operate' : 'read')

/** True for a visitor whom a token would give nothing more. Where reading is open, it may. */
const hasEnough = (visitor: Visitor | undefined, scope: 'read' | 'operate'): boolean =>
  visitor !== undefined &&
  (visitor.mayOperate === true || (scope === 'read' && visitor.kind !== 'anonymous'))

/** Requires a token or a session; a browser is led to the sign-in page. */
export function guard(access: Access): MiddlewareHandler {
  return async (c, next) => {
    return access.admit(c) ? next() : turnAway(c)
  }
}

function acceptInvitation(
  c: Context,
  { access, log }: Dashboard,
  invitation: string,
  next: string,
) {
  const waitS = access.countAttempt(c)
  if (waitS > 0) return tooOften(c, next, waitS)
  const accepted = access.accept(c, invitation)
  if (!accepted) {
    refused(c, log, 'invitation')
    const problem =
      'This link was used, or is over an hour old. Paste a token, or start wafermon again.'
    return form(c, next, { problem, status: 401 })
  }
  log.info({ address: readAddress(c), token: accepted.id }, 'signed in by link')
  c.header('Cache-Control', 'no-store')
  return c.redirect(next, 303)
}

function tooOften(c: Context, next: string, waitS: number) {
  c.header('Retry-After', String(waitS))
  const problem = `Too many attempts. Wait ${count(waitS, 'second')}, then try again.`
  return form(c, next, { problem, status: 429 })
}

function refused(c: Context, log: Logger, reason: string): void {
  const fields = { address: readAddress(c), reason }
  logSparsely(log, 'sign-in', { level: 'warn', fields, event: 'sign-in refused' })
  c.header('WWW-Authenticate', 'Bearer realm="wafermon"')
}

async function signIn(c: Context, { access, log }: Dashboard): Promise<Response> {
  if (!isFromOurPages(c)) return foreign(c)
  const given = await c.req.parseBody().catch(() => ({}) as Record<string, unknown>)
  const textOf = (name: string) => (typeof given[name] === 'string' ? given[name].trim() : '')
  const next = toOwnPath(textOf('next'))
  const waitS = access.countAttempt(c)
  if (waitS > 0) return tooOften(c, next, waitS)
  const result = access.signIn(c, textOf('token').replace(/^Bearer\s+/i, ''))
  if (typeof result === 'string') {
    refused(c, log, result)
    const status = result === 'unknown' ? 401 : 403
    return form(c, next, { problem: refusals[result], status })
  }
  log.info({ address: readAddress(c), token: result.id }, 'signed in')
  return c.redirect(next, 303)
}

const refusals = {
  unknown: 'Unknown token. Paste all of it, from wfm_ to the end.',
  forbidden: 'This token lacks the scope read, which the dashboard requires.',
}

const foreign = (c: Context) =>
  form(c, '/', {
    problem: 'The form was not sent from this dashboard. Try again here.',
    status: 403,
  })

const tooLarge = (c: Context) =>
  form(c, '/', { problem: 'This is too long to be a token.', status: 413 })

type Form = {
  problem?: string
  status?: 200 | 401 | 403 | 413 | 429
  scope?: 'read' | 'operate'
}

function form(c: Context, next: string, { problem, status = 200, scope = 'read' }: Form) {
  const theme = readTheme(c)
  const view = { theme, assets: assetUrls, version, next, problem, scope }
  return respondHtml(c, SignInPage(view), status)
}

function turnAway(c: Context): Response | Promise<Response> {
  const wantsPage = c.req.method === 'GET' && (c.req.header('accept') ?? '').includes('text/html')
  if (tokenFromRequest(c) !== undefined || c.req.header('hx-request') !== undefined || !wantsPage) {
    c.header('WWW-Authenticate', 'Bearer realm="wafermon"')
    throw new AppError(
      'unauthorized',
      'a token with the scope read is required: sign in at /sign-in, or send Authorization: Bearer TOKEN',
      { field: 'authorization' },
    )
  }
  const { pathname, search } = new URL(c.req.url)
  const here = toOwnPath(pathname + search)
  // Browsers do not send the session when a link in a mail or a chat is followed. They do send it
  // when our own page then reloads.
  if (c.req.header('sec-fetch-site') === 'cross-site') {
    c.header('Refresh', `0;url=${here}`)
    return respondHtml(c, OnwardPage({ theme: readTheme(c), assets: assetUrls, here }))
  }
  c.header('Cache-Control', 'no-store')
  return c.redirect(withQuery('/sign-in', { next: here === '/' ? undefined : here }), 303)
}
