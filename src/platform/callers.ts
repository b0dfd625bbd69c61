import { hostname } from 'node:os'
import { AppError } from '../core/errors.ts'

/*
 * Requests that a page in somebody's browser sends without knowing better. A role without tokens
 * believes every caller who reaches it, and a browser on the same machine or network reaches it for
 * every page that it shows. Two rules keep pages of others out, and no program:
 *
 * - By the name in `Host`: a page may have its own name resolve to our address (DNS rebinding), and
 *   then reads all answers as its own. The browser still sends that name. An address is no name, and
 *   names without a dot, as machines and containers have, are not for sale: only our own network
 *   resolves them.
 * - By `Sec-Fetch-Site` or `Origin`, for what changes something: a page may post a form or plain text
 *   to any address. Browsers say where such a request comes from, and no page can change that.
 */

/** Reads a header of the request, by its name in lower case. */
export type ReadHeader = (name: string) => string | undefined

export type CallersOptions = {
  /** Names by which the role is called, besides its own: ALLOWED_HOSTS. */
  names: readonly string[]
  /** HOST, which may be a name. */
  listensOn: string
  /** True when something is allowed without a token. */
  isOpen: boolean
}

/** The callers of one role, by the headers that a browser sets and no page can change. */
export class Callers {
  readonly #configured: ReadonlySet<string>
  readonly #names: ReadonlySet<string>
  readonly #checksHost: boolean

  constructor({ names, listensOn, isOpen }: CallersOptions) {
    this.#configured = new Set(names)
    this.#names = new Set([listensOn.toLowerCase(), hostname().toLowerCase(), ...names])
    // With tokens a page gets nothing: its browser has none to send, and sessions belong to a name.
    this.#checksHost = isOpen || names.length > 0
  }

  /**
   * @param host the header; undefined is a program, as every browser sends one
   * @throws AppError forbidden that names the setting to change
   */
  checkHost(host: string | undefined): void {
    if (!this.#checksHost || host === undefined || this.#isOurs(toName(host))) return
    throw new AppError(
      'forbidden',
      `this role is not called ${JSON.stringify(host.slice(0, 100))}; use its address or localhost, or add the name to ALLOWED_HOSTS`,
      { field: 'host' },
    )
  }

  /**
   * For a request that changes something.
   *
   * @throws AppError forbidden when it comes from a page of another origin
   */
  checkOrigin(header: ReadHeader): void {
    const site = header('sec-fetch-site')
    if (site === 'same-origin' || site === 'none') return
    const origin = header('origin')
    // Neither: a program. Browsers send `Origin` with every POST, and have for longer than the other.
    if (site === undefined && (origin === undefined || this.#isOwnPage(origin, header('host'))))
      return
    throw new AppError(
      'forbidden',
      'this request was sent by a page of another origin; only programs and our own pages may',
      { field: 'origin' },
    )
  }

  #isOurs(name: string): boolean {
    return this.#names.has(name) || isAddress.test(name) || isLocal.test(name)
  }

  /** A proxy may ask us by another name than the one that the browser shows. */
  #isOwnPage(origin: string, host: string | undefined): boolean {
    if (!URL.canParse(origin)) return false
    const url = new URL(origin)
    return url.host === host?.toLowerCase() || this.#configured.has(url.hostname)
  }
}

/** IPv4, or IPv6 in brackets as URLs have it. */
const isAddress = /^(\d{1,3}(\.\d{1,3}){3}|\[[0-9a-f:.]+\])$/

/** `localhost`, what is below it, and every other name without a dot. */
const isLocal = /^([a-z0-9_-]+|[a-z0-9_.-]+\.localhost)$/

/** The name of `name:port`, without the dot that ends a full name. */
const toName = (host: string) => host.toLowerCase().replace(/:\d*$/, '').replace(/\.$/, '')

/**
 * For a body that is read as JSON. Browsers send a page's request without asking first only when it
 * is plain text or a form, so from a page only JSON is taken. Programs are taken at their body: `fetch`
 * of Node.js names plain text unless it is told otherwise.
 *
 * @throws AppError unsupported_type
 */
export function checkJsonType(header: ReadHeader): void {
  const [type = ''] = (header('content-type') ?? '').split(';')
  const isFromPage = header('origin') !== undefined || header('sec-fetch-site') !== undefined
  if (!isFromPage || type.trim() === '' || /json/i.test(type)) return
  throw new AppError(
    'unsupported_type',
    `Content-Type ${JSON.stringify(type.trim().slice(0, 100))} is not JSON; send application/json or application/x-ndjson`,
    { field: 'content-type' },
  )
}
