import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { TestContext } from 'node:test'

/** `body` is `bytes` as text. */
export type Asked = { request: IncomingMessage; body: string; bytes: Buffer }
export type Reply = (asked: Asked, response: ServerResponse) => unknown

/** A server that answers as it is told to, by real HTTP. @returns its address and all that it was asked */
export async function startHttpPeer(t: Pick<TestContext, 'after'>, reply: Reply) {
  const asked: Asked[] = []
  const server = createServer(async (request, response) => {
    const chunks: Buffer[] = []
    for await (const chunk of request) chunks.push(chunk as Buffer)
    const bytes = Buffer.concat(chunks)
    const one = { request, bytes, body: String(bytes) }
    asked.push(one)
    reply(one, response)
  })
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done))
  t.after(() => server.close())
  t.after(() => server.closeAllConnections())
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, asked }
}

export function send(response: ServerResponse, status: number, body: unknown = '', headers = {}) {
  response.writeHead(status, { 'content-type': 'application/json', ...headers })
  response.end(typeof body === 'string' || body instanceof Buffer ? body : JSON.stringify(body))
}

/** Everything that may go wrong before a receiver has looked at an event. */
export const brokenAnswers: Readonly<Record<string, Reply>> = {
  ...Object.fromEntries(
    [401, 403, 404, 405, 408, 425, 429, 500, 502, 503, 504].map((status): [string, Reply] => [
      `${status}`,
      (_, response) => send(response, status, 'planted', { 'retry-after': '7' }),
    ]),
  ),
  'a redirect': (_, response) => send(response, 307, '', { location: '/elsewhere' }),
  'a connection that is cut before the answer': (_, response) => response.destroy(),
  'an answer that is compressed': (_, response) =>
    send(response, 200, Buffer.from('x'), { 'content-encoding': 'gzip' }),
  'an answer that is no HTTP': (_, response) => response.socket?.end('SSH-2.0-OpenSSH\r\n'),
  'an answer without end': (_, response) => {
    response.writeHead(200)
    const more = setInterval(() => response.write(' '.repeat(2 ** 20)), 1)
    response.on('close', () => clearInterval(more))
    response.on('error', () => clearInterval(more))
  },
  'no answer': () => {},
}
