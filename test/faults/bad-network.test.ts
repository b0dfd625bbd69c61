import assert from 'node:assert/strict'
import { connect, type Socket } from 'node:net'
import { describe, test } from 'node:test'
import { connect as openStore } from '../../src/store/connect.ts'
import { freshDatabase } from '../support/database.ts'
import { freshFolder, startRole, until } from '../support/processes.ts'
import { ask, assertAllTaken, countStored, healthOf } from '../support/site.ts'
import { startProxy, type Weather } from '../support/tcp-proxy.ts'
import { postEvents, startOfJob } from '../support/wire-events.ts'

/* Slow, cut and half-open connections: between the sidecar and the local API, and from programs to the sidecar. */

/** Posts events one by one; each must be taken, whatever happens beyond the sidecar. */
async function send(url: string, n: number): Promise<void> {
  for (let i = 0; i < n; i++) {
    const answer = await postEvents(url, startOfJob())
    assert.equal(answer.status, 200, await answer.text())
  }
}

const weathers: [string, Weather][] = [
  ['slow', { kind: 'slow', ms: 40 }],
  ['cut in the head of the request', { kind: 'cut', of: 'request', after: 20 }],
  ['cut in the body of the request', { kind: 'cut', of: 'request', after: 400 }],
  ['cut before the answer', { kind: 'cut', of: 'answer', after: 0 }],
  ['cut in the head of the answer', { kind: 'cut', of: 'answer', after: 30 }],
  ['cut in the last byte of the answer', { kind: 'cut', of: 'answer', after: 700 }],
  ['half-open', { kind: 'silent' }],
  ['deaf in one direction', { kind: 'deaf' }],
  ['reset', { kind: 'reset' }],
  ['answered by noise', { kind: 'garbage', bytes: Uint8Array.from([0, 255, 13, 10, 7]) }],
  ['answered by half a status line', { kind: 'garbage', bytes: 'HTTP/1.1 20' }],
  [
    'answered with 200 by another server',
    { kind: 'garbage', bytes: 'HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}' },
  ],
  ['a trickle', { kind: 'trickle', ms: 50 }],
]

describe('a network between sidecar and local API that is', () => {
  test('of any kind of bad loses nothing, repeats nothing, and is over when it is over', async (t) => {
    const { url: database } = await freshDatabase(t)
    const store = openStore(database, { role: 'test', max: 1 })
    t.after(() => store.close())
    const api = await startRole(t, 'local-api', { DATABASE_URL: database })
    const proxy = await startProxy(t, api.url)
    const sidecar = await startRole(t, 'sidecar', {
      SPOOL_DIR: freshFolder(),
      LOCAL_API_BASE: proxy.url,
      REQUEST_TIMEOUT_S: '1',
    })
    let sent = 0
    for (const [name, weather] of weathers) {
      proxy.weather(weather)
      await send(sidecar.url, 20)
      sent += 20
      await until(`a delivery over a network that is ${name}`, () => proxy.opened() > 0)
      // Slowness alone is not a failure.
      if (weather.kind !== 'slow') await until(`failures: ${name}`, () => fails(sidecar.url))
      proxy.weather({ kind: 'fine' })
      await assertAllTaken({ sidecar })
      assert.equal(await countStored(store), sent, name)
    }
    const rows = await ask(store, 'select received::text, s.received from source s')
    assert.deepEqual(
      rows.map((row) => row.received),
      [`{[1,${sent + 1})}`],
    )
    const counts = await ask(store, 'select distinct event_count::int as n from job')
    assert.deepEqual(
      counts.map((row) => row.n),
      [1],
    )
  })

  test('half-open does not keep the sidecar from taking events', async (t) => {
    const proxy = await startProxy(t, 'http://127.0.0.1:9')
    proxy.weather({ kind: 'silent' })
    const sidecar = await startRole(t, 'sidecar', {
      SPOOL_DIR: freshFolder(),
      LOCAL_API_BASE: proxy.url,
      REQUEST_TIMEOUT_S: '600',
    })
    await send(sidecar.url, 1)
    await until('a heartbeat and a delivery under way', () => proxy.opened() === 2)
    await send(sidecar.url, 100)
    // They are still under way: nothing of this waited for them.
    assert.equal(proxy.opened(), 2)
    const { spool_count, sinks } = await healthOf(sidecar.url)
    assert.deepEqual([spool_count, sinks['local-api'].failures], [101, 0])
    assert.equal((await sidecar.stop()).code, 0)
  })
})

const fails = async (url: string) => (await healthOf(url)).sinks['local-api'].failures > 0

const head = 'POST /v1/ingest/events HTTP/1.1\r\nHost: x\r\n'
const slow: [string, string, string][] = [
  ['says nothing', '', ''],
  ['sends half a request line', 'POST /v1/ing', ''],
  ['sends its headers a byte at a time', head, 'x'],
  ['sends its body a byte at a time', `${head}Content-Length: 5000\r\n\r\n{`, ' '],
  ['sends chunks without an end', `${head}Transfer-Encoding: chunked\r\n\r\n`, '1\r\n \r\n'],
  ['promises a body', `${head}Content-Length: 5000\r\n\r\n`, ''],
]

describe('a program that', () => {
  test('is slow, or half gone, is cut off and does not hinder other callers', async (t) => {
    const sidecar = await startRole(t, 'sidecar', {
      SPOOL_DIR: freshFolder(),
      LOCAL_API_BASE: 'http://127.0.0.1:9',
      REQUEST_READ_TIMEOUT_S: '1',
    })
    const port = Number(new URL(sidecar.url).port)
    const callers = slow.flatMap(([name, first, more]) =>
      Array.from({ length: 20 }, () => ({ name, closed: slowCaller(port, first, more) })),
    )
    await send(sidecar.url, 50)
    for (const { name, closed } of callers) {
      const said = await closed
      // A caller that got as far as a body is answered; the others are cut off, or get 408.
      if (/body|chunks/.test(name)) assert.match(said, /^HTTP\/1.1 400 .*took too long/s, name)
      else assert.match(said, /^$|^HTTP\/1.1 408 /, name)
    }
    await send(sidecar.url, 1)
  })
})

/** Sends `first`, then `more` again and again until it is cut off. @returns what it was told */
async function slowCaller(port: number, first: string, more: string): Promise<string> {
  const socket: Socket = connect(port, '127.0.0.1')
  let said = ''
  socket.on('data', (piece) => {
    said += piece
  })
  socket.on('error', () => {})
  socket.write(first)
  const again = setInterval(() => more && socket.write(more), 100)
  await new Promise((done) => socket.once('close', done))
  clearInterval(again)
  return said
}
