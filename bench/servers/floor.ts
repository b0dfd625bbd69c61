import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'

/*
 * The least that taking events over HTTP can cost: node:http alone reads the body, JSON.parse reads
 * the events, and the answer goes out. It shares no code with the program, so whatever the program
 * gains or loses shows.
 */

/** Connections wait while other sides take their turns. */
const patience = { headersTimeout: 0, requestTimeout: 0, keepAliveTimeout: 65_000 }
const server = createServer(patience, (request, response) => {
  const chunks: Buffer[] = []
  request.on('data', (chunk: Buffer) => chunks.push(chunk))
  request.on('end', () => answer(request, response, Buffer.concat(chunks).toString('utf8')))
})

function answer(request: IncomingMessage, response: ServerResponse, text: string): void {
  const input = JSON.parse(text) as unknown
  const body = Array.isArray(input)
    ? `{"ok":true,"total":${input.length},"success":${input.length},"failed":0,"duplicates":0,"rejected":[]}`
    : '{"ok":true,"duplicate":false}'
  response.writeHead(request.method === 'POST' ? 200 : 405, {
    'content-type': 'application/json',
    'content-length': Buffer.byteLength(body),
  })
  response.end(body)
}

server.listen(0, '127.0.0.1', () => {
  const { port } = server.address() as AddressInfo
  process.send!({ url: `http://127.0.0.1:${port}` })
})
