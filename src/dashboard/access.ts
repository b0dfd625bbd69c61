import type { Context } from 'hono'
import { deleteCookie, getCookie, setCookie } from 'hono/cookie'
import { type Auth, includes, type Known, tokenOf } from '../platform/auth.ts'
import { RateLimit } from '../platform/rate-limit.ts'
import { Sessions, sessionS } from '../platform/session.ts'

export type DoorOptions = {
  auth: Auth
  /** Goes into every session; see Sessions. */
  secret: string
  /** Cookies know no ports: this keeps the dashboards of one host apart. */
  port: number
  now?: () => number
}

/** Whoever may see the pages: anybody, a program with a token, or somebody who signed in. */
export type Visitor = { kind: 'anybody' | 'token' } | { kind: 'session'; id: string }

/** Who may see the pages, and how a browser, which cannot send a token by itself, is let in. */
export class Access {
  readonly #auth: Auth
  readonly #sessions: Sessions
  readonly #tries: RateLimit
  readonly #cookie: string

  constructor({ auth, secret, port, now = Date.now }: DoorOptions) {
    this.#auth = auth
    this.#sessions = new Sessions(auth, secret, now)
    this.#tries = new RateLimit({ most: 10, everyMs: 6000, callers: 1000, now })
    this.#cookie = `wafermon_session_${port}`
  }

  /** Undefined for whoever may not. */
  visitor(c: Context): Visitor | undefined {
    if (this.#auth.isOpen('read')) return { kind: 'anybody' }
    const token = tokenOf(c)
    if (token !== undefined) {
      return this.#auth.allows(token, 'read') === 'yes' ? { kind: 'token' } : undefined
    }
    const found = this.#session(c)
    return found && { kind: 'session', id: found.entry.id }
  }

  /** Gives the browser a new session when the one it has is not of today. */
  renew(c: Context): void {
    const found = this.#session(c)
    if (found?.renew) this.#give(c, found.entry)
  }

  /** Counts a try to sign in. @returns 0, or after how many seconds the next one is allowed */
  tooSoonS = (c: Context): number => this.#tries.take(addressOf(c))

  /** Gives the browser a session when the token opens the pages. @returns the token's id then */
  signIn(c: Context, token: string): { id: string } | 'unknown' | 'forbidden' {
    const entry = this.#auth.find(token)
    if (!entry) return 'unknown'
    if (!includes(entry.scopes, 'read')) return 'forbidden'
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

/** A proxy that ends TLS says so; who lies about it only makes his own cookie stricter. */
const isTls = (c: Context) =>
  new URL(c.req.url).protocol === 'https:' || c.req.header('x-forwarded-proto') === 'https'

/** Where a request comes from, as far as the socket knows. */
export function addressOf(c: Context): string {
  const { incoming } = (c.env ?? {}) as { incoming?: { socket?: { remoteAddress?: string } } }
  return incoming?.socket?.remoteAddress ?? 'unknown'
}

/**
 * Whether a form was sent from one of our own pages. Browsers say it in `Sec-Fetch-Site`, and in
 * `Origin` where they do not (a plain-HTTP address that is not this machine).
 */
export function isFromOurPages(c: Context): boolean {
  const site = c.req.header('sec-fetch-site')
  if (site !== undefined) return site === 'same-origin'
  const origin = c.req.header('origin') ?? ''
  return URL.canParse(origin) && new URL(origin).host === c.req.header('host')
}

/** The path of a page of ours to go on to; the first page for everything else. */
export function ownPath(next: string | undefined): string {
  const base = 'http://own.invalid'
  if (!next?.startsWith('/') || next.length > 4000 || !URL.canParse(next, base)) return '/'
  const { origin, pathname, search } = new URL(next, base)
  // `//host` and `/\host` lead elsewhere, and a browser drops tabs and line ends before it looks.
  const own = origin === base && !pathname.startsWith('//') && !pathname.startsWith('/sign-')
  return own ? pathname + search : '/'
}
