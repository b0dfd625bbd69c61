import assert from 'node:assert/strict'
import { once } from 'node:events'
import { connect } from 'node:net'
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
