import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'

/*
 * The least that an answer over HTTP can cost: answers GET with what was posted to the same path, by
 * node:http alone.
 */

const answers = new Map<string, string>()

const server = createServer(async (request, response) => {
  const path = request.url ?? ''
  if (request.method === 'POST') {
    const chunks: Buffer[] = []
    for await (const chunk of request) chunks.push(chunk as Buffer)
    answers.set(path, Buffer.concat(chunks).toString('utf8'))
  }
  const body = (request.method === 'GET' && answers.get(path)) || ''
  response.writeHead(200, {
    'content-type': 'application/json',
    'content-length': Buffer.byteLength(body),
  })
  response.end(body)
})
server.listen(0, '127.0.0.1', () => {
  const { port } = server.address() as AddressInfo
  process.send!({ url: `http://127.0.0.1:${port}` })
})
