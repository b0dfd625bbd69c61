import assert from 'node:assert/strict'
import { once } from 'node:events'
import { writeFileSync } from 'node:fs'
import { connect } from 'node:net'
import { join } from 'node:path'
import { describe, type TestContext, test } from 'node:test'
import { setTimeout as wait } from 'node:timers/promises'
import { gzipSync, zstdCompressSync } from 'node:zlib'
import { pino } from 'pino'
import { ingestRoutes } from '../../src/api/ingest.ts'
import { mountRoutes, toBareRoutes } from '../../src/api/route.ts'
import type { Accept } from '../../src/core/admission.ts'
import { AppError } from '../../src/core/errors.ts'
import { Auth, newToken } from '../../src/platform/auth.ts'
import { bareRoutes } from '../../src/platform/bare-routes.ts'
import { createApp } from '../../src/platform/http.ts'
import { Lifecycle } from '../../src/platform/lifecycle.ts'
import { listen } from '../../src/platform/listen.ts'
import { Metrics } from '../../src/platform/metrics.ts'
import { RecentCounts } from '../../src/platform/recent-counts.ts'
import { anyCallers } from '../support/callers.ts'
import { smallLimits as limits } from '../support/door-limits.ts'
import { freshFolder } from '../support/processes.ts'

/*
 * The routes that take events are answered before the framework, and a query makes the framework
 * answer them: both must say the same.
 */

/** By the name of the app: what is made of the event. */
const accept: Accept = async (items) => {
  const names = items.map(({ event }) => event.app.name)
  if (names.includes('breaks')) throw new Error('a bug')
  if (names.includes('down')) throw new AppError('unavailable', 'the disk is away')
  return names.map((name) =>
    name === 'later'
      ? { later: 'the spool is full' }
      : name === 'refused'
        ? { refused: 'cannot be stored' }
        : name === 'again'
          ? 'duplicate'
          : 'stored',
  )
}

type Door = { auth?: Auth; take?: Accept; readTimeoutMs?: number }

async function startDoor(t: TestContext, { auth, take = accept, readTimeoutMs }: Door = {}) {
  const log = pino({ level: 'silent' })
  const metrics = new Metrics()
  const life = new Lifecycle(log)
  t.after(() => life.stop(30))
  const door = auth ?? new Auth({ anonymous: [] })
  const routes = ingestRoutes({
    accept: take,
    metrics,
    recent: new RecentCounts(),
    limits: { ...limits, ...(readTimeoutMs ? { readTimeoutMs } : {}) },
  })
  const app = createApp({ log, metrics, callers: anyCallers })
  mountRoutes(app, door, routes)
  const bare = bareRoutes(toBareRoutes(routes), { log, metrics, auth: door, callers: anyCallers })
  const url = await listen(app, { host: '127.0.0.1', port: 0 }, life, bare)
  return { port: Number(new URL(url).port), metrics }
}

type Said = {
  head?: readonly string[]
  body: string | Buffer
  chunked?: boolean
  cut?: boolean
  host?: string
  /** The first lines: by default HTTP/1.1, with a Host. */
  version?: readonly string[]
}

/** The bytes of the answer, without its date. */
async function ask(port: number, path: string, said: Said) {
  const { head = [], host = 'localhost', body, chunked, cut } = said
  const { version = ['1.1', `host: ${host}`] } = said
  const socket = connect(port, '127.0.0.1')
  const chunks: Buffer[] = []
  socket.on('data', (chunk: Buffer) => chunks.push(chunk)).on('error', () => {})
  const bytes = Buffer.from(body)
  const length = cut ? bytes.length + 10 : bytes.length
  const how = chunked ? 'transfer-encoding: chunked' : `content-length: ${length}`
  socket.write(
    [`POST ${path} HTTP/${version.join('\r\n')}`, 'connection: close', how, ...head, '', ''].join(
      '\r\n',
    ),
  )
  if (chunked) socket.write(`${bytes.length.toString(16)}\r\n`)
  socket.write(bytes)
  if (chunked) socket.write('\r\n0\r\n\r\n')
  // Not by `once`, which fails with an error of the socket: what counts is whether the answer came.
  await new Promise((resolve) => socket.once('close', resolve))
  return Buffer.concat(chunks)
    .toString('latin1')
    .replace(/^Date: .*\r\n/m, '')
}

