import assert from 'node:assert/strict'
import { once } from 'node:events'
import type { IncomingMessage } from 'node:http'
import { connect } from 'node:net'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import { text } from 'node:stream/consumers'
import { describe, type TestContext, test } from 'node:test'
import { constants, gzipSync, zstdCompressSync } from 'node:zlib'
import type { HttpBindings } from '@hono/node-server'
import fc from 'fast-check'
import { Hono } from 'hono'
import { pino } from 'pino'
import { Auth, newToken } from '../../src/platform/auth.ts'
import { Intake } from '../../src/platform/body.ts'
import { collect } from '../../src/platform/collect.ts'
import { createApp } from '../../src/platform/http.ts'
import { Lifecycle } from '../../src/platform/lifecycle.ts'
import { listen } from '../../src/platform/listen.ts'
import { Metrics } from '../../src/platform/metrics.ts'
import { anyCallers } from '../support/callers.ts'
import { freshFolder } from '../support/processes.ts'
import { runs } from '../support/wild.ts'

const maxBytes = 100_000

/** A server that answers with the body it read, and tells what became of each. */
async function echo(
  t: TestContext,
  { readTimeoutMs = 30_000, auth = new Auth({ anonymous: [] }) } = {},
) {
  const log = pino({ level: 'silent' })
  const life = new Lifecycle(log)
  t.after(() => life.stop(30))
  const failures: string[] = []
  const intake = new Intake({ maxBytes, maxDecompressedBytes: maxBytes, readTimeoutMs })
  const routes = new Hono<{ Bindings: HttpBindings }>().post('/echo', async (c) => {
    try {
      const caller = auth.admit('ingest', () => c.req.header('authorization'))
      const { text, done } = await intake.read(c.env.incoming, caller)
      done()
      return c.text(text)
    } catch (error) {
      failures.push((error as Error).message)
      throw error
    }
  })
  const app = createApp({ log, metrics: new Metrics(), callers: anyCallers }).route('/', routes)
  const url = await listen(app, { host: '127.0.0.1', port: 0 }, life)
  return { url: `${url}/echo`, port: Number(new URL(url).port), failures, intake }
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

describe('a body', () => {
  test('is read whole: declared, in chunks, compressed, empty', async (t) => {
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

  test('is refused when it is too large: declared, in chunks, or once decompressed', async (t) => {
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

    test(`is not waited for without end: ${what}`, async (t) => {
      const { port } = await echo(t, { readTimeoutMs: 50 })
      const socket = say(t, port, [head, 'connection: close'], part)
      const answer = await text(socket)
      assert.match(answer, /^HTTP\/1.1 400 /)
      assert.match(answer, /the body took too long to arrive/)
    })

    test(`is ignored when it was cut off: ${what}`, async (t) => {
      const { port, failures, url } = await echo(t)
      const socket = say(t, port, [head], part)
      await once(socket, 'connect')
      socket.end()
      while (failures.length === 0) await new Promise(setImmediate)
      assert.deepEqual(failures, ['the body ended before it was complete; send it again'])
      assert.equal((await fetch(url, { method: 'POST', body: 'next' })).status, 200)
    })
  }

  test('is read whole, in however small pieces it comes', async () => {
    const sizes = fc.array(fc.oneof(fc.nat({ max: 9 }), fc.nat({ max: 5000 })), { maxLength: 60 })
    await fc.assert(
      fc.asyncProperty(sizes, async (sizes) => {
        const pieces = sizes.map((size, i) => Buffer.alloc(size, 97 + (i % 26)))
        const request = Readable.from(pieces, { objectMode: true }) as unknown as IncomingMessage
        const limits = { maxBytes: 1e6, maxDecompressedBytes: 1e6, readTimeoutMs: 30_000 }
        assert.deepEqual(await collect(request, limits), Buffer.concat(pieces))
      }),
      { numRuns: runs(200) },
    )
  })

  test('has no more room than its budget: sixty bombs at the same time', async (t) => {
    const { url, intake } = await echo(t)
    const bomb = zstdCompressSync('x'.repeat(maxBytes), {
      params: { [constants.ZSTD_c_contentSizeFlag]: 0 },
    })
    const headers = { 'content-encoding': 'zstd' }
    let most = 0
    const watch = setInterval(() => {
      most = Math.max(most, intake.state().working)
    })
    const answers = Array.from({ length: 60 }, () =>
      fetch(url, { method: 'POST', body: bomb, headers }).then((answer) => answer.text()),
    )
    for (const text of await Promise.all(answers)) assert.equal(text.length, maxBytes)
    clearInterval(watch)
    assert.ok(most <= 4 * 18 * maxBytes, `${most} bytes in use`)
    assert.deepEqual(intake.state(), { arriving: 0, working: 0, waiting: 0 })
  })

  test('of a caller with many that lack a byte takes no room of others, and small ones pass', async (t) => {
    const { url, port, intake } = await echo(t)
    const [share, count] = [8, 40]
    const head = [`content-length: ${maxBytes}`]
    const sockets = Array.from({ length: count }, () =>
      say(t, port, head, 'x'.repeat(maxBytes - 1)),
    )
    while (intake.state().waiting < count - share) await new Promise(setImmediate)
    assert.deepEqual(intake.state(), {
      arriving: share * maxBytes,
      working: 0,
      waiting: count - share,
    })
    assert.equal((await fetch(url, { method: 'POST', body: 'small' })).status, 200)
    const other = connect({ port, host: '127.0.0.1', localAddress: '127.0.0.2' })
    other.write(`POST /echo HTTP/1.1\r\nhost: x\r\nconnection: close\r\n${head}\r\n\r\n`)
    other.write('x'.repeat(maxBytes))
    assert.match(await text(other), /^HTTP\/1.1 200 /)
    // Without a length it counts once it is large.
    const chunk = (bytes: number) => `${bytes.toString(16)}\r\n${'x'.repeat(bytes)}\r\n`
    const small = say(t, port, ['transfer-encoding: chunked', 'connection: close'], chunk(9))
    small.write('0\r\n\r\n')
    assert.match(await text(small), /^HTTP\/1.1 200 /)
    sockets.push(say(t, port, ['transfer-encoding: chunked'], chunk(70_000)))
    while (intake.state().waiting <= count - share) await new Promise(setImmediate)
    for (const socket of sockets) socket.destroy()
    while (intake.state().arriving > 0) await new Promise(setImmediate)
  })

  test('counts for its token, from wherever that comes, and for no other at the same address', async (t) => {
    const tokensFile = join(freshFolder(), 'tokens')
    const [mine, other] = [newToken(tokensFile, ['ingest']), newToken(tokensFile, ['ingest'])]
    const auth = new Auth({ tokensFile, anonymous: ['ingest'] })
    const { port, intake } = await echo(t, { auth })
    const share = 8
    const ask = (token: string | undefined, localAddress: string, body: string) => {
      const socket = connect({ port, host: '127.0.0.1', localAddress }).on('error', () => {})
      t.after(() => socket.destroy())
      const head = ['POST /echo HTTP/1.1', 'host: x', 'connection: close']
      if (token) head.push(`authorization: Bearer ${token}`)
      socket.write(`${[...head, `content-length: ${maxBytes}`].join('\r\n')}\r\n\r\n${body}`)
      return socket
    }
    const [whole, lacking] = ['x'.repeat(maxBytes), 'x'.repeat(maxBytes - 1)]
    const sockets = ['127.0.0.1', '127.0.0.2'].flatMap((address) =>
      Array.from({ length: share }, () => ask(mine, address, lacking)),
    )
    const seen = ({ arriving, waiting } = intake.state()) => arriving / maxBytes + waiting
    while (seen() < sockets.length) await new Promise(setImmediate)
    assert.deepEqual(intake.state(), { arriving: share * maxBytes, working: 0, waiting: share })
    // By an unknown token a caller is no one in particular.
    for (const token of [other, undefined, 'wfm_unknown']) {
      assert.match(await text(ask(token, '127.0.0.1', whole)), /^HTTP\/1.1 200 /)
    }
    assert.equal(intake.state().waiting, share)
    for (const socket of sockets) socket.destroy()
    while (intake.state().arriving > 0) await new Promise(setImmediate)
  })
})
