import assert from 'node:assert/strict'
import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import { text } from 'node:stream/consumers'
import { describe, test } from 'node:test'
import { Hono } from 'hono'
import { pino } from 'pino'
import { Lifecycle } from '../../src/platform/lifecycle.ts'
import { listen } from '../../src/platform/listen.ts'

/** The answer of a server to these bytes, before it closes the connection. */
async function say(bytes: string): Promise<string> {
  const life = new Lifecycle(pino({ level: 'silent' }))
  const url = await listen(new Hono(), { host: '127.0.0.1', port: 0 }, life)
  const socket = connect(Number(new URL(url).port), '127.0.0.1')
  await once(socket, 'connect')
  socket.write(bytes)
  const answer = await text(socket)
  await life.stop(5)
  return answer
}

describe('what is not HTTP', () => {
  const cases: [string, string, RegExp][] = [
    [
      'nonsense',
      'HELLO\r\n\r\n',
      /^HTTP\/1.1 400 [\s\S]*"status":400,"detail":"this is not a valid HTTP/,
    ],
    ['an unknown method', 'FOO / HTTP/1.1\r\nHost: a\r\n\r\n', /^HTTP\/1.1 400 /],
    [
      'headers without end',
      `GET / HTTP/1.1\r\nHost: a\r\nX: ${'x'.repeat(20_000)}\r\n\r\n`,
      /^HTTP\/1.1 431 [\s\S]*"status":431,"detail":"the headers .* exceed 16 KiB/,
    ],
    [
      'a length that contradicts itself',
      'POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n',
      /^HTTP\/1.1 400 /,
    ],
    [
      'two Host headers',
      'GET / HTTP/1.1\r\nHost: a\r\nhOST: a\r\n\r\n',
      /^HTTP\/1.1 400 [\s\S]*"status":400,"detail":"there are several Host headers; send one/,
    ],
    [
      'two Host headers with a body',
      `POST / HTTP/1.1\r\nHost: a\r\nHost: b\r\nContent-Length: 70000\r\n\r\n${'x'.repeat(70_000)}`,
      /^HTTP\/1.1 400 /,
    ],
  ]
  for (const [what, bytes, answer] of cases) {
    test(`gets a problem document: ${what}`, async () => {
      const said = await say(bytes)
      assert.match(said, answer)
      const [, body = ''] = said.split('\r\n\r\n')
      assert.equal(JSON.parse(body).type, 'urn:wafermon:problem:unreadable')
    })
  }
})

describe('a connection without a request', () => {
  test('is closed soon after its answer, although its caller keeps it', {
    timeout: 10_000,
  }, async (t) => {
    const life = new Lifecycle(pino({ level: 'silent' }))
    t.after(() => life.stop(30))
    const address = { host: '127.0.0.1', port: 0, readTimeoutMs: 50 }
    const url = await listen(new Hono(), address, life)
    const accepted = new Promise<Socket>((resolve) => {
      const take = (message: unknown) => resolve((message as { socket: Socket }).socket)
      subscribe('net.server.socket', take)
      t.after(() => unsubscribe('net.server.socket', take))
    })
    const socket = connect({ port: Number(new URL(url).port), allowHalfOpen: true })
    t.after(() => socket.destroy())
    const ours = await accepted
    const closed = once(ours, 'close')
    assert.match(await text(socket), /^HTTP\/1.1 408 /)
    await closed
    assert.equal(socket.destroyed, false)
  })
})
