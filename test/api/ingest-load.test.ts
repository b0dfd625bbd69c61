import assert from 'node:assert/strict'
import { describe, type TestContext, test } from 'node:test'
import { setTimeout as wait } from 'node:timers/promises'
import { gzipSync, zstdCompressSync } from 'node:zlib'
import { pino } from 'pino'
import { ingestRoutes } from '../../src/api/ingest.ts'
import { mountRoutes, toBareRoutes } from '../../src/api/route.ts'
import type { Accept } from '../../src/core/admission.ts'
import { Auth } from '../../src/platform/auth.ts'
import { bareRoutes } from '../../src/platform/bare-routes.ts'
import { createApp } from '../../src/platform/http.ts'
import { Lifecycle } from '../../src/platform/lifecycle.ts'
import { listen } from '../../src/platform/listen.ts'
import { watchLoopLag } from '../../src/platform/loop-lag.ts'
import { Metrics } from '../../src/platform/metrics.ts'
import { RecentCounts } from '../../src/platform/recent-counts.ts'
import { anyCallers } from '../support/callers.ts'
import { smallestEvent } from '../support/wire-events.ts'

/* What one caller can do to the others: its requests are large, and the limits are those of a role. */

const limits = {
  maxBytes: 8 * 2 ** 20,
  maxDecompressedBytes: 32 * 2 ** 20,
  readTimeoutMs: 60_000,
  maxBatchItems: 10_000,
  maxEventBytes: 65_536,
  maxSkewS: 600,
}

type Said = { total: number; failed: number; rejected: { index: number; detail: string }[] }

async function startDoor(t: TestContext, accept?: Accept) {
  const log = pino({ level: 'silent' })
  const metrics = new Metrics()
  const life = new Lifecycle(log)
  t.after(() => life.stop(5))
  watchLoopLag(metrics, life.signal)
  const parts: number[] = []
  const store: Accept = async (items) => {
    parts.push(items.length)
    return accept ? accept(items) : items.map(() => 'stored')
  }
  const routes = ingestRoutes({
    accept: store,
    metrics,
    recent: new RecentCounts(),
    limits,
    forwards: true,
  })
  const app = createApp({ log, metrics, callers: anyCallers })
  const auth = new Auth({ anonymous: ['ingest'] })
  mountRoutes(app, auth, routes)
  const bare = bareRoutes(toBareRoutes(routes), { log, metrics, auth, callers: anyCallers })
  const url = await listen(app, { host: '127.0.0.1', port: 0 }, life, bare)
  const post = async (path: string, body: string | Buffer, headers = {}) => {
    const answer = await fetch(`${url}/v1/ingest/${path}`, {
      method: 'POST',
      body,
      headers: { 'content-type': 'application/json', ...headers },
    })
    return { status: answer.status, said: (await answer.json()) as Said & { detail: string } }
  }
  return { post, parts, metrics }
}

const event = JSON.stringify({ ...smallestEvent(), note: 'x'.repeat(200) })
const array = (count: number, last = event) => `[${`${event},`.repeat(count - 1)}${last}]`

/** 32 MiB of values that cost the most to parse, in some kilobytes. */
const hard = `{"event":[1e-100${',{}'.repeat(11e6)}]}`
const tooLarge = /^the event must be at most 65536 bytes as JSON$/

