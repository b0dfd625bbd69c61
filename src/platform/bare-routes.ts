import type { IncomingMessage, RequestListener, ServerResponse } from 'node:http'
import { AppError } from '../core/errors.ts'
import { type Answer, answerError, apiHeaders } from './answer.ts'
import type { Auth, Caller, Scope } from './auth.ts'
import type { AppOptions } from './http.ts'
import { logSparsely } from './sparse-log.ts'
import { inServerSpan } from './tracing.ts'

/*
 * Routes that take events are asked thousands of times a second, and most of what such a request costs
 * is the web framework around it. These are answered by node:http before the framework. The framework
 * has the same routes, over the same functions, and answers what is not plain: a query, an encoded
 * path, an odd Host. A test holds that both answer the same bytes.
 */

/** A POST route. `answer` gives the object to answer with 200, or throws. */
export type BareRoute = {
  path: string
  scope: Scope
  answer: (request: IncomingMessage, caller: Caller) => Promise<object>
}

/** The listener that tries the bare routes first. */
export type BareRoutes = (framework: RequestListener) => RequestListener

type Options = AppOptions & { auth: Auth }

export function bareRoutes(routes: readonly BareRoute[], options: Options): BareRoutes {
  const byPath = new Map(routes.map((route) => [route.path, route]))
  return (framework) => (request, response) => {
    const route = request.method === 'POST' ? byPath.get(request.url ?? '') : undefined
    // Node refuses HTTP/1.1 without Host; before, it was not there yet.
    const { host } = request.headers
    if (!route || (host !== undefined && !plainHost.test(host))) framework(request, response)
    else serve(route, request, response, options)
  }
}

/** Names and IPv4 addresses; the framework judges all others. */
const plainHost = /^[a-z0-9._-]+(?::(?:\d{1,4}|[1-5]\d{4}|6[0-4]\d{3}))?$/

function serve(
  route: BareRoute,
  request: IncomingMessage,
  response: ServerResponse,
  options: Options,
): void {
  const { path } = route
  const { log, metrics } = options
  const started = performance.now()
  const headers = { method: 'POST', path, traceparent: textOf(request.headers.traceparent) }
  const work = async () => {
    const { status, headers, body } = await answerOf(route, request, options)
    metrics.httpRequests.inc({ method: 'POST', endpoint: path, status: String(status) })
    const seconds = (performance.now() - started) / 1000
    metrics.httpDuration.observe({ method: 'POST', endpoint: path }, seconds)
    if (status !== 499) send(request, response, { status, headers, body })
    return { endpoint: path, status }
  }
  inServerSpan(headers, work).catch((error: unknown) => {
    const fields = { error, endpoint: path }
    logSparsely(log, `unanswered ${path}`, { level: 'error', fields, event: 'request failed' })
    response.destroy()
  })
}

const textOf = (header: string | string[] | undefined) =>
  Array.isArray(header) ? header.join(', ') : header

const json = { 'content-type': 'application/json' }

async function answerOf(
  { path, scope, answer }: BareRoute,
  request: IncomingMessage,
  { auth, log, callers }: Options,
): Promise<Answer> {
  try {
    callers.checkHost(request.headers.host)
    callers.checkOrigin((name) => textOf(request.headers[name]))
    const caller = auth.admit(scope, () => request.headersDistinct.authorization?.join(', '))
    return { status: 200, headers: json, body: JSON.stringify(await answer(request, caller)) }
  } catch (error) {
    // The caller went away; the answer has no reader, and nothing is wrong here.
    if (error instanceof AppError || !request.socket.destroyed) return answerError(error, path, log)
    return { status: 499, headers: {}, body: '' }
  }
}

/** Headers in the order in which the framework sends them: by name, the length last. */
function send(request: IncomingMessage, response: ServerResponse, answer: Answer): void {
  const { status, headers, body } = answer
  response.writeHead(status, [
    ...headerLines(headers),
    'Content-Length',
    String(Buffer.byteLength(body)),
  ])
  if (request.readableEnded || request.destroyed) response.end(body)
  else {
    response.write(body)
    readOn(request, () => response.end())
  }
}

const sorted = (headers: Record<string, string>) =>
  Object.entries({ ...apiHeaders, ...headers })
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .flat()

const jsonLines = sorted(json)

const headerLines = (headers: Record<string, string>) =>
  headers === json ? jsonLines : sorted(headers)

/**
 * How long a caller may pause, and how long and how much it may send in all, of a body that was refused
 * before its end.
 */
const [pauseMs, readOnMs, readOnBytes] = [500, 10_000, 64 * 2 ** 20]

/** Closing while a caller still sends would take the answer from it: first the rest is read. */
function readOn(request: IncomingMessage, done: () => void): void {
  let bytes = 0
  const began = performance.now()
  const close = () => {
    finish()
    request.socket.destroySoon()
  }
  const timer = setTimeout(close, pauseMs).unref()
  const finish = () => {
    clearTimeout(timer)
    done()
  }
  request.on('data', (chunk: Buffer) => {
    bytes += chunk.length
    if (bytes > readOnBytes || performance.now() - began > readOnMs) close()
    else timer.refresh()
  })
  for (const over of ['end', 'error', 'close']) request.once(over, finish)
  request.resume()
}
