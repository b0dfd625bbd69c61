import {
  type Agent,
  type ClientRequest,
  Agent as HttpAgent,
  request as httpRequest,
  type IncomingMessage,
} from 'node:http'
import { Agent as HttpsAgent, request as httpsRequest } from 'node:https'
import { clock } from './clock.ts'
import { Exchange, readWhole, streamBody } from './http-exchange.ts'
import { HttpFailure, isPermanentStatus } from './http-failure.ts'
import { activeTraceparent } from './tracing.ts'

/*
 * Outgoing HTTP: the one way in which sites, sinks and tools ask another process.
 *
 * Guarantees of every exchange, whatever the other side does:
 *
 *  1. One deadline covers all of it: name, connection, TLS, request, headers and the whole body. A
 *     streamed answer has the deadline until its headers, and then a longest silence.
 *  2. An answer read whole is at most `maxBytes`; a streamed one is read as fast as its reader takes
 *     it, and no faster.
 *  3. A redirect is not followed: it is a failure that says where it leads.
 *  4. No compressed answer is asked for, and one that comes nevertheless is a failure.
 *  5. A call ends with an answer (of any status but a redirect's), with an HttpFailure, or, when the caller's
 *     signal aborts, with the reason of that signal. `permanent` is true when waiting does not help.
 *  6. A half answer never passes for a whole one, as far as HTTP can tell them apart.
 *  7. Connections are kept and used again. When the other side closed such a connection just as a
 *     GET or HEAD was sent on it, that is asked once more on a new one.
 *  8. The trace that is active goes along as `traceparent`.
 */

export type TlsOptions = {
  /** Authorities to trust instead of the public ones, in PEM. */
  ca?: string | Buffer | undefined
  /** Certificate and key to show to the other side, in PEM. */
  cert?: string | Buffer | undefined
  key?: string | Buffer | undefined
  /** False: talk to anyone who answers. */
  rejectUnauthorized?: boolean | undefined
}

export type HttpClientOptions = {
  /** Put before every path, with any slash at its end cut off. */
  baseUrl: string
  /** Longest time for a whole exchange, in milliseconds. */
  timeoutMs: number
  /** Largest answer that is read whole, in bytes. */
  maxBytes: number
  /** Longest silence within a streamed answer, in milliseconds (default 45,000: three heartbeats). */
  maxSilenceMs?: number
  /** Longest wait that a `Retry-After` can ask for, in milliseconds (default 300,000). */
  maxRetryAfterMs?: number
  /** Sent with every request. */
  headers?: Readonly<Record<string, string>>
  tls?: TlsOptions
  /**
   * Where HTTP_PROXY, HTTPS_PROXY and NO_PROXY are looked up. Without it no proxy is used, unless the
   * operator switched them on for all of Node.js by NODE_USE_ENV_PROXY=1.
   */
  proxyEnv?: NodeJS.ProcessEnv | undefined
}

export type HttpRequest = {
  /** GET by default. */
  method?: 'GET' | 'HEAD' | 'POST' | 'PUT' | 'PATCH' | 'DELETE'
  /** Appended to the base address, with its query. */
  path: string
  headers?: Readonly<Record<string, string>>
  body?: string | Uint8Array
}

export type HttpHead = {
  status: number
  /** 2xx. */
  ok: boolean
  /** The status says that the same request would be refused again. */
  permanent: boolean
  /** By lower-case name; repeated ones are joined by a comma. */
  headers: Readonly<Record<string, string>>
  /** The wait that the other side asks for, capped; undefined when it asks for none. */
  retryAfterMs: number | undefined
}
/** An answer that was read whole. */
export type HttpAnswer = HttpHead & { body: Buffer }
/** An answer that is read as it comes; reading it may fail as the call itself may. */
export type HttpStream = HttpHead & { stream: ReadableStream<Uint8Array> }

export class HttpClient {
  /** The origin, for messages: the rest of an address may hold a secret. */
  readonly host: string
  readonly #options: HttpClientOptions
  readonly #base: URL
  readonly #agent: Agent
  #closed = false

  constructor(options: HttpClientOptions) {
    this.#options = options
    this.#base = new URL(options.baseUrl.replace(/\/+$/, ''))
    this.host = this.#base.host
    this.#agent = makeAgent(this.#base, options)
  }

  /** Sends a request and reads its whole answer. */
  async ask(request: HttpRequest, signal?: AbortSignal): Promise<HttpAnswer> {
    return (await this.open(request, signal, () => false)) as HttpAnswer
  }

