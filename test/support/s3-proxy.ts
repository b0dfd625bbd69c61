import { once } from 'node:events'
import http from 'node:http'
import type { AddressInfo } from 'node:net'
import { collect } from '../../src/archive/places/content.ts'

/* A way to an S3 server that fails as stores and networks do. */

export type Asked = { method: string; path: string; headers: http.IncomingHttpHeaders }

export type Fault =
  /** An answer of its own, such as 503 SlowDown; the store hears nothing. */
  | { status: number; code: string; headers?: Record<string, string> }
  /** Nothing ever comes. */
  | 'stall'
  /** The store has done it, and the connection breaks before the answer. */
  | 'lose'
  /** The answer of the store breaks off in the middle. */
  | 'cut'
  /** Something is done in place of the request, which then has been a success. */
  | { instead: () => Promise<unknown> }
  /** The request is under way until something is done, whatever becomes of the one that sent it. */
  | { before: () => Promise<unknown>; after?: (status: number) => void }

export type S3Proxy = {
  endpoint: string
  /** The fault for a request, if any. */
  fault: (asked: Asked) => Fault | undefined
  stop: () => Promise<unknown>
}

export async function startS3Proxy(target: string): Promise<S3Proxy> {
  const server = http.createServer((request, response) => {
    const { method = '', url = '', headers } = request
    const fault = proxy.fault({ method, path: url, headers })
    const done = isOwn(fault)
      ? answer(fault, request, response)
      : forward(target, request, response, fault)
    done.catch(() => response.destroy())
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const proxy: S3Proxy = {
    endpoint: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    fault: () => undefined,
    async stop() {
      server.closeAllConnections()
      server.close()
      await once(server, 'close')
    },
  }
  return proxy
}

type Held = Extract<Fault, { before: unknown }>
type Own = Exclude<Fault, 'lose' | 'cut' | Held>

const isHeld = (fault: Fault | undefined): fault is Held =>
  typeof fault === 'object' && 'before' in fault

const isOwn = (fault: Fault | undefined): fault is Own =>
  fault !== undefined && fault !== 'lose' && fault !== 'cut' && !isHeld(fault)

async function answer(
  fault: Own,
  request: http.IncomingMessage,
  response: http.ServerResponse,
): Promise<void> {
  request.resume()
  if (fault === 'stall') return
  if ('instead' in fault) {
    await fault.instead()
    response.writeHead(200, { etag: '"d41d8cd98f00b204e9800998ecf8427e"' }).end()
    return
  }
  const { status, code, headers = {} } = fault
  const body = `<?xml version="1.0"?><Error><Code>${code}</Code><Message>${code}</Message></Error>`
  response.writeHead(status, { 'content-type': 'application/xml', ...headers }).end(body)
}

async function forward(
  target: string,
  request: http.IncomingMessage,
  response: http.ServerResponse,
  fault: Fault | undefined,
): Promise<void> {
  // With the Host that the client has signed.
  const { method, url, rawHeaders: headers } = request
  const body = isHeld(fault) ? await collect(request) : undefined
  if (isHeld(fault)) await fault.before()
  const on = http.request(new URL(url ?? '/', target), { method, headers, setHost: false })
  if (body) on.end(body)
  else request.pipe(on)
  const [from] = (await once(on, 'response')) as [http.IncomingMessage]
  if (isHeld(fault)) fault.after?.(from.statusCode ?? 0)
  if (fault === 'lose') {
    from.resume()
    await once(from, 'end')
    response.destroy()
    return
  }
  response.writeHead(from.statusCode ?? 0, from.rawHeaders)
  if (fault !== 'cut') {
    from.pipe(response)
    return
  }
  const [first] = (await once(from, 'data')) as [Buffer]
  response.write(first.subarray(0, Math.floor(first.byteLength / 2)), () => response.destroy())
}
