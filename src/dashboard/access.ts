import type { Context } from 'hono'
import { deleteCookie, getCookie, setCookie } from 'hono/cookie'
import { must } from '../core/must.ts'
import { toNetwork } from '../platform/address.ts'
import { type Auth, includes, type Known, type Scope, tokenFromRequest } from '../platform/auth.ts'
import { RateLimit } from '../platform/rate-limit.ts'
import { Sessions, sessionS } from '../platform/session.ts'

export type AccessOptions = {
  auth: Auth
  /** Part of every session; see Sessions. */
  secret: string
  /** Cookies ignore ports: the port in their name keeps the dashboards of one host apart. */
  port: number
  now?: () => number
}

/**
 * A visitor who may see the pages: without a token where none is needed, or with one, known by its id,
 * sent along or exchanged for a session. Who has one is never anonymous.
 */
export type Visitor = ({ kind: 'anonymous' } | { kind: 'token' | 'session'; id: string }) & {
  /** May change what the plant's data says, such as accept a loss. */
  mayOperate?: boolean
}

/** Decides who may see the pages. A browser cannot send a token by itself, so it gets a session. */
export class Access {
  readonly #auth: Auth
  readonly #sessions: Sessions
  readonly #attempts: RateLimit
  readonly #cookie: string

  constructor({ auth, secret, port, now }: AccessOptions) {
    this.#auth = auth
    this.#sessions = new Sessions(auth, secret, now)
    this.#attempts = new RateLimit({
      most: 10,
      everyMs: 6000,
      callers: 1000,
      ...(now ? { now } : {}),
    })
    this.#cookie = `wafermon_session_${port}`
  }

  /** Undefined for a visitor who may not see the pages. */
  identify(c: Context): Visitor | undefined {
    return this.#identify(c)?.visitor
  }

  /**
   * The same, once for a request: {@link readVisitor} has it from then on. A browser gets a new session when
   * its own is more than a day old.
   */
  admit(c: Context): Visitor | undefined {
    const found = this.#identify(c)
    if (found?.renew) this.#give(c, found.renew)
    if (found) c.set('visitor', found.visitor)
    return found?.visitor
  }

  #identify(c: Context): { visitor: Visitor; renew?: Known | undefined } | undefined {
    const token = tokenFromRequest(c)
    const session = token === undefined ? this.#session(c) : undefined
    const entry = token === undefined ? session?.entry : this.#auth.find(token)
    const allows = (scope: Scope) =>
      this.#auth.isOpen(scope) || (entry !== undefined && includes(entry.scopes, scope))
    if (!allows('read')) return undefined
    const mayOperate = allows('operate')
    if (entry === undefined) return { visitor: { kind: 'anonymous', mayOperate } }
    const kind = session ? 'session' : 'token'
    return {
      visitor: { kind, id: entry.id, mayOperate },
      renew: session?.renew ? entry : undefined,
    }
  }

  /** Counts an attempt to sign in. @returns 0, or the seconds until the next one is allowed */
  countAttempt = (c: Context): number => this.#attempts.take(toNetwork(readAddress(c)))

  /** Gives the browser a session when the token may see the pages. @returns the token's id then */
  signIn(c: Context, token: string): { id: string } | 'unknown' | 'forbidden' {
    const entry = this.#auth.find(token)
    if (!entry) return 'unknown'
    if (!includes(entry.scopes, 'read')) return 'forbidden'
    this.#give(c, entry)
    return { id: entry.id }
  }

  /** Gives the browser a session for an invitation. @returns the token's id; undefined when it is no good */
  accept(c: Context, invitation: string): { id: string } | undefined {
    const entry = this.#sessions.redeem(invitation)
    if (!entry || !includes(entry.scopes, 'read')) return undefined
    this.#give(c, entry)
    return { id: entry.id }
  }

  signOut(c: Context): void {
    deleteCookie(c, this.#cookie, { path: '/', secure: isTls(c) })
  }

  #session(c: Context) {
    const session = getCookie(c, this.#cookie)
    const found = session === undefined ? undefined : this.#sessions.find(session)
    return found && includes(found.entry.scopes, 'read') ? found : undefined
  }

  #give(c: Context, entry: Known): void {
    setCookie(c, this.#cookie, this.#sessions.open(entry), {
      path: '/',
      httpOnly: true,
      sameSite: 'Strict',
      secure: isTls(c),
      maxAge: sessionS,
    })
  }
}

/** The visitor of a page, once {@link Access.admit} has let it pass. */
export const readVisitor = (c: Context): Visitor =>
  must(c.get('visitor') as Visitor | undefined, 'pages are behind the guard')

/** A proxy that terminates TLS says so; a client that lies only makes its own cookie stricter. */
const isTls = (c: Context) =>
  new URL(c.req.url).protocol === 'https:' || c.req.header('x-forwarded-proto') === 'https'

/** The address a request comes from, as the socket has it. */
export function readAddress(c: Context): string {
  const { incoming } = (c.env ?? {}) as { incoming?: { socket?: { remoteAddress?: string } } }
  return incoming?.socket?.remoteAddress ?? 'unknown'
}

/**
 * True when a form was sent from one of our own pages. Browsers say so in `Sec-Fetch-Site`, or, at a
 * plain-HTTP address of another machine, only in `Origin`.
 */
export function isFromOurPages(c: Context): boolean {
  const site = c.req.header('sec-fetch-site')
  if (site !== undefined) return site === 'same-origin'
  const origin = c.req.header('origin') ?? ''
  return URL.canParse(origin) && new URL(origin).host === c.req.header('host')
}

/** The path of a page of this dashboard to continue with; the first page for everything else. */
export function toOwnPath(next: string | undefined): string {
  const base = 'http://own.invalid'
  if (!next?.startsWith('/') || next.length > 4000 || !URL.canParse(next, base)) return '/'
  const { origin, pathname, search } = new URL(next, base)
  // `//host` and `/\host` lead elsewhere, and browsers drop tabs and line ends before they parse.
  const own = origin === base && !pathname.startsWith('//') && !pathname.startsWith('/sign-')
  return own ? pathname + search : '/'
}
