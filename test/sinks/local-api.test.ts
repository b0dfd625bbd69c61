import assert from 'node:assert/strict'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { describe, type TestContext, test } from 'node:test'
import { problemType } from '../../src/platform/problem.ts'
import { localApiSink } from '../../src/sinks/local-api.ts'
import type { Outgoing } from '../../src/sinks/sink.ts'

const never = new AbortController().signal
const batchOf = (n: number): Outgoing[] =>
  Array.from({ length: n }, (_, i) => ({ seq: i + 1, body: '{}' }))

/** What the sink makes of an answer to so many events. */
async function deliver(t: TestContext, n: number, status: number, answer: unknown) {
  const server = createServer((request, response) => {
    request.resume()
    response.writeHead(status, { 'content-type': 'application/json' })
    response.end(typeof answer === 'string' ? answer : JSON.stringify(answer))
  })
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done))
  t.after(() => server.close())
  t.after(() => server.closeAllConnections())
  const baseUrl = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  return localApiSink({ baseUrl, timeoutMs: 20_000 }).deliver(batchOf(n), never)
}

const problem = (status: number) => ({
  type: `${problemType}some-trouble`,
  title: 'Trouble',
  status,
  detail: 'internal error',
})

describe('the sink of the local API', () => {
  for (const status of [401, 403, 404, 408, 429, 500, 502, 503, 504]) {
    test(`takes a ${status} for an outage, also when it is in our own words`, async (t) => {
      const { kind } = await deliver(t, 1, status, problem(status))
      assert.equal(kind, 'failed')
    })
  }

  test('sets a single event aside that is refused in our own words', async (t) => {
    const answer = { ...problem(422), field: 'event.at' }
    assert.deepEqual(await deliver(t, 1, 422, answer), {
      kind: 'taken',
      upTo: 1,
      refused: [{ seq: 1, field: 'event.at', detail: 'internal error' }],
    })
    assert.equal((await deliver(t, 2, 422, answer)).kind, 'too_large')
    assert.equal((await deliver(t, 1, 422, 'refused')).kind, 'failed')
  })

  test('sets an event aside as too large only when it is told so in our own words', async (t) => {
    assert.equal((await deliver(t, 1, 413, problem(413))).kind, 'taken')
    assert.equal((await deliver(t, 1, 413, '<h1>Request Entity Too Large</h1>')).kind, 'failed')
    assert.equal((await deliver(t, 2, 413, '<h1>Request Entity Too Large</h1>')).kind, 'too_large')
  })

  const item = { index: 0, field: '', detail: 'odd' }
  const wrong: [string, object][] = [
    ['speaks of other events', { total: 3, success: 3, failed: 0, rejected: [] }],
    ['counts fewer than were sent', { total: 2, success: 1, failed: 0, rejected: [] }],
    ['counts refusals that it does not list', { total: 2, success: 1, failed: 1, rejected: [] }],
    [
      'lists refusals that it does not count',
      { total: 2, success: 2, failed: 0, rejected: [item] },
    ],
    ['refuses one event twice', { total: 2, success: 0, failed: 2, rejected: [item, item] }],
    ['says nothing of refusals', { total: 2, success: 2, failed: 0 }],
  ]
  for (const [what, answer] of wrong) {
    test(`does not believe a 200 that ${what}`, async (t) => {
      assert.equal((await deliver(t, 2, 200, { ok: true, ...answer })).kind, 'failed')
    })
  }

  test('believes a 200 that adds up, and offers again from the first that has to wait', async (t) => {
    const all = { total: 3, success: 3, failed: 0, rejected: [] }
    assert.deepEqual(await deliver(t, 3, 200, all), { kind: 'taken', upTo: 3, refused: [] })
    const later = { ...item, index: 1, retryable: true }
    const some = { total: 3, success: 1, failed: 2, rejected: [item, later] }
    assert.deepEqual(await deliver(t, 3, 200, some), {
      kind: 'taken',
      upTo: 1,
      refused: [{ seq: 1, field: '', detail: 'odd' }],
    })
  })
})
