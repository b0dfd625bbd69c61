import { type Context, Hono, type MiddlewareHandler } from 'hono'
import { bodyLimit } from 'hono/body-limit'
import { count } from '../../../views/format.ts'
import { OnwardPage, SignInPage } from '../../../views/pages/sign-in.tsx'
import { withQuery } from '../../../views/urls.ts'
import { AppError } from '../../core/errors.ts'
import { tokenOf } from '../../platform/auth.ts'
import { version } from '../../platform/version.ts'
import { type Access, addressOf, isFromOurPages, ownPath } from '../access.ts'
import { assetUrls } from '../assets.ts'
import { htmlOf, type Routes } from '../respond.ts'
import { type Dashboard, themeOf } from '../visit.ts'

/** A form of one token. */
const mostBytes = 16_384

/** `/sign-in` and `/sign-out`, which everybody may ask for. */
export function signInRoutes({ dashboard }: Routes): Hono {
  const { door } = dashboard
  return new Hono()
    .get('/sign-in', async (c) => {
      const next = ownPath(c.req.query('next'))
      return door.visitor(c) ? c.redirect(next, 303) : form(c, next)
    })
    .post('/sign-in', bodyLimit({ maxSize: mostBytes, onError: tooLarge }), (c) =>
      signIn(c, dashboard),
    )
    .post('/sign-out', async (c) => {
      if (!isFromOurPages(c)) return foreign(c)
      door.signOut(c)
      return c.redirect('/sign-in', 303)
    })
}

/** Lets nobody pass without a token or a session; a browser is led to the sign-in page. */
export function guard(door: Access): MiddlewareHandler {
  return async (c, next) => {
    const visitor = door.visitor(c)
    if (!visitor) return turnAway(c)
    if (visitor.kind === 'session') door.renew(c)
    return next()
  }
}

async function signIn(c: Context, { door, log }: Dashboard): Promise<Response> {
  if (!isFromOurPages(c)) return foreign(c)
  const given = await c.req.parseBody().catch(() => ({}) as Record<string, unknown>)
  const textOf = (name: string) => (typeof given[name] === 'string' ? given[name].trim() : '')
  const next = ownPath(textOf('next'))
  const waitS = door.tooSoonS(c)
  if (waitS > 0) {
    c.header('Retry-After', String(waitS))
    return form(c, next, `Too many tries. Wait ${count(waitS, 'second')}, then try again.`, 429)
  }
  const result = door.signIn(c, textOf('token').replace(/^Bearer\s+/i, ''))
  if (typeof result === 'string') {
    log.warn({ address: addressOf(c), reason: result }, 'sign-in refused')
    c.header('WWW-Authenticate', 'Bearer realm="wafermon"')
    return form(c, next, refusals[result], result === 'unknown' ? 401 : 403)
  }
  log.info({ address: addressOf(c), token: result.id }, 'signed in')
  return c.redirect(next, 303)
}

const refusals = {
  unknown: 'There is no such token. Paste all of it, from wfm_ to the end.',
  forbidden: 'This token lacks the scope read, which the pages need.',
}

const foreign = (c: Context) =>
  form(c, '/', 'That form was not sent from this dashboard. Try again here.', 403)

const tooLarge = (c: Context) => form(c, '/', 'That is too long for a token.', 413)

type Status = 200 | 401 | 403 | 413 | 429

function form(c: Context, next: string, problem?: string, status: Status = 200) {
  const theme = themeOf(c)
  const view = { theme, assets: assetUrls, version, next, problem }
  return htmlOf(c, SignInPage(view), status)
}

function turnAway(c: Context): Response | Promise<Response> {
  const wantsPage = c.req.method === 'GET' && (c.req.header('accept') ?? '').includes('text/html')
  if (tokenOf(c) !== undefined || c.req.header('hx-request') !== undefined || !wantsPage) {
    c.header('WWW-Authenticate', 'Bearer realm="wafermon"')
    throw new AppError(
      'unauthorized',
      'a token with scope read is needed: sign in at /sign-in, or send it as Authorization: Bearer TOKEN',
      { field: 'authorization' },
    )
  }
  const { pathname, search } = new URL(c.req.url)
  const here = ownPath(pathname + search)
  // The session is not sent along when a link in a mail or a chat is followed. It is when the
  // page that came of it asks once more, since then it is us who ask.
  if (c.req.header('sec-fetch-site') === 'cross-site') {
    c.header('Refresh', `0;url=${here}`)
    return htmlOf(c, OnwardPage({ theme: themeOf(c), assets: assetUrls, here }))
  }
  c.header('Cache-Control', 'no-store')
  return c.redirect(withQuery('/sign-in', { next: here === '/' ? undefined : here }), 303)
}
