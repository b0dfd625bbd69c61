import type { AddressInfo } from 'node:net'
import { createServer, type Socket } from 'node:net'

/*
 * A stand-in for the trapper port of Zabbix, as a process of its own, that can lie. It reads a packet as Zabbix
 * does: a value that it cannot parse ends it, a value whose key it does not know fails, one that it has already
 * is dropped. Before it answers it asks the test what to do, and tells it what it took.
 */

type Sent = { host: string; key: string; value: string; clock: number; ns: number }
/** What the test wants. */
export type Orders = { trouble: string | undefined; unknown: readonly string[]; host: string }
/** What the peer took of a packet. */
export type Packet = { sent: readonly Sent[]; took: readonly Sent[]; flags: number }

const answerOf = (info: string, response = 'success') => JSON.stringify({ response, info })

function pack(
  text: string | Buffer,
  { flags = 1, length }: { flags?: number; length?: number } = {},
) {
  const body = Buffer.from(text)
  const head = Buffer.alloc(13)
  head.write('ZBXD', 'latin1')
  head.writeUInt8(flags, 4)
  head.writeUInt32LE(length ?? body.length, 5)
  return Buffer.concat([head, body])
}

/** What it says where it says nothing true. It took nothing. */
const lies: Readonly<Record<string, (socket: Socket) => unknown>> = {
  'no answer': () => {},
  'a connection that is cut before the answer': (socket) => socket.destroy(),
  'an empty answer': (socket) => socket.end(),
  'a page of a web server': (socket) => socket.end('HTTP/1.1 400 Bad Request\r\n\r\n'),
  'half a header': (socket) => socket.end(pack('').subarray(0, 7)),
  'half an answer': (socket) => socket.end(pack(answerOf('processed: 1'), { length: 500 })),
  'an answer longer than it says': (socket) =>
    socket.end(pack(answerOf('processed: 1; failed: 0; total: 1;'), { length: 5 })),
  'an answer of 4 GB': (socket) => socket.write(pack('x', { length: 2 ** 32 - 1 })),
  'an answer that never ends': (socket) => {
    socket.write(pack('', { length: 60_000 }))
    const more = setInterval(() => socket.write(' '), 5)
    socket.on('close', () => clearInterval(more))
  },
  '100 MB': (socket) => socket.end(Buffer.alloc(100_000_000, 'x')),
  'a compressed answer': (socket) => socket.end(pack('x', { flags: 3 })),
  'an answer that is not JSON': (socket) => socket.end(pack('processed: 1; failed: 0; total: 1;')),
  'null for an answer': (socket) => socket.end(pack('null')),
  'deep JSON': (socket) => socket.end(pack('{"a":'.repeat(10_000))),
  'a wrong charset': (socket) =>
    socket.end(pack(Buffer.from(answerOf('processed: 1; failed: 0; total: 1;'), 'utf16le'))),
  'an answer without counts': (socket) => socket.end(pack(answerOf('all is well'))),
  'counts that are not numbers': (socket) =>
    socket.end(pack(answerOf('processed: x; failed: -1; total: NaN;'))),
  'a refusal': (socket) => socket.end(pack(answerOf('host not allowed', 'failed'))),
  'counts of another packet': (socket) =>
    socket.end(pack(answerOf('processed: 999; failed: 0; total: 999; seconds spent: 0.1'))),
}

const isWhole = (n: unknown, max: number) =>
  Number.isInteger(n) && Number(n) >= 0 && Number(n) <= max

function ask<T>(message: object): Promise<T> {
  return new Promise((done) => {
    process.once('message', (reply) => done(reply as T))
    process.send?.(message)
  })
}

/** One packet after the other: replies of the test are not numbered. */
let turn: Promise<void> = Promise.resolve()

async function take(socket: Socket, body: Buffer, flags: number): Promise<void> {
  const { trouble, unknown, host } = await ask<Orders>({ kind: 'asked' })
  const lie = lies[trouble ?? '']
  if (lie) return void lie(socket)
  const { data } = JSON.parse(String(body)) as { data: Sent[] }
  let read = data
  const odd = data.findIndex(
    ({ clock, ns }) => !isWhole(clock, 2 ** 31 - 1) || !isWhole(ns, 999_999_999),
  )
  if (odd >= 0) read = data.slice(0, odd)
  if (trouble === 'a packet that is read in part') read = read.slice(0, Math.floor(read.length / 2))
  const took = read.filter((sent) => sent.host === host && !unknown.includes(sent.key))
  await ask({ kind: 'took', packet: { sent: data, took, flags } })
  if (trouble === 'an answer that is lost') return void socket.destroy()
  const failed = read.length - took.length
  const info = `processed: ${took.length}; failed: ${failed}; total: ${read.length}; seconds spent: 0.000100`
  socket.end(pack(answerOf(info)))
}

const server = createServer((socket) => {
  let got = Buffer.alloc(0)
  socket.on('error', () => {})
  socket.on('data', (chunk) => {
    got = Buffer.concat([got, chunk])
    if (got.length < 13 || got.length < 13 + got.readUInt32LE(5)) return
    const [body, flags] = [got.subarray(13), got[4] ?? 0]
    turn = turn.then(() => take(socket, body, flags))
  })
})
process.once('disconnect', () => process.exit(0))
server.listen(Number(process.argv[2] ?? 0), '127.0.0.1', () =>
  process.send?.({
    kind: 'ready',
    port: (server.address() as AddressInfo).port,
    lies: Object.keys(lies),
  }),
)
