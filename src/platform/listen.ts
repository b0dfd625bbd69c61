import { once } from 'node:events'
import { createServer, type Server as HttpServer, type RequestListener } from 'node:http'
import { Server as TlsServer } from 'node:https'
import type { AddressInfo, Socket } from 'node:net'
import { getRequestListener } from '@hono/node-server'
import type { Hono } from 'hono'
import { ConfigError } from '../core/errors.ts'
import type { BareRoutes } from './bare-routes.ts'
import { answerUnreadable, refuseTwoHosts } from './client-error.ts'
import type { Lifecycle } from './lifecycle.ts'
import { createTlsServer, type TlsFiles } from './tls.ts'

export type ListenOptions = {
  host: string
  port: number
  tls?: TlsFiles
  /** Maximum time for the headers of a request to arrive, in milliseconds; default 20,000. */
  readTimeoutMs?: number
}

/** Where a role listens, and how, by its settings. */
export function toAddress(config: {
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
 * @param bare routes that are answered before the app
 * @returns the address it listens on
 * @throws ConfigError when the port is taken or the certificate cannot be read
 */
export async function listen(
  app: Hono,
  { host, port, tls = {}, readTimeoutMs = 20_000 }: ListenOptions,
  life: Lifecycle,
  bare: BareRoutes = (framework) => framework,
): Promise<string> {
  // For HTTP/1.0, which has no Host: the framework makes an address of it.
  const framework = getRequestListener(app.fetch, { hostname: 'localhost' })
  const routes = bare((request, response) => {
    const { host } = request.headers
    if (host?.startsWith('[')) request.headers.host = spellAddress(host)
    framework(request, response)
  })
  const listener: RequestListener = (request, response) => {
    if (!refuseTwoHosts(request, response)) routes(request, response)
  }
  const server = makeServer(listener, tls, readTimeoutMs)
  server.keepAliveTimeout = 65_000
  answerUnreadable(server)
  const silent = silentConnections(server)
  server.listen(port, host)
  await once(server, 'listening').catch((error: NodeJS.ErrnoException) => {
    throw listenError(error, host, port)
  })
  const bound = (server.address() as AddressInfo).port
  life.onStop('http server', () => closeServer(server, silent))
  const shownHost = host.includes(':') ? `[${host}]` : host
  return `${tls.cert ? 'https' : 'http'}://${shownHost}:${bound}`
}

/** An IPv6 address has many spellings, and the framework refuses all but that of URLs: `[::ffff:7f00:1]`. */
function spellAddress(host: string): string {
  const url = `http://${host}`
  return URL.canParse(url) ? new URL(url).host : host
}

function makeServer(listener: RequestListener, tls: TlsFiles, readTimeoutMs: number): HttpServer {
  // A caller that sends its headers or body a byte a minute must not hold a connection without end.
  const patience = {
    headersTimeout: readTimeoutMs,
    requestTimeout: Math.max(120_000, 2 * readTimeoutMs),
    connectionsCheckingInterval: Math.min(readTimeoutMs, 10_000),
  }
  return createTlsServer(patience, tls, listener) ?? createServer(patience, listener)
}

function listenError(error: NodeJS.ErrnoException, host: string, port: number): Error {
  if (error.code === 'EADDRINUSE') {
    return new ConfigError(`PORT: ${port} on ${host} is taken; set PORT to a free one`)
  }
  if (error.code === 'EADDRNOTAVAIL' || error.code === 'ENOTFOUND') {
    return new ConfigError(`HOST: ${host} is not an address of this machine`)
  }
  if (error.code === 'EACCES') {
    return new ConfigError(`PORT: ${port} may not be opened by this user; use one over 1023`)
  }
  return error
}

async function closeServer(server: HttpServer, silent: ReadonlySet<Socket>): Promise<void> {
  const closed = new Promise<void>((resolve) => server.close(() => resolve()))
  server.closeIdleConnections()
  // Streams never end by themselves: the code that serves one ends it on the lifecycle's signal.
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
