import { createHash, randomBytes, timingSafeEqual } from 'node:crypto'
import { appendFileSync, readFileSync, statSync } from 'node:fs'
import type { Context, MiddlewareHandler } from 'hono'
import { AppError, ConfigError } from '../core/errors.ts'

/** The scopes of tokens. `admin` includes all; `operate` includes `read`. */
export const scopes = ['ingest', 'read', 'operate', 'admin'] as const
export type Scope = (typeof scopes)[number]

type Entry = { id: string; hash: Buffer; scopes: readonly Scope[] }
/** A token of the file, as code outside this file sees it: not to be changed, not to be shown. */
export type Known = Readonly<Entry>

/**
 * The tokens file: a line per token, `ID SCOPE[,SCOPE] SHA256 [NOTE]`. It holds hashes only. The
 * tokens are 256 random bits, so a plain SHA-256 is as hard to reverse as the token is to guess; a
 * slow password hash would only cost time on every request.
 */
export function newToken(file: string, wanted: readonly Scope[], note = ''): string {
  const token = `wfm_${randomBytes(32).toString('base64url')}`
  const id = randomBytes(4).toString('hex')
  const line = [id, wanted.join(','), hashOf(token).toString('hex'), note.replaceAll(/\s+/g, ' ')]
  appendFileSync(file, `${line.join(' ').trim()}\n`, { mode: 0o600 })
  return token
}

const hashOf = (token: string) => createHash('sha256').update(token).digest()

function parseTokens(file: string): Entry[] {
  const lines = readFileSync(file, 'utf8').split('\n')
  return lines.flatMap((line, index) => {
    const trimmed = line.trim()
    if (trimmed === '' || trimmed.startsWith('#')) return []
    const [id, scopeList = '', hash = ''] = trimmed.split(/\s+/)
    const named = scopeList.split(',')
    const known = named.every((scope) => (scopes as readonly string[]).includes(scope))
    if (!known || !/^[0-9a-f]{64}$/.test(hash)) {
      throw new ConfigError(
        `TOKENS_FILE: line ${index + 1} of ${file} must read ID SCOPE[,SCOPE] SHA256; add tokens with: wafermon token new --scope read`,
      )
    }
    return [{ id: id!, hash: Buffer.from(hash, 'hex'), scopes: named as Scope[] }]
  })
}

export type AuthOptions = {
  tokensFile?: string | undefined
  anonymous: readonly Scope[]
}

/** The permissions of callers of one role. Without a tokens file every caller may do everything. */
export class Auth {
  readonly #file: string | undefined
  readonly #anonymous: readonly Scope[]
  #entries: Entry[] = []
  #readAt = ''

  constructor({ tokensFile, anonymous }: AuthOptions) {
    this.#file = tokensFile
    this.#anonymous = anonymous
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

  allows(token: string | undefined, scope: Scope): 'yes' | 'unknown' | 'forbidden' {
    if (this.isOpen(scope)) return 'yes'
    const entry = token === undefined ? undefined : this.find(token)
    if (!entry) return 'unknown'
    return includes(entry.scopes, scope) ? 'yes' : 'forbidden'
  }

  /** A new or revoked token counts immediately: the file is read again when it has changed. */
  #refresh(file: string): void {
    let stamp: string
    try {
      const { mtimeMs, size, ino } = statSync(file)
      stamp = `${mtimeMs} ${size} ${ino}`
      if (stamp !== this.#readAt) this.#entries = parseTokens(file)
    } catch (error) {
      // When the file becomes unreadable or wrong while the role runs, the last tokens are kept.
      if (this.#readAt !== '') return
      if (error instanceof ConfigError) throw error
      throw new ConfigError(
        `TOKENS_FILE: cannot read ${file}; create it, as the user who runs this role, with: wafermon token new --scope read --file ${file}`,
      )
    }
    this.#readAt = stamp
  }
}

/** True when these scopes allow what the wanted one allows. */
export function includes(held: readonly Scope[], wanted: Scope): boolean {
  if (held.includes('admin') || held.includes(wanted)) return true
  return wanted === 'read' && held.includes('operate')
}

/** Lets a request pass when its token has the scope; 401 without a token, 403 without the scope. */
export function requireScope(auth: Auth, scope: Scope): MiddlewareHandler {
  return async (c, next) => {
    checkScope(auth, scope, () => c.req.header('authorization'))
    await next()
  }
}

/**
 * @param authorization reads that header; not called where no token is needed
 * @throws AppError unauthorized or forbidden
 */
export function checkScope(
  auth: Auth,
  scope: Scope,
  authorization: () => string | undefined,
): void {
  if (auth.isOpen(scope)) return
  const verdict = auth.allows(readToken(authorization()), scope)
  if (verdict === 'unknown') {
    throw new AppError(
      'unauthorized',
      `a token with scope ${scope} is required: send it as Authorization: Bearer TOKEN`,
      { field: 'authorization' },
    )
  }
  if (verdict === 'forbidden') {
    throw new AppError('forbidden', `this token lacks the scope ${scope}`, {
      field: 'authorization',
    })
  }
}

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