const event = (name = 'etch', more: object = {}) => ({
  idempotency_key: '0193581e-7c42-7d10-9a35-6f0c41c2b7e8',
  site_id: 'fab1',
  app: { app_id: '5f0c41c2-7c42-4d10-9a35-0193581eb7e8', name },
  entity: { type: 'job', id: '5f0c41c2-7c42-4d10-9a35-0193581eb7e8' },
  event: { kind: 'started', at: '2026-03-01T12:00:00Z' },
  ...more,
})
const one = (name?: string, more?: object): Said => ({ body: JSON.stringify(event(name, more)) })
const many = (...names: string[]): Said => ({
  body: JSON.stringify(names.map((name) => event(name))),
})
const gzip = { head: ['content-encoding: gzip'] }

const zstd = { head: ['content-encoding: zstd'] }
const jsonSeq = { head: ['content-type: application/json-seq'] }
const twoParts = (pack: (text: string) => Buffer) =>
  Buffer.concat([pack(`${one().body}\n`), pack(`${one().body}\n`)])

const single = '/v1/ingest/events'
const batch = '/v1/ingest/events:batch'
const requests: [string, string, Said, RegExp][] = [
  ['an event', single, one(), /^HTTP\/1.1 200 OK[\s\S]*{"ok":true,"duplicate":false}$/],
  ['a repeat', single, one('again'), /"duplicate":true}$/],
  ['an event in chunks', single, { ...one(), chunked: true }, /"duplicate":false}$/],
  ['one for later', single, one('later'), / 503 [\s\S]*retry-after: 5/],
  ['one that is refused', single, one('refused'), / 422 [\s\S]*cannot be stored/],
  ['one with a field missing', single, one('x', { site_id: undefined }), / 422 [\s\S]*"site_id"/],
  ['a list where one is due', single, many('x'), / 422 [\s\S]*events:batch/],
  ['no JSON', single, { body: '{"a":' }, / 400 [\s\S]*is not JSON/],
  ['no body', single, { body: '' }, / 400 /],
  ['no UTF-8', single, { body: Buffer.from([0xff, 0xfe]) }, / 400 [\s\S]*UTF-8/],
  ['one that is too large', single, one('x', { x: 'y'.repeat(6000) }), / 422 [\s\S]*5000 bytes/],
  ['a body that is too large', single, { body: ' '.repeat(20_001) }, / 413 /],
  ['the same in chunks', single, { body: ' '.repeat(20_001), chunked: true }, / 413 /],
  ['a body that does not end', single, { ...one(), cut: true }, / 400 [\s\S]*too long to arrive/],
  ['a bug of ours', single, one('breaks'), / 500 [\s\S]*urn:wafermon:problem:internal/],
  ['an outage', single, one('down'), / 503 /],
  ['an unknown encoding', single, { ...one(), head: ['content-encoding: br'] }, / 415 /],
  ['not gzip', single, { ...one(), ...gzip }, / 400 [\s\S]*is not gzip/],
  ['gzip', single, { body: gzipSync(one().body), ...gzip }, / 200 /],
  ['gzip in two parts', batch, { body: twoParts(gzipSync), ...gzip }, /"total":2,"success":2/],
  [
    'zstd in two parts',
    batch,
    { body: twoParts(zstdCompressSync), ...zstd },
    /"total":2,"success":2/,
  ],
  ['HTTP/1.0 without Host', single, { ...one(), version: ['1.0'] }, / 200 /],
  ['a bomb', single, { body: gzipSync(' '.repeat(30_000)), ...gzip }, / 413 /],
  ['JSON lines', batch, { ...one(), head: ['content-type: application/x-ndjson'] }, / 200 /],
  ['no type', single, { ...one(), head: [] }, / 200 /],
  [
    'plain text',
    single,
    { ...one(), head: ['content-type: text/plain;charset=UTF-8'] },
    / 415 [\s\S]*-H 'content-type: application\/json'/,
  ],
  [
    'what curl sends',
    batch,
    { ...many('a'), head: ['content-type: application/x-www-form-urlencoded'] },
    / 415 [\s\S]*not JSON/,
  ],
  ['other JSON', single, { ...one(), head: ['content-type: application/x+json; v=1'] }, / 200 /],
  ['another host', single, { ...one(), host: 'evil.example' }, / 403 [\s\S]*ALLOWED_HOSTS/],
  [
    'a page of another origin',
    single,
    { ...one(), head: ['origin: http://evil.example'] },
    / 403 /,
  ],
  ['the same, of a site', batch, { ...many('a'), head: ['sec-fetch-site: cross-site'] }, / 403 /],
  ['our own page', single, { ...one(), head: ['origin: http://localhost'] }, / 200 /],
  ['a batch', batch, many('a', 'again'), /"total":2,"success":2,"failed":0,"duplicates":1/],
  ['a batch with all verdicts', batch, many('a', 'later', 'refused'), /"retryable":true/],
  ['a batch with no room', batch, many('later', 'later'), / 503 [\s\S]*the spool is full/],
  ['a batch that is too long', batch, many('a', 'a', 'a', 'a'), / 413 /],
  ['an empty batch', batch, many(), /"total":0/],
  ['records', batch, { body: `\x1e${one().body}\n\x1e${one().body}\n` }, /"total":2,"success":2/],
  ['records, said to be such', batch, { body: `\x1e${one().body}\n`, ...jsonSeq }, /"success":1/],
  ['lines', batch, { body: `${one().body}\nnonsense\n` }, /"failed":1[\s\S]*the line is not JSON/],
]

