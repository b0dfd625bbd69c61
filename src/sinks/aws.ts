import type { Failure } from '../core/delivery.ts'
import { ensure } from '../core/must.ts'
import { HttpClient, type HttpClientOptions, readRetryAfter } from '../platform/http-client.ts'
import { HttpFailure } from '../platform/http-failure.ts'
import { explainNoAnswer, readTls, toLine } from './http.ts'
import type { HttpSettings } from './http-settings.ts'

/*
 * What sinks of AWS share. The official clients make and sign requests and read answers; the exchange itself is the
 * one of all other sinks (platform/http-client.ts): one deadline, bounded answers, no redirect. The clients try
 * once: the drain does the waiting.
 */

export type AwsSettings = HttpSettings & { aws_region: string; endpoint?: string | undefined }

/** Maximum size of an answer, in bytes. */
const maxBytes = 2 ** 20
const maxRetryAfterMs = 3_600_000

/** A request as a client of AWS hands it to what sends it. */
type Signed = {
  method: string
  protocol: string
  hostname: string
  port?: number | undefined
  path: string
  query?: object
  headers: Record<string, string>
  body?: string | Uint8Array
}

/** The options of any client of AWS. `close` breaks the connections of all that were made with them. */
export function makeAwsOptions(settings: AwsSettings) {
  const sender = new Sender({
    timeoutMs: settings.timeout * 1000,
    maxBytes,
    maxRetryAfterMs,
    tls: readTls(settings),
  })
  return {
    options: {
      region: settings.aws_region,
      maxAttempts: 1,
      // Its type names packages that only the clients know; they check for the method.
      requestHandler: sender as never,
      ...(settings.endpoint === undefined ? {} : { endpoint: settings.endpoint }),
    },
    close: () => sender.destroy(),
  }
}

/** Every answer of AWS to requests of a sink is a 200 with a JSON object, or empty. */
const isAnswer = (status: number, body: Buffer) =>
  status === 200 && (body.length === 0 || body[0] === brace)
const brace = '{'.charCodeAt(0)
/** Signed for a sink. All else is asked for credentials, where answers have other forms. */
const ofSinks = /\/(logs|monitoring|xray)\/aws4_request/

class Sender {
  readonly #options: Omit<HttpClientOptions, 'baseUrl'>
  readonly #clients = new Map<string, HttpClient>()
  #closed = false

  constructor(options: Omit<HttpClientOptions, 'baseUrl'>) {
    this.#options = options
  }

