import { isIPv4, isIPv6 } from 'node:net'
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
    return this.#names.has(name) || isAddress(name) || isLocal.test(name)
  }

  /** A proxy may ask us by another name than the one that the browser shows. */
  #isOwnPage(origin: string, host: string | undefined): boolean {
    if (!URL.canParse(origin)) return false
    const url = new URL(origin)
    return url.host === host?.toLowerCase() || this.#configured.has(url.hostname)
  }
}

/** IPv4, or IPv6 in brackets as URLs have it. */
const isAddress = (name: string) => isIPv4(name) || isIPv6(/^\[(.+)\]$/.exec(name)?.[1] ?? '')

/** `localhost`, what is below it, and every other name without a dot. */
const isLocal = /^([a-z0-9_-]+|[a-z0-9_.-]+\.localhost)$/

/** The name of `name:port`, without the dot that ends a full name. */
const toName = (host: string) => host.toLowerCase().replace(/:\d*$/, '').replace(/\.$/, '')

/**
 * For a body that is read as JSON. A page may send plain text or a form to any address, and its browser
 * does not ask us first; for JSON it asks, and we do not allow it. A program that names no type at all is
 * taken at its body: a page that does so says where it comes from, see {@link Callers.checkOrigin}.
 *
 * @throws AppError unsupported_type that names the header to send
 */
export function checkJsonType(header: string | undefined): void {
  const [type = ''] = (header ?? '').split(';')
  const name = type.trim()
  if (name === '' || jsonType.test(name)) return
  throw new AppError(
    'unsupported_type',
    `Content-Type ${JSON.stringify(name.slice(0, 100))} is not JSON; send application/json, or application/x-ndjson for lines (curl: -H 'content-type: application/json')`,
    { field: 'content-type' },
  )
}

/** JSON, JSON by lines or in a sequence, and every format that says it is one: `application/cloudevents+json`. */
const jsonType = /^[a-z]+\/([\w.-]+\+)?(x-)?(json|ndjson|jsonl|json-?lines|json-seq)$/i
