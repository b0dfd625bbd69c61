import { X509Certificate } from 'node:crypto'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { createServer, type Server as HttpServer } from 'node:http'
import { createServer as createTlsServer, Server as TlsServer } from 'node:https'
import type { AddressInfo, Socket } from 'node:net'
import { createSecureContext } from 'node:tls'
import { getRequestListener } from '@hono/node-server'
import { type Context, Hono, type MiddlewareHandler } from 'hono'
import { routePath } from 'hono/route'
import type { ContentfulStatusCode } from 'hono/utils/http-status'
import type { Logger } from 'pino'
import { AppError, ConfigError } from '../core/errors.ts'
import { answerUnreadable } from './client-error.ts'
import type { Lifecycle } from './lifecycle.ts'
import type { Metrics } from './metrics.ts'
import { internalProblem, type Problem, problemOf } from './problem.ts'
import { serverSpan } from './tracing.ts'

export type AppOptions = { log: Logger; metrics: Metrics }

/** Answers of an API hold no page, so nothing in them may ever run, load or be framed. */
const apiPolicy = "default-src 'none'; frame-ancestors 'none'"

/**
 * An app with what every role has: problem documents for failures, request metrics by route
 * pattern, a trace span per request, security headers.
 */
export function createApp({ log, metrics }: AppOptions): Hono {
  const app = new Hono()
  app.use('*', measure(metrics))
  app.use('*', serverSpan(endpointOf))
  app.use('*', secure)
  app.onError((error, c) => answerProblem(c, error, log))
  app.notFound((c) =>
    problem(c, problemOf(new AppError('not_found', `there is no ${c.req.method} ${c.req.path}`))),
  )
  return app
}

function measure(metrics: Metrics): MiddlewareHandler {
  return async (c, next) => {
    const started = performance.now()
    await next()
    const endpoint = endpointOf(c)
    metrics.httpRequests.inc({ method: c.req.method, endpoint, status: String(c.res.status) })
    metrics.httpDuration.observe(
      { method: c.req.method, endpoint },
      (performance.now() - started) / 1000,
    )
  }
}

/** The pattern of the route that answered, never the raw path: a scan must not make series. */
export function endpointOf(c: Context): string {
  const pattern = routePath(c, -1)
  return pattern === '*' || pattern === '/*' ? 'none' : pattern
}

const secure: MiddlewareHandler = async (c, next) => {
  await next()
  const headers = c.res.headers
  headers.set('X-Content-Type-Options', 'nosniff')
  if (!headers.has('Referrer-Policy')) headers.set('Referrer-Policy', 'no-referrer')
  headers.set('X-Frame-Options', 'DENY')
  headers.set('Cross-Origin-Resource-Policy', 'same-origin')
  if (!headers.has('Content-Security-Policy')) headers.set('Content-Security-Policy', apiPolicy)
  if (!headers.has('Cache-Control')) headers.set('Cache-Control', 'no-store')
}

/** The one place where a thrown error becomes a response. */
function answerProblem(c: Context, error: Error, log: Logger): Response {
  if (!(error instanceof AppError)) {
    // The caller went away; nobody reads the answer and nothing is wrong with us.
    if (c.req.raw.signal.aborted) return c.body(null, 499 as ContentfulStatusCode)
    log.error({ error, endpoint: endpointOf(c) }, 'request failed')
    return problem(c, internalProblem)
  }
  if (error.retryable) {
    log.warn({ detail: error.message, cause: error.cause, endpoint: endpointOf(c) }, 'refused')
  }
  if (error.retryAfterS !== undefined) c.header('Retry-After', String(error.retryAfterS))
  return problem(c, problemOf(error))
}

function problem(c: Context, body: Problem): Response {
  return c.body(JSON.stringify(body), body.status as ContentfulStatusCode, {
    'content-type': 'application/problem+json',
  })
}

export type ListenOptions = {
  host: string
  port: number
  tls?: { cert?: string | undefined; key?: string | undefined; ca?: string | undefined }
  /** Longest time that the headers of a request may take to arrive, in milliseconds; 20,000. */
  readTimeoutMs?: number
}

/** Where a role listens, and how, by its settings. */
export function addressOf(config: {
  HOST: string
  PORT: number
  TLS_CERT?: string | undefined
  TLS_KEY?: string | undefined
  TLS_CA?: string | undefined
  REQUEST_READ_TIMEOUT_S?: number
}): ListenOptions {
  const { HOST: host, PORT: port, REQUEST_READ_TIMEOUT_S: readTimeoutS } = config
  return {
    host,
    port,
    tls: { cert: config.TLS_CERT, key: config.TLS_KEY, ca: config.TLS_CA },
    ...(readTimeoutS === undefined ? {} : { readTimeoutMs: readTimeoutS * 1000 }),
  }
}

