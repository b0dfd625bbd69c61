import assert from 'node:assert/strict'
import { once } from 'node:events'
import { connect } from 'node:net'
import { text } from 'node:stream/consumers'
import { describe, type TestContext, test } from 'node:test'
import { gzipSync, zstdCompressSync } from 'node:zlib'
import type { HttpBindings } from '@hono/node-server'
import { Hono } from 'hono'
import { pino } from 'pino'
import { readBody } from '../../src/platform/body.ts'
import { createApp } from '../../src/platform/http.ts'
import { Lifecycle } from '../../src/platform/lifecycle.ts'
import { listen } from '../../src/platform/listen.ts'
import { Metrics } from '../../src/platform/metrics.ts'
import { anyCallers } from '../support/callers.ts'

const maxBytes = 100_000

/** A server that answers with the body it read, and tells what became of each. */
async function echo(t: TestContext, readTimeoutMs = 30_000) {
  const log = pino({ level: 'silent' })
  const life = new Lifecycle(log)
  t.after(() => life.stop(5))
  const failures: string[] = []
  const routes = new Hono<{ Bindings: HttpBindings }>().post('/echo', async (c) => {
    const limits = { maxBytes, maxDecompressedBytes: maxBytes, readTimeoutMs }
    try {
      return c.text(await readBody(c.env.incoming, limits))
    } catch (error) {
      failures.push((error as Error).message)
      throw error
    }
  })
  const app = createApp({ log, metrics: new Metrics(), callers: anyCallers }).route('/', routes)
  const url = await listen(app, { host: '127.0.0.1', port: 0 }, life)
  return { url: `${url}/echo`, port: Number(new URL(url).port), failures }
}

/** Says something to the server by hand. */
function say(t: TestContext, port: number, head: string[], body: string) {
  const socket = connect(port, '127.0.0.1')
  socket.on('error', () => {})
  t.after(() => socket.destroy())
  socket.write(`${['POST /echo HTTP/1.1', 'host: x', ...head].join('\r\n')}\r\n\r\n${body}`)
  return socket
}

/** A body without a declared length. */
const chunked = (...chunks: (string | Uint8Array)[]) => ({
  method: 'POST',
  duplex: 'half' as const,
  body: ReadableStream.from(chunks.map((chunk) => Buffer.from(chunk))),
})

describe('readBody', () => {
  test('reads a body whole: declared, in chunks, compressed, empty', async (t) => {
    const { url } = await echo(t)
    const long = 'ö'.repeat(maxBytes / 2)
    for (const init of [
      { method: 'POST', body: long },
      chunked('ö'.repeat(10_000), 'ö'.repeat(40_000)),
      { method: 'POST', body: gzipSync(long), headers: { 'content-encoding': 'gzip' } },
      { method: 'POST', body: zstdCompressSync(long), headers: { 'content-encoding': 'zstd' } },
    ]) {
      const answer = await fetch(url, init)
      assert.deepEqual([answer.status, (await answer.text()) === long], [200, true])
    }
    const empty = await fetch(url, { method: 'POST' })
    assert.deepEqual([empty.status, await empty.text()], [200, ''])
  })

  test('refuses one that is too large: declared, in chunks, or once decompressed', async (t) => {
    const { url } = await echo(t)
    const large = 'x'.repeat(maxBytes + 1)
    for (const init of [
      { method: 'POST', body: large },
      chunked(large.slice(0, 60_000), large.slice(60_000)),
      { method: 'POST', body: gzipSync(large), headers: { 'content-encoding': 'gzip' } },
    ]) {
      const answer = await fetch(url, init)
      assert.equal(answer.status, 413)
      assert.match(await answer.text(), /send fewer events per request/)
    }
  })

  for (const [what, head] of [
    ['declared', 'content-length: 10'],
    ['in chunks', 'transfer-encoding: chunked'],
  ] as const) {
    const part = what === 'declared' ? 'abc' : '3\r\nabc\r\n'

    test(`does not wait forever for the rest of one: ${what}`, async (t) => {
      const { port } = await echo(t, 50)
      const socket = say(t, port, [head, 'connection: close'], part)
      const answer = await text(socket)
      assert.match(answer, /^HTTP\/1.1 400 /)
      assert.match(answer, /the body took too long to arrive/)
    })

    test(`ignores one that was cut off: ${what}`, async (t) => {
      const { port, failures, url } = await echo(t)
      const socket = say(t, port, [head], part)
      await once(socket, 'connect')
      socket.end()
      while (failures.length === 0) await new Promise(setImmediate)
      assert.deepEqual(failures, ['the body ended before it was complete; send it again'])
      assert.equal((await fetch(url, { method: 'POST', body: 'next' })).status, 200)
    })
  }
})
