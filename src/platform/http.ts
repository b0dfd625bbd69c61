import { type Context, Hono, type MiddlewareHandler } from 'hono'
import { routePath } from 'hono/route'
import type { ContentfulStatusCode } from 'hono/utils/http-status'
import type { Logger } from 'pino'
import { AppError } from '../core/errors.ts'
import { type Answer, answerError, apiHeaders } from './answer.ts'
import type { Callers } from './callers.ts'
import type { Metrics } from './metrics.ts'
import { serverSpan } from './tracing.ts'

export type AppOptions = { log: Logger; metrics: Metrics; callers: Callers }

/**
 * An app with what every role has: problem documents for failures, request metrics by route
 * pattern, a trace span per request, security headers, and the rules for callers.
 */
export function createApp({ log, metrics, callers }: AppOptions): Hono {
  const app = new Hono()
  app.use('*', measure(metrics))
  app.use('*', serverSpan(toEndpoint))
  app.use('*', secure)
  app.use('*', async (c, next) => {
    callers.checkHost(c.req.header('host'))
    if (!isSafe.has(c.req.method) && c.req.path.startsWith('/v1/')) {
      callers.checkOrigin((name) => c.req.header(name))
    }
    await next()
  })
  app.onError((error, c) => answerFailure(c, error, log))
  app.notFound((c) => {
    const error = new AppError('not_found', `there is no ${c.req.method} ${shown(c.req.path)}`)
    return respond(c, answerError(error, toEndpoint(c), log))
  })
  return app
}

/** Methods that change nothing. */
const isSafe: ReadonlySet<string> = new Set(['GET', 'HEAD', 'OPTIONS'])

function measure(metrics: Metrics): MiddlewareHandler {
  return async (c, next) => {
    const started = performance.now()
    await next()
    const endpoint = toEndpoint(c)
    metrics.httpRequests.inc({ method: c.req.method, endpoint, status: String(c.res.status) })
    metrics.httpDuration.observe(
      { method: c.req.method, endpoint },
      (performance.now() - started) / 1000,
    )
  }
}

/** The pattern of the route that answered, never the raw path: a scan must not make series. */
export function toEndpoint(c: Context): string {
  const pattern = routePath(c, -1)
  return pattern === '*' || pattern === '/*' ? 'none' : pattern
}

/** Headers that a page may override. */
const ownToPages = new Set(['cache-control', 'content-security-policy', 'referrer-policy'])

const secure: MiddlewareHandler = async (c, next) => {
  await next()
  const headers = c.res.headers
  for (const [name, value] of Object.entries(apiHeaders)) {
    if (!ownToPages.has(name) || !headers.has(name)) headers.set(name, value)
  }
}

function answerFailure(c: Context, error: Error, log: Logger): Response {
  // The caller went away; the answer has no reader, and nothing is wrong here.
  if (!(error instanceof AppError) && c.req.raw.signal.aborted) {
    return c.body(null, 499 as ContentfulStatusCode)
  }
  return respond(c, answerError(error, toEndpoint(c), log))
}

const respond = (c: Context, { status, headers, body }: Answer) =>
  c.body(body, status as ContentfulStatusCode, headers)

/** An address may be as long as all headers together. */
const shown = (path: string) => (path.length > 200 ? `${path.slice(0, 200)}…` : path)
