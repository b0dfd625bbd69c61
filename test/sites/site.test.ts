import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer, type ServerResponse } from 'node:http'
import type { AddressInfo, Socket } from 'node:net'
import { describe, type TestContext, test } from 'node:test'
import { appsQuestion } from '../../src/core/questions/apps.ts'
import { sourcesQuestion } from '../../src/core/questions/sources.ts'
import { Site } from '../../src/sites/site.ts'
import { until } from '../support/processes.ts'

type Answer = (response: ServerResponse) => unknown
const patient = () => AbortSignal.timeout(20_000)
const items: Answer = (response) => response.end('{"items":[]}')
const health: Answer = (response) => response.end('{"status":"ok","version":"7"}')
const silence: Answer = () => {}

/** A real server that answers as it is told, and a site over it. */
async function aSite(t: TestContext, timeoutMs = 20_000) {
  const asked: string[] = []
  const api = { asked, health, stream: items, other: items, connections: 0 }
  const sockets = new Set<Socket>()
  const server = createServer((request, response) => {
    const path = request.url ?? ''
    asked.push(`${request.method} ${path}`)
    if (path.startsWith('/v1/healthz')) api.health(response)
    else if (path.startsWith('/v1/stream')) api.stream(response)
    else api.other(response)
  })
  server.on('connection', (socket) => {
    api.connections++
    sockets.add(socket)
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const stopping = new AbortController()
  const ups: boolean[] = []
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  const site = new Site({
    id: 'fab1',
    url,
    timeoutMs,
    stopping: stopping.signal,
    onUp: (up) => ups.push(up),
  })
  t.after(() => {
    stopping.abort()
    site.close()
    for (const socket of sockets) socket.destroy()
    server.close()
  })
  return { site, api, ups, url }
}

describe('a site', () => {
  test('keeps its connection', async (t) => {
    const { site, api } = await aSite(t)
    for (let i = 0; i < 5; i++) await site.reader.ask(appsQuestion, {}, patient())
    assert.equal(api.connections, 1)
  })

  test('is asked for its health once by all who ask within a moment', async (t) => {
    const { site, api, ups, url } = await aSite(t)
    const all = await Promise.all([site.health(), site.health(), site.health()])
    const again = await site.health()
    for (const { age_s, ...rest } of [...all, again]) {
      assert.deepEqual(rest, {
        id: 'fab1',
        status: 'ok',
        endpoint: url,
        version: '7',
        error: null,
      })
      assert.equal(typeof age_s, 'number')
    }
    assert.deepEqual(api.asked.toSorted(), ['GET /v1/healthz', 'HEAD /v1/stream'])
    assert.deepEqual(ups, [true])
  })

  test('that is away makes the next questions fail immediately, and is used when it is back', async (t) => {
    const { site, api } = await aSite(t, 300)
    api.health = api.other = silence
    for (let i = 0; i < 3; i++) {
      await assert.rejects(
        site.reader.ask(appsQuestion, {}, patient()),
        /did not answer within 0.3 s/,
      )
    }
    // One question finds out by itself; the others share its waiting, and then need not wait at all.
    const fails = () =>
      assert.rejects(site.reader.ask(appsQuestion, {}, patient()), /did not answer within 0.3 s/)
    await Promise.all([fails(), fails(), fails(), fails()])
    const before = api.asked.length
    await fails()
    assert.equal(api.asked.length, before)
    api.health = health
    api.other = items
    await until('the return', () =>
      site.reader.ask(appsQuestion, {}, patient()).then(Boolean, () => false),
    )
    assert.deepEqual(await site.reader.ask(sourcesQuestion, {}, patient()), [])
  })

  test('that answers light questions is not held back for the heavy ones', async (t) => {
    const { site, api } = await aSite(t, 300)
    api.other = silence
    for (let i = 0; i < 3; i++) await assert.rejects(site.reader.ask(appsQuestion, {}, patient()))
    const heavy = site.reader.ask(appsQuestion, {}, patient()).catch(() => {})
    api.other = items
    assert.deepEqual(await site.reader.ask(sourcesQuestion, {}, patient()), [])
    await heavy
  })
})
