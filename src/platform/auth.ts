import { createHash, randomBytes, timingSafeEqual } from 'node:crypto'
import { appendFileSync, readFileSync, statSync } from 'node:fs'
import type { Context, MiddlewareHandler } from 'hono'
import { AppError, ConfigError } from '../core/errors.ts'
import { must } from '../core/must.ts'
import type { Sender } from '../core/sender.ts'
import { siteIdPattern } from '../core/site-id.ts'

/** The scopes of tokens. `admin` includes all; `operate` includes `read`, and `forward` `ingest`. */
export const scopes = ['ingest', 'read', 'forward', 'operate', 'admin'] as const
export type Scope = (typeof scopes)[number]

/** What a token may send: events of these sites, stamps of these spools. Empty: of any. */
export type Bounds = { sites: readonly string[]; sources: readonly string[] }

type Entry = { id: string; hash: Buffer; scopes: readonly Scope[] } & Bounds
/** A token of the file, as code outside this file sees it: not to be changed, not to be shown. */
export type Known = Readonly<Entry>

/**
 * The tokens file: a line per token, `ID SCOPE[,SCOPE] SHA256 [NOTE]`. Among the scopes stand the bounds
 * of what it may send, `site=ID` and `source=ID`. It holds hashes only. The
 * tokens are 256 random bits, so a plain SHA-256 is as hard to reverse as the token is to guess; a
 * slow password hash would only cost time on every request.
 */
export function newToken(
  file: string,
  wanted: readonly Scope[],
  note = '',
  { sites, sources }: Bounds = { sites: [], sources: [] },
): string {
  const token = makeToken()
  const id = randomBytes(4).toString('hex')
  const bounds = [...sites.map((one) => `site=${one}`), ...sources.map((one) => `source=${one}`)]
  const allows = [...wanted, ...bounds].join(',')
  // Synced: it is shown once, and must not be lost after that.
  const options = { mode: 0o600, flush: true }
  appendFileSync(file, `${toTokenLine({ id, allows, token, note })}\n`, options)
  return token
}

export const makeToken = (): string => `wfm_${randomBytes(32).toString('base64url')}`

/** What {@link makeToken} makes. */
export const tokenPattern = /^wfm_[\w-]{43}$/

type TokenLine = { id: string; allows: string; token: string; note: string }

/** A line of the tokens file. @param allows scopes and bounds, with commas between */
export function toTokenLine({ id, allows, token, note }: TokenLine): string {
  const line = [id, allows, hashOf(token).toString('hex'), note.replaceAll(/\s+/g, ' ')]
  return line.join(' ').trim()
}

const hashOf = (token: string) => createHash('sha256').update(token).digest()

function parseTokens(file: string): Entry[] {
  const lines = readFileSync(file, 'utf8').split('\n')
  return lines.flatMap((line, index) => {
    const trimmed = line.trim()
    if (trimmed === '' || trimmed.startsWith('#')) return []
    const [id, scopeList = '', hash = ''] = trimmed.split(/\s+/)
    const allows = readAllows(scopeList)
    if (!allows || !/^[0-9a-f]{64}$/.test(hash)) {
      throw new ConfigError(
        `TOKENS_FILE: line ${index + 1} of ${file} must read ID SCOPE[,SCOPE] SHA256; add tokens with: wafermon token new --scope read`,
      )
    }
    return [{ id: id!, hash: Buffer.from(hash, 'hex'), ...allows }]
  })
}

/** Ids of sources as spools make them; others cannot stand in the file. */
export const sourcePattern = /^[A-Za-z0-9._:-]{1,128}$/

/** The scopes and bounds of a line; undefined when it has none, or any that is unknown. */
function readAllows(list: string): Omit<Entry, 'id' | 'hash'> | undefined {
  const words = list.split(',')
  const valuesOf = (name: string) =>
    words.flatMap((word) => (word.startsWith(name) ? [word.slice(name.length)] : []))
  const [sites, sources] = [valuesOf('site='), valuesOf('source=')]
  const named = words.filter((word) => !word.includes('='))
  const fits =
    named.length > 0 &&
    named.length + sites.length + sources.length === words.length &&
    named.every((scope) => (scopes as readonly string[]).includes(scope)) &&
    sites.every((site) => siteIdPattern.test(site)) &&
    sources.every((source) => sourcePattern.test(source))
  return fits ? { scopes: named as Scope[], sites, sources } : undefined
}

export type AuthOptions = {
  tokensFile?: string | undefined
  anonymous: readonly Scope[]
  /** Called when the file can no longer be used and the last tokens are kept, and with undefined when it can. */
  onTrouble?: (trouble: string | undefined) => void
}

/** Who sent a request. */
export type Caller = {
  /** The entry of its token; undefined without one that is known. */
  token: Known | undefined
  /** What it may say about events. */
  sender: Sender
}

/** Of a role without a tokens file. */
const anyone: Caller = { token: undefined, sender: { mayForward: true } }

/** Anonymous callers may say only what is theirs. */
function toSender(entry: Known | undefined): Sender {
  if (!entry) return { mayForward: false }
  return {
    mayForward: includes(entry.scopes, 'forward'),
    sites: entry.sites.length > 0 ? entry.sites : undefined,
    sources: entry.sources.length > 0 ? entry.sources : undefined,
  }
}