describe('a route that is answered before the framework', () => {
  for (const [what, path, said, wanted] of requests) {
    test(`says what the framework says: ${what}`, async (t) => {
      const { port, metrics } = await startDoor(t, said.cut ? { readTimeoutMs: 100 } : {})
      const bare = await ask(port, path, said)
      assert.match(bare, wanted)
      assert.equal(bare, await ask(port, `${path}?`, said))
      const { values } = await metrics.httpRequests.get()
      const status = bare.slice(9, 12)
      assert.deepEqual(
        values.map(({ labels, value }) => [labels, value]),
        [[{ method: 'POST', endpoint: path, status }, 2]],
      )
    })
  }

  test('requires the same tokens', async (t) => {
    const tokensFile = join(freshFolder(), 'tokens')
    writeFileSync(tokensFile, '')
    const [good, poor] = [newToken(tokensFile, ['ingest']), newToken(tokensFile, ['read'])]
    const { port } = await startDoor(t, { auth: new Auth({ tokensFile, anonymous: [] }) })
    const bearer = (token: string) => ({ ...one(), head: [`authorization: Bearer ${token}`] })
    const cases: [Said, RegExp][] = [
      [one(), / 401 [\s\S]*www-authenticate: Bearer realm="wafermon"/],
      [bearer('wfm_wrong'), / 401 /],
      [bearer(poor), / 403 /],
      [bearer(good), / 200 /],
      [{ ...one(), head: [...bearer(good).head, ...bearer(poor).head] }, / 401 /],
    ]
    for (const [said, wanted] of cases) {
      const bare = await ask(port, single, said)
      assert.match(bare, wanted)
      assert.equal(bare, await ask(port, `${single}?`, said))
    }
  })

  test('looks a token up once', async (t) => {
    const tokensFile = join(freshFolder(), 'tokens')
    const token = newToken(tokensFile, ['forward'])
    const { mock: find } = t.mock.method(Auth.prototype, 'find')
    const { port } = await startDoor(t, { auth: new Auth({ tokensFile, anonymous: [] }) })
    const head = [`authorization: Bearer ${token}`]
    for (const path of [single, batch, `${single}?`, `${batch}?`]) {
      assert.match(await ask(port, path, { ...one(), head }), / 200 /)
      assert.equal(find.callCount(), 1, path)
      find.resetCalls()
    }
  })

  test('drops the stamps of a token without the scope for them, and says so', async (t) => {
    const tokensFile = join(freshFolder(), 'tokens')
    writeFileSync(tokensFile, '')
    const [program, spool] = [newToken(tokensFile, ['ingest']), newToken(tokensFile, ['forward'])]
    const taken: unknown[] = []
    const take: Accept = async (items) => {
      taken.push(items[0]?.event.source?.id)
      return accept(items)
    }
    const auth = new Auth({ tokensFile, anonymous: [] })
    const { port } = await startDoor(t, { auth, take })
    const stamp = { source: { id: 'bn-07', epoch: 'e', seq: 1 }, received_at: event().event.at }
    for (const path of [batch, `${batch}?`]) {
      for (const [token, said] of [
        [program, /"rejected":\[\],"stamps":"ignored"}$/],
        [spool, /"rejected":\[\]}$/],
      ] as const) {
        const head = [`authorization: Bearer ${token}`]
        assert.match(await ask(port, path, { ...one('x', stamp), head }), said)
      }
    }
    assert.deepEqual(taken, [undefined, 'bn-07', undefined, 'bn-07'])
  })

  test('answers once its events are durable, and not before', async (t) => {
    for (const path of [single, `${single}?`]) {
      const asked = Promise.withResolvers<void>()
      const durable = Promise.withResolvers<void>()
      const take: Accept = async (items) => {
        asked.resolve()
        await durable.promise
        return accept(items)
      }
      const { port } = await startDoor(t, { take })
      let answered = false
      const answer = ask(port, path, one()).finally(() => {
        answered = true
      })
      await asked.promise
      assert.match(await ask(port, '/elsewhere', one()), / 404 /)
      assert.equal(answered, false)
      durable.resolve()
      assert.match(await answer, / 200 /)
    }
  })

  test('answers in order what comes together on a connection, refused bodies among it', async (t) => {
    for (const suffix of ['', '?']) {
      const { port } = await startDoor(t)
      const socket = connect(port, '127.0.0.1')
      t.after(() => socket.destroy())
      const body = JSON.stringify(event())
      const post = (...head: string[]) =>
        [
          `POST ${single}${suffix} HTTP/1.1`,
          'host: localhost',
          `content-length: ${body.length}`,
          ...head,
          '',
          body,
        ].join('\r\n')
      const requests = [
        post(),
        post('content-encoding: br'),
        post('content-encoding: gzip'),
        post('expect: 100-continue'),
        post('connection: close'),
      ]
      let said = ''
      socket.setEncoding('latin1').on('data', (text: string) => {
        said += text
      })
      socket.write(requests.join(''))
      await once(socket, 'close')
      const statuses = [...said.matchAll(/HTTP\/1\.1 (\d+)/g)].map(([, status]) => status)
      assert.deepEqual(statuses, ['200', '415', '400', '100', '200', '200'], `suffix ${suffix}`)
    }
  })

  test('gets its answer to a caller that sends a large body first and wants to close', async (t) => {
    const tokensFile = join(freshFolder(), 'tokens')
    writeFileSync(tokensFile, '')
    newToken(tokensFile, ['ingest'])
    const { port } = await startDoor(t, { auth: new Auth({ tokensFile, anonymous: [] }) })
    const large = { body: ' '.repeat(24 * 2 ** 20) }
    for (let i = 0; i < 5; i++) {
      assert.match(await ask(port, single, large), / 401 [\s\S]*urn:wafermon:problem:unauthorized/)
    }
  })

  test('outlives a caller that goes away in the middle', async (t) => {
    const { port, metrics } = await startDoor(t)
    const socket = connect(port, '127.0.0.1')
    await once(socket, 'connect')
    socket.write(`POST ${single} HTTP/1.1\r\nhost: localhost\r\ncontent-length: 100\r\n\r\n{`)
    socket.destroy()
    while ((await metrics.httpRequests.get()).values.length === 0) await wait(5)
    assert.match(await ask(port, single, one()), / 200 /)
  })
})