describe('a large request', () => {
  const packed: [string, string, Buffer, object][] = [
    ['an array', 'events:batch', gzipSync(`[${hard}]`), { 'content-encoding': 'gzip' }],
    ['lines', 'events:batch', zstdCompressSync(hard), { 'content-encoding': 'zstd' }],
    ['an event', 'events', gzipSync(hard), { 'content-encoding': 'gzip' }],
  ]
  for (const [what, path, body, headers] of packed) {
    test(`is not parsed when no event is as large: ${what}`, async (t) => {
      assert.ok(body.length < 50_000, `${body.length} bytes`)
      const { post } = await startDoor(t)
      const { status, said } = await post(path, body, headers)
      const detail = path === 'events' ? said.detail : said.rejected[0]?.detail
      assert.equal(status, path === 'events' ? 422 : 200)
      assert.match(detail ?? '', tooLarge)
    })
  }

  test('costs only the item that is too large or too deep', async (t) => {
    const { post } = await startDoor(t)
    const deep = `${'['.repeat(200_000)}${']'.repeat(200_000)}`
    const { said } = await post('events:batch', `[${event},"${'x'.repeat(3e5)}",${deep},${event}]`)
    assert.equal(said.total, 4)
    assert.deepEqual(
      said.rejected.map(({ index, detail }) => [index, detail]),
      [
        [1, 'the event must be at most 65536 bytes as JSON'],
        [2, 'is nested too deeply; keep it to 32 levels'],
      ],
    )
  })

  test('is accepted in parts, in its order, and answered as a whole', async (t) => {
    const { post, parts } = await startDoor(t, async (items) =>
      items.map(({ event }) => (event.note === 'bad' ? { refused: 'cannot be stored' } : 'stored')),
    )
    const bad = JSON.stringify({ ...smallestEvent(), note: 'bad' })
    const body = `[${`${event},`.repeat(1500)}{},${`${event},`.repeat(700)}${bad}]`
    const { said } = await post('events:batch', body)
    assert.deepEqual([said.total, said.failed], [2202, 2])
    assert.deepEqual(
      said.rejected.map(({ index }) => index),
      [1500, 2201],
    )
    assert.deepEqual(parts, [1000, 999, 202])
  })

  test('has only some megabytes parsed at the same time', async (t) => {
    const { post, parts } = await startDoor(t)
    const large = JSON.stringify({ ...smallestEvent(), note: 'x'.repeat(60_000) })
    const { said } = await post('events:batch', `[${`${large},`.repeat(99)}${large}]`)
    assert.deepEqual([said.total, said.failed], [100, 0])
    assert.ok(Math.max(...parts) <= 36, parts.join(' '))
  })

  test('has nothing kept of it when it has too many events, or ends too early', async (t) => {
    const { post, parts } = await startDoor(t)
    assert.equal((await post('events:batch', array(10_001))).status, 413)
    assert.equal((await post('events:batch', array(3000).slice(0, -1))).status, 400)
    assert.equal((await post('events:batch', array(900, '{"a"}'))).status, 400)
    assert.deepEqual(parts, [])
  })

  test('that stops being JSON says where, and what came before is a repeat next time', async (t) => {
    const { post, parts } = await startDoor(t)
    const body = array(1500, '{"a"}')
    const { status, said } = await post('events:batch', body)
    assert.equal(status, 400)
    assert.match(said.detail, new RegExp(` at character ${body.length - 2}$`))
    assert.deepEqual(parts, [1000])
  })

  test('is accepted beside one other at most, and small ones are not held up', async (t) => {
    const held = Promise.withResolvers<void>()
    t.after(() => held.resolve())
    const started: number[] = []
    const { post } = await startDoor(t, async (items) => {
      started.push(items.length)
      if (items.length > 1) await held.promise
      return items.map(() => 'stored')
    })
    const large = Array.from({ length: 5 }, () => post('events:batch', array(1001)))
    while (started.length < 2) await wait(5)
    assert.equal((await post('events', event)).status, 200)
    assert.equal((await post('events:batch', `[${event}]`)).status, 200)
    assert.deepEqual(started, [1000, 1000, 1, 1])
    held.resolve()
    for (const { said } of await Promise.all(large)) assert.equal(said.total, 1001)
  })

  test('leaves a client with single events its answers: beside twelve of 10,000 events', async (t) => {
    const { post, metrics } = await startDoor(t)
    const body = array(10_000)
    let pending = 12
    const batches = Array.from({ length: pending }, async () => {
      const { said } = await post('events:batch', body)
      pending--
      return [said.total, said.failed]
    })
    let answered = 0
    while (pending > 0) {
      assert.equal((await post('events', event)).status, 200)
      answered++
    }
    for (const counts of await Promise.all(batches)) assert.deepEqual(counts, [10_000, 0])
    assert.ok(answered >= 20, `${answered} answers`)
    const buckets = await lagOf(metrics)
    while ((await lagOf(metrics)).samples === 0) await wait(5)
    assert.equal(buckets.under5s, buckets.samples, 'the event loop stood still')
  })
})

async function lagOf({ loopLag }: Metrics) {
  const { values } = await loopLag.get()
  const under5s = values.find(({ labels }) => labels.le === 5)?.value
  const count = values.find(({ metricName }) => metricName?.endsWith('_count'))
  return { under5s: under5s ?? 0, samples: count?.value ?? 0 }
}