/** The permissions of callers of one role. Without a tokens file every caller may do everything. */
export class Auth {
  readonly #file: string | undefined
  readonly #anonymous: readonly Scope[]
  readonly #onTrouble: AuthOptions['onTrouble']
  #entries: Entry[] = []
  #readAt = ''
  #trouble: string | undefined

  constructor({ tokensFile, anonymous, onTrouble }: AuthOptions) {
    this.#file = tokensFile
    this.#anonymous = anonymous
    this.#onTrouble = onTrouble
    if (tokensFile) this.#refresh(tokensFile)
  }

  get enabled(): boolean {
    return this.#file !== undefined
  }

  /**
   * Finds the token's entry. Every entry is compared, each in constant time, so that the time taken
   * reveals nothing about which tokens exist.
   */
  find(token: string): Known | undefined {
    if (this.#file) this.#refresh(this.#file)
    const hash = hashOf(token)
    let found: Entry | undefined
    for (const entry of this.#entries) if (timingSafeEqual(entry.hash, hash)) found = entry
    return found
  }

  /** The entries with an id; usually one. */
  withId(id: string): Known[] {
    if (this.#file) this.#refresh(this.#file)
    return this.#entries.filter((entry) => entry.id === id)
  }

  /** True when what the scope allows needs no token. */
  isOpen(scope: Scope): boolean {
    return !this.enabled || this.#anonymous.includes(scope)
  }

  /**
   * Judges a request once: everything else that depends on who sent it takes the caller from here.
   *
   * @param authorization reads that header; not called where there are no tokens
   * @throws AppError unauthorized without a known token, where the scope needs one; forbidden when the
   * token lacks the scope
   */
  admit(scope: Scope, authorization: () => string | undefined): Caller {
    if (!this.enabled) return anyone
    const token = readToken(authorization())
    const entry = token === undefined ? undefined : this.find(token)
    if (!this.isOpen(scope)) {
      if (!entry) throw unauthorized(scope)
      if (!includes(entry.scopes, scope)) throw lacking(scope)
    }
    return { token: entry, sender: toSender(entry) }
  }

  /** A new or revoked token counts immediately: the file is read again when it has changed. */
  #refresh(file: string): void {
    try {
      const { mtimeMs, size, ino } = statSync(file)
      const stamp = `${mtimeMs} ${size} ${ino}`
      if (stamp !== this.#readAt) this.#entries = parseTokens(file)
      this.#readAt = stamp
      this.#tell(undefined)
    } catch (error) {
      const found = error instanceof ConfigError ? error : unreadable(file, error)
      // When the file becomes unreadable or wrong while the role runs, the last tokens are kept.
      if (this.#readAt === '') throw found
      this.#tell(found.message)
    }
  }

  #tell(trouble: string | undefined): void {
    if (trouble === this.#trouble) return
    this.#trouble = trouble
    this.#onTrouble?.(trouble)
  }
}

function unreadable(file: string, error: unknown): ConfigError {
  if ((error as NodeJS.ErrnoException).code === 'EISDIR') {
    return new ConfigError(`TOKENS_FILE: ${file} is a folder; name a file in it`)
  }
  return new ConfigError(
    `TOKENS_FILE: cannot read ${file}; create it, as the user who runs this role, with: wafermon token new --scope read --file ${file}`,
  )
}

/** True when these scopes allow what the wanted one allows. */
export function includes(held: readonly Scope[], wanted: Scope): boolean {
  if (held.includes('admin') || held.includes(wanted)) return true
  if (wanted === 'ingest') return held.includes('forward')
  return wanted === 'read' && held.includes('operate')
}

const unauthorized = (scope: Scope) =>
  new AppError(
    'unauthorized',
    `a token with scope ${scope} is required: send it as Authorization: Bearer TOKEN`,
    { field: 'authorization' },
  )

const lacking = (scope: Scope) =>
  new AppError('forbidden', `this token lacks the scope ${scope}`, { field: 'authorization' })

/** Admits a request by its token, and keeps its caller for {@link readCaller}. */
export function requireScope(auth: Auth, scope: Scope): MiddlewareHandler {
  return async (c, next) => {
    c.set(
      'caller',
      auth.admit(scope, () => c.req.header('authorization')),
    )
    await next()
  }
}

/** The caller of a route that has a scope. */
export const readCaller = (c: Context): Caller =>
  must(c.get('caller') as Caller | undefined, 'the route has a scope')

/** The caller as the audit names it: the id of its token, never the token; or that it needs none. */
export const nameCaller = ({ token }: Caller): string => (token ? `token ${token.id}` : 'anonymous')

/**
 * The token that a caller sends. Never from a cookie: a browser sends those to every port of a
 * host, for requests of any page, so an API must not act on them.
 */
export const tokenFromRequest = (c: Context): string | undefined =>
  readToken(c.req.header('authorization'))

const readToken = (header: string | undefined) =>
  header === undefined ? undefined : /^Bearer\s+(\S+)$/i.exec(header)?.[1]

const loopback = /^(127\.\d+\.\d+\.\d+|::1|localhost)$/

/**
 * Refuses to open a role to the network without tokens.
 *
 * @throws ConfigError that says how to make a token, or how to insist
 */
export function refuseOpenDoor(host: string, auth: Auth, insecure: boolean): void {
  if (auth.enabled || insecure || loopback.test(host)) return
  throw new ConfigError(
    `HOST: ${host} is reachable from other machines, and there are no tokens. Create one with
    wafermon token new --scope ingest --file TOKENS_FILE
  and set TOKENS_FILE, or start with --insecure to let every caller in.`,
  )
}
