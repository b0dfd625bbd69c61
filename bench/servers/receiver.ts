import { createServer } from 'node:http'
import { type AddressInfo, createServer as createTcpServer, type Server } from 'node:net'
import { zstdDecompressSync } from 'node:zlib'

/*
 * The least that the other side of a sink can be: it counts what it is sent, keeps nothing, and answers as each of
 * them answers when all is taken. Under /slow it never answers.
 */

const server = createServer(async (request, response) => {
  const chunks: Buffer[] = []
  for await (const chunk of request) chunks.push(chunk as Buffer)
  const { url: path = '' } = request
  if (path.startsWith('/slow')) return
  const isAws = path === '/TraceSegments' || request.headers['x-amz-target'] !== undefined
  const [status, body] = isAws ? [200, '{}'] : answer(path, Buffer.concat(chunks))
  response.writeHead(status, {
    'content-type': 'application/json',
    'content-length': Buffer.byteLength(body),
    ...(isAws ? { 'x-amzn-requestid': '0193581e' } : {}),
  })
  response.end(body)
})

function answer(path: string, body: Buffer): [status: number, body: string] {
  if (path === '/v1/ingest/events:batch') {
    const total = countOf('"idempotency_key":"', String(zstdDecompressSync(body)))
    return [200, `{"total":${total},"success":${total},"failed":0,"rejected":[]}`]
  }
  if (path === '/_bulk') return [200, takenItems(String(body))]
  if (path === '/') return [200, '{"version":{"number":"9.0.0"}}']
  // Of traces an empty answer takes all.
  if (path === '/v1/traces') return [200, '']
  // A webhook, or what elk installs; heartbeats are not kept.
  return path.startsWith('/v1/') ? [404, ''] : [200, '{}']
}

function countOf(word: string, text: string): number {
  let count = 0
  for (let at = text.indexOf(word); at >= 0; at = text.indexOf(word, at + word.length)) count++
  return count
}

function takenItems(text: string): string {
  const ids = [...text.matchAll(/"_id":"([^"]+)"/g)]
  const items = ids.map(([, id]) => `{"create":{"_id":"${id}","status":201}}`)
  return `{"errors":false,"items":[${items.join(',')}]}`
}

/** The trapper port of Zabbix: a head of 13 bytes with the length, and an answer that counts the values. */
const trapper = createTcpServer((socket) => {
  let got = Buffer.alloc(0)
  socket.on('error', () => {})
  socket.on('data', (chunk) => {
    got = Buffer.concat([got, chunk])
    if (got.length < 13 || got.length < 13 + got.readUInt32LE(5)) return
    const count = countOf('"clock":', String(got.subarray(13)))
    const info = `processed: ${count}; failed: 0; total: ${count}; seconds spent: 0.000100`
    const text = JSON.stringify({ response: 'success', info })
    const head = Buffer.from('ZBXD\x01\0\0\0\0\0\0\0\0', 'latin1')
    head.writeUInt32LE(text.length, 5)
    socket.end(Buffer.concat([head, Buffer.from(text)]))
  })
})

const listen = (one: Server) =>
  new Promise<number>((done) => {
    one.listen(0, '127.0.0.1', () => done((one.address() as AddressInfo).port))
  })

process.once('disconnect', () => process.exit())
const [port, trapperPort] = await Promise.all([listen(server), listen(trapper)])
process.send?.({ url: `http://127.0.0.1:${port}`, trapper: `127.0.0.1:${trapperPort}` })