  /**
   * Sends a request and hands its answer over once the headers are there. The caller reads the body
   * to its end, cancels it, or aborts the signal; else the connection stays open.
   *
   * @param streams which answers come as a stream; the others are read whole, as `ask` does
   */
  async open(
    request: HttpRequest,
    signal?: AbortSignal,
    streams: (head: HttpHead) => boolean = ({ ok }) => ok,
  ): Promise<HttpAnswer | HttpStream> {
    const { maxBytes, maxSilenceMs = 45_000 } = this.#options
    const exchange = new Exchange(this.#options.timeoutMs, signal)
    try {
      const response = await this.#respond(request, exchange)
      const head = headOf(response, this.#options)
      if (streams(head)) return { ...head, stream: streamBody(response, exchange, maxSilenceMs) }
      const answer = { ...head, body: await readWhole(response, maxBytes) }
      exchange.end()
      return answer
    } catch (error) {
      exchange.end()
      throw exchange.failure(error)
    }
  }

  /** Breaks every connection, also those on which an answer is awaited. */
  close(): void {
    this.#closed = true
    this.#agent.destroy()
  }

  async #respond(request: HttpRequest, exchange: Exchange): Promise<IncomingMessage> {
    let sent = this.#send(request)
    let response: IncomingMessage
    try {
      response = await exchange.run(sent)
    } catch (error) {
      if (this.#closed || !isStale(sent, request, error)) throw error
      closeIdle(this.#agent)
      sent = this.#send(request)
      response = await exchange.run(sent)
    }
    return acceptable(response)
  }

  #send({ method = 'GET', path, headers, body }: HttpRequest): ClientRequest {
    const traceparent = activeTraceparent()
    const send = this.#base.protocol === 'https:' ? httpsRequest : httpRequest
    const sent = send(new URL(this.#base.href.replace(/\/$/, '') + path), {
      method,
      agent: this.#agent,
      headers: {
        'accept-encoding': 'identity',
        ...(traceparent === undefined ? {} : { traceparent }),
        ...this.#options.headers,
        ...headers,
      },
    })
    // Failures after the headers show on the response; without a listener they would end the process.
    sent.on('error', () => {})
    sent.end(body)
    return sent
  }
}

function makeAgent({ protocol }: URL, { tls = {}, ...given }: HttpClientOptions): Agent {
  const everywhere = process.env.NODE_USE_ENV_PROXY === '1' ? process.env : undefined
  const proxyEnv = given.proxyEnv ?? everywhere
  const options = { keepAlive: true, maxFreeSockets: 8, ...(proxyEnv ? { proxyEnv } : {}) }
  return protocol === 'https:'
    ? new HttpsAgent({ ...options, ...tls, minVersion: 'TLSv1.2' })
    : new HttpAgent(options)
}

/** The other side closed a kept connection before it saw this request. */
function isStale(sent: ClientRequest, { method = 'GET' }: HttpRequest, error: unknown): boolean {
  const { code = '' } = error as NodeJS.ErrnoException
  const repeatable = method === 'GET' || method === 'HEAD'
  return sent.reusedSocket && repeatable && ['ECONNRESET', 'EPIPE'].includes(code)
}

/** The others are from the same time, and probably closed as well. */
function closeIdle(agent: Agent): void {
  for (const sockets of Object.values(agent.freeSockets)) {
    for (const socket of sockets ?? []) socket.destroy()
  }
}

const redirects = [301, 302, 303, 307, 308]

/** @throws HttpFailure for what is an answer to another question */
function acceptable(response: IncomingMessage): IncomingMessage {
  const { statusCode: status = 0, headers } = response
  const encoding = headers['content-encoding'] ?? 'identity'
  if (redirects.includes(status)) {
    response.destroy()
    throw new HttpFailure('redirect', `redirects${whereTo(headers.location)} (${status})`)
  }
  if (encoding !== 'identity') {
    response.destroy()
    throw new HttpFailure(
      'garbled',
      `answered with the encoding ${encoding.slice(0, 20)}, which was not requested`,
    )
  }
  return response
}

const whereTo = (location = '') =>
  URL.canParse(location) ? ` to ${new URL(location).origin}` : ' to another address'

function headOf(response: IncomingMessage, { maxRetryAfterMs }: HttpClientOptions): HttpHead {
  const { statusCode: status = 0 } = response
  const headers: Record<string, string> = {}
  for (const [name, value] of Object.entries(response.headers)) {
    if (value !== undefined) headers[name] = Array.isArray(value) ? value.join(', ') : value
  }
  return {
    status,
    ok: status >= 200 && status < 300,
    permanent: isPermanentStatus(status),
    headers,
    retryAfterMs: readRetryAfter(headers['retry-after'], maxRetryAfterMs),
  }
}

/** Seconds or a date; what is neither, or lies in the past, asks for nothing. */
export function readRetryAfter(
  text: string | undefined,
  maxMs = 300_000,
  now = clock.nowMs(),
): number | undefined {
  if (text === undefined) return undefined
  const isDate = /GMT\s*$/i.test(text)
  const waitMs = isDate ? Date.parse(text) - now : Number(text) * 1000
  return waitMs > 0 ? Math.min(waitMs, maxMs) : undefined
}