/**
 * Serves the app until the role stops: then no new connection is taken, answers under way are
 * finished, idle connections are closed.
 *
 * @returns the address it listens on
 * @throws ConfigError when the port is taken or the certificate cannot be read
 */
export async function listen(
  app: Hono,
  { host, port, tls = {}, readTimeoutMs = 20_000 }: ListenOptions,
  life: Lifecycle,
): Promise<string> {
  const server = makeServer(app, tls, readTimeoutMs)
  server.keepAliveTimeout = 65_000
  answerUnreadable(server)
  const silent = silentConnections(server)
  server.listen(port, host)
  await once(server, 'listening').catch((error: NodeJS.ErrnoException) => {
    throw listenError(error, host, port)
  })
  life.onStop('http server', () => closeServer(server, silent))
  const bound = (server.address() as AddressInfo).port
  const shownHost = host.includes(':') ? `[${host}]` : host
  return `${tls.cert ? 'https' : 'http'}://${shownHost}:${bound}`
}

function makeServer(
  app: Hono,
  tls: NonNullable<ListenOptions['tls']>,
  readTimeoutMs: number,
): HttpServer {
  const listener = getRequestListener(app.fetch)
  // A caller that sends its headers or body a byte a minute must not hold a connection for ever.
  const patience = {
    headersTimeout: readTimeoutMs,
    requestTimeout: Math.max(120_000, 2 * readTimeoutMs),
    connectionsCheckingInterval: Math.min(readTimeoutMs, 10_000),
  }
  if (!tls.cert || !tls.key) return createServer(patience, listener)
  const cert = readPem('TLS_CERT', 'cert', tls.cert)
  const key = readPem('TLS_KEY', 'key', tls.key)
  const ca = tls.ca ? { ca: readPem('TLS_CA', 'ca', tls.ca), requestCert: true } : {}
  try {
    return createTlsServer({ ...patience, cert, key, ...ca }, listener)
  } catch {
    throw new ConfigError('TLS_KEY: does not match TLS_CERT; replace both')
  }
}

function readPem(name: string, kind: 'cert' | 'key' | 'ca', file: string): Buffer {
  const pem = readFile(name, file)
  try {
    createSecureContext({ [kind]: pem })
    if (kind === 'ca') new X509Certificate(pem)
    return pem
  } catch {
    const what = kind === 'key' ? 'private key without a passphrase' : 'certificate'
    throw new ConfigError(
      `${name}: ${file} is not a PEM ${what}; give a file that begins -----BEGIN`,
    )
  }
}

function readFile(name: string, file: string): Buffer {
  try {
    return readFileSync(file)
  } catch {
    throw new ConfigError(`${name}: cannot read ${file}; give a PEM file that this user may read`)
  }
}

function listenError(error: NodeJS.ErrnoException, host: string, port: number): Error {
  if (error.code === 'EADDRINUSE') {
    return new ConfigError(`PORT: ${port} on ${host} is in use; set PORT to a free one`)
  }
  if (error.code === 'EADDRNOTAVAIL' || error.code === 'ENOTFOUND') {
    return new ConfigError(`HOST: ${host} is not an address of this machine`)
  }
  if (error.code === 'EACCES') {
    return new ConfigError(`PORT: this user may not open ${port}; use a port over 1023`)
  }
  return error
}

async function closeServer(server: HttpServer, silent: ReadonlySet<Socket>): Promise<void> {
  const closed = new Promise<void>((resolve) => server.close(() => resolve()))
  server.closeIdleConnections()
  // Streams never end by themselves: whoever serves one ends it on the lifecycle's signal.
  const sweep = setInterval(() => server.closeIdleConnections(), 50)
  const last = setTimeout(() => {
    for (const socket of silent) socket.destroy()
  }, 500)
  await closed
  clearInterval(sweep)
  clearTimeout(last)
}

/**
 * The connections on which nothing was asked yet. Browsers and fetch open some in advance, and Node
 * does not count them as idle: each would hold up a stop until its deadline.
 */
function silentConnections(server: HttpServer): ReadonlySet<Socket> {
  const silent = new Set<Socket>()
  server.on(server instanceof TlsServer ? 'secureConnection' : 'connection', (socket: Socket) => {
    silent.add(socket)
    socket.once('close', () => silent.delete(socket))
  })
  server.on('request', ({ socket }) => silent.delete(socket))
  return silent
}
