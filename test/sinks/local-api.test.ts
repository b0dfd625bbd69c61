import assert from 'node:assert/strict'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { describe, type TestContext, test } from 'node:test'
import { type Logger, pino } from 'pino'
import { Outgoing } from '../../src/core/delivery.ts'
import { problemType } from '../../src/platform/problem.ts'
import { openSink } from '../../src/sinks/index.ts'

const never = new AbortController().signal
const batchOf = (n: number, body: string): Outgoing[] =>
  Array.from({ length: n }, (_, i) => new Outgoing(i + 1, body))

/** The sink's verdicts after an answer to `n` events. */
async function deliver(
  t: TestContext,
  n: number,
  status: number,
  answer: unknown,
  headers: Record<string, string> = {},
  body = '{}',
  log: Logger = pino({ level: 'silent' }),
) {
  const server = createServer((request, response) => {
    request.resume()
    response.writeHead(status, { 'content-type': 'application/json', ...headers })
    response.end(typeof answer === 'string' ? answer : JSON.stringify(answer))
  })
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done))
  t.after(() => server.close())
  t.after(() => server.closeAllConnections())
  const baseUrl = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  const sink = await openSink(
    { type: 'local_api', name: 'local-api', config: { base_url: baseUrl, timeout: 20 } },
    { log },
  )
  return sink.deliver(batchOf(n, body), never)
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

  test('says what to check when the token or the address is wrong, and that waiting will not help', async (t) => {
    for (const [status, reason] of [
      [401, 'it answered 401: check LOCAL_API_TOKEN'],
      [403, 'it answered 403: check LOCAL_API_TOKEN'],
      [404, 'it answered 404: check LOCAL_API_BASE'],
    ] as const) {
      const failure = { kind: 'failed', reason, permanent: true }
      assert.deepEqual(await deliver(t, 1, status, problem(status)), failure)
    }
  })

  test('warns when the stamps of the spool are dropped, and takes the answer', async (t) => {
    const lines: string[] = []
    const log = pino({}, { write: (line) => lines.push(line) })
    const answer = { total: 1, success: 1, failed: 0, rejected: [] }
    for (const more of [{}, { stamps: 'ignored' }]) {
      const { kind } = await deliver(t, 1, 200, { ...answer, ...more }, {}, '{}', log)
      assert.equal(kind, 'judged')
    }
    assert.equal(lines.length, 1)
    assert.match(lines[0] ?? '', /LOCAL_API_TOKEN the scope forward/)
  })

  test('waits as long as it is asked to, but not for hours', async (t) => {
    const reason = 'it answered 503'
    for (const [asked, wait] of [
      ['7', { retryAfterMs: 7000 }],
      ['86400', { retryAfterMs: 300_000 }],
      ['-1', {}],
      ['soon', {}],
    ] as const) {
      const failure = await deliver(t, 1, 503, '', { 'retry-after': asked })
      assert.deepEqual(failure, { kind: 'failed', reason, ...wait })
    }
  })

  test('sets a single event aside that is refused in our own words', async (t) => {
    const answer = { ...problem(422), field: 'event.at' }
    assert.deepEqual(await deliver(t, 1, 422, answer), {
      kind: 'judged',
      verdicts: [{ field: 'event.at', detail: 'internal error' }],
    })
    assert.equal((await deliver(t, 2, 422, answer)).kind, 'too_large')
    assert.equal((await deliver(t, 1, 422, 'refused')).kind, 'failed')
  })

  test('blames an event for a request that could not be read only when it is unreadable here, too', async (t) => {
    const answer = problem(400)
    const failure = {
      kind: 'failed',
      reason: 'it could not read the request (400): internal error',
    }
    assert.deepEqual(await deliver(t, 1, 400, answer), failure)
    assert.deepEqual(await deliver(t, 1, 400, answer, {}, '{"damaged":'), {
      kind: 'judged',
      verdicts: [{ field: '', detail: 'internal error' }],
    })
    assert.equal((await deliver(t, 2, 400, answer)).kind, 'too_large')
  })

  test('sets an event aside as too large only when that is said in our own words', async (t) => {
    assert.deepEqual(await deliver(t, 1, 413, problem(413)), {
      kind: 'judged',
      verdicts: [{ field: '', detail: 'larger than the local API accepts (413)' }],
    })
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

  test('believes a 200 that adds up, with a verdict on each event', async (t) => {
    const all = { total: 3, success: 3, failed: 0, rejected: [] }
    const verdicts = ['taken', 'taken', 'taken']
    assert.deepEqual(await deliver(t, 3, 200, all), { kind: 'judged', verdicts })
    const later = { ...item, index: 1, retryable: true }
    const some = { total: 3, success: 1, failed: 2, rejected: [later, item] }
    assert.deepEqual(await deliver(t, 3, 200, some), {
      kind: 'judged',
      verdicts: [{ field: '', detail: 'odd' }, 'later', 'taken'],
    })
  })
})