  async handle(request: Signed, { abortSignal }: { abortSignal?: AbortSignal } = {}) {
    const { method, path, headers, body, query = {} } = request
    const isOfSink = ofSinks.test(headers.authorization ?? '')
    const {
      status,
      headers: received,
      body: answer,
    } = await this.#clientOf(request).ask(
      {
        method: method as 'POST',
        path: withQuery(path, query),
        headers,
        ...(body === undefined ? {} : { body }),
      },
      abortSignal,
    )
    if (!isOfSink && status >= 400) throw new NoCredentials(status, answer)
    if (isOfSink && status < 300 && !isAnswer(status, answer)) throw new NotAws(status)
    return { response: { statusCode: status, headers: { ...received }, body: answer } }
  }

  destroy(): void {
    this.#closed = true
    for (const client of this.#clients.values()) client.close()
  }

  #clientOf({ protocol, hostname, port }: Signed): HttpClient {
    ensure(!this.#closed, 'a sink that is closed sends nothing')
    const baseUrl = `${protocol}//${hostname}${port === undefined ? '' : `:${port}`}`
    const known = this.#clients.get(baseUrl)
    if (known) return known
    const made = new HttpClient({ ...this.#options, baseUrl })
    this.#clients.set(baseUrl, made)
    return made
  }
}

function withQuery(path: string, query: object): string {
  const pairs = Object.entries(query).flatMap(([name, value]) =>
    [value].flat().map((one): [string, string] => [name, String(one)]),
  )
  return pairs.length === 0 ? path : `${path}?${new URLSearchParams(pairs)}`
}

/** What was asked for credentials refuses them: that is nothing that an event is to blame for. */
class NoCredentials extends Error {
  readonly status: number

  constructor(status: number, body: Buffer) {
    super(toLine(body.toString('utf8')))
    this.status = status
  }
}

/**
 * Asks for something once. Credentials may be looked up before, which does not listen to the signal.
 *
 * @throws what went wrong, or the reason of the signal; also when the answer of 200 is not from AWS
 */
export async function askAws<T extends { $metadata: { requestId?: string | undefined } }>(
  work: Promise<T>,
  signal: AbortSignal,
): Promise<T> {
  let stop = () => {}
  const aborted = new Promise<never>((_, reject) => {
    stop = () => reject(signal.reason)
    signal.addEventListener('abort', stop)
    if (signal.aborted) stop()
  })
  try {
    const answer = await Promise.race([work, aborted])
    if (answer.$metadata.requestId === undefined) throw new NotAws(200)
    return answer
  } finally {
    signal.removeEventListener('abort', stop)
  }
}

/** A success without what every answer of AWS has: 200, the id of its request, and a JSON object for a body if there is one. */
class NotAws extends Error {
  readonly status: number

  constructor(status: number) {
    super(`a success (${status}) that is not from AWS`)
    this.status = status
  }
}

type ServiceError = Error & {
  $metadata?: { httpStatusCode?: number; requestId?: string }
  $response?: { statusCode?: number; headers?: Record<string, string> }
}

/** Errors of a request whose content is refused, whoever sends it. */
const ofContent =
  /^(InvalidParameter\w*|InvalidRequest(Exception)?|MissingRequiredParameter\w*|MissingParameter|Validation(Error|Exception)|SerializationException|InvalidFormat\w*|RequestEntityTooLarge\w*)$/

/** The words of AWS when it refuses what is in a request; undefined when something else is wrong. */
export function readRefusal(error: unknown): string | undefined {
  const { name = '', message = '', $metadata } = Object(error) as Partial<ServiceError>
  const status = $metadata?.httpStatusCode
  const refuses = status === 413 || (status === 400 && ofContent.test(name))
  return refuses ? `${name}: ${toLine(message)}` : undefined
}

export const isNamed = (error: unknown, name: string): boolean =>
  (Object(error) as { name?: unknown }).name === name

/** Waiting does not help: keys or rights are wrong. */
const ofAccess =
  /^(AccessDenied\w*|UnrecognizedClient\w*|InvalidSignature\w*|SignatureDoesNotMatch|IncompleteSignature\w*|InvalidClientTokenId|MissingAuthenticationToken\w*|NotAuthorized\w*|OptInRequired\w*)$/

/** What a service of credentials says when it is busy, or when the file of a token is about to be renewed. */
const ofMoment = /thrott|rate exceeded|expired/i

/** Why nothing was taken, in words of ours and of AWS. */
export function explainAwsError(error: unknown): Failure {
  if (error instanceof HttpFailure) return explainNoAnswer(error)
  if (error instanceof NotAws) return notAws(`${error.status}`)
  if (error instanceof NoCredentials) {
    const { status, message } = error
    const reason = `it cannot be asked: the credentials of AWS were refused (${status} ${message})`
    const passes = status >= 500 || status === 429 || ofMoment.test(message)
    return { kind: 'failed', reason, ...(passes ? {} : { permanent: true }) }
  }
  const { name = '', message = '', $metadata, $response } = Object(error) as Partial<ServiceError>
  const status = $metadata?.httpStatusCode ?? $response?.statusCode
  if (name === 'CredentialsProviderError') {
    // The service of a machine or task that has them may be away for a moment, and files are renewed.
    const reason = 'it cannot be asked: no credentials of AWS were found (variables, profile, role)'
    return { kind: 'failed', reason }
  }
  if (status === undefined) {
    return { kind: 'failed', reason: `it cannot be asked (${toLine(message)})` }
  }
  if (status >= 200 && status < 300) return notAws(String(status))
  const retryAfterMs = readRetryAfter($response?.headers?.['retry-after'], maxRetryAfterMs)
  const isDenied = status === 401 || status === 403 || ofAccess.test(name)
  return {
    kind: 'failed',
    reason: `it answered ${status} ${toLine(name)}: ${toLine(message)}`,
    ...(isDenied ? { permanent: true } : {}),
    ...(retryAfterMs === undefined ? {} : { retryAfterMs }),
  }
}

const notAws = (status: string): Failure => ({
  kind: 'failed',
  reason: `it answered ${status}, but not as AWS does (a proxy?)`,
})
