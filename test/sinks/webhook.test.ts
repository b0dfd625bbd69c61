import assert from 'node:assert/strict'
import { describe, type TestContext, test } from 'node:test'
import fc from 'fast-check'
import { pino } from 'pino'
import { Webhook } from 'standardwebhooks'
import { Outgoing } from '../../src/core/delivery.ts'
import { openSink } from '../../src/sinks/index.ts'
import { wholeEvent } from '../support/whole-event.ts'
import { runs } from '../support/wild.ts'
import { type Reply, send, startHttpPeer } from './http-peer.ts'

const { signal } = new AbortController()
const secrets = ['first', 'second'].map(
  (word) => `whsec_${Buffer.from(`${word} secret of this test, 32 b`).toString('base64')}`,
)
const taking: Reply = (_, response) => send(response, 200)

const batchOf = (n: number) =>
  Array.from({ length: n }, (_, i) => new Outgoing(i + 1, JSON.stringify(wholeEvent(i + 1))))

async function hook(t: TestContext, config: object, reply: Reply = taking) {
  const { url, asked } = await startHttpPeer(t, reply)
  const sink = await openSink(
    { type: 'webhook', name: 'hook', config: { webhook_url: `${url}/in?key=a%20b`, ...config } },
    { log: pino({ level: 'silent' }) },
  )
  t.after(() => sink.close?.())
  return { sink, asked }
}

/** The event, as a receiver of Standard Webhooks reads it. @throws when the signature is not right */
const verify = (
  secret: string,
  { request, body }: { request: { headers: object }; body: string },
) => new Webhook(secret).verify(body, request.headers as Record<string, string>)

describe('a webhook', () => {
  test('is verified by a receiver that knows any one of its secrets, and by no other', async (t) => {
    const { sink, asked } = await hook(t, { secret: secrets })
    await sink.deliver(batchOf(2), signal)
    assert.equal(asked.length, 2)
    for (const secret of secrets) assert.deepEqual(verify(secret, asked[0]!), wholeEvent(1))
    const other = `whsec_${Buffer.from('a secret that it does not know..').toString('base64')}`
    assert.throws(() => verify(other, asked[0]!), /No matching signature/)
    const changed = { ...asked[0]!, body: `${asked[0]!.body} ` }
    assert.throws(() => verify(secrets[0]!, changed), /No matching signature/)
  })

  test('sends the event byte by byte as the spool has it', async (t) => {
    const body = `{ "a" : 1.50, "é\\u00e9": "x", ${JSON.stringify(wholeEvent(1)).slice(1)}`
    const { sink, asked } = await hook(t, { secret: secrets[0] })
    await sink.deliver([new Outgoing(1, body)], signal)
    assert.equal(asked[0]!.body, body)
    verify(secrets[0]!, asked[0]!)
  })

  test('has the same id on each repeat, and another one for each event', async (t) => {
    const { sink, asked } = await hook(t, {})
    await sink.deliver(batchOf(2), signal)
    await sink.deliver(batchOf(2), signal)
    const ids = asked.map(({ request }) => request.headers['webhook-id'])
    assert.deepEqual(ids.slice(2), ids.slice(0, 2))
    assert.notEqual(ids[0], ids[1])
    assert.equal(asked[0]!.request.headers['webhook-signature'], undefined)
  })

  test('sends a batch with its count, under the id of its first event and its length', async (t) => {
    const { sink, asked } = await hook(t, { batch: true, secret: secrets[0] })
    await sink.deliver(batchOf(3), signal)
    await sink.deliver(batchOf(3), signal)
    await sink.deliver(batchOf(2), signal)
    const { events, count } = verify(secrets[0]!, asked[0]!) as { events: unknown[]; count: number }
    assert.deepEqual([events.length, count, events[2]], [3, 3, wholeEvent(3)])
    const ids = asked.map(({ request }) => String(request.headers['webhook-id']))
    assert.equal(ids[0], ids[1])
    assert.match(ids[0]!, /^[0-9a-f-]{36}-3$/)
    assert.equal(ids[2], ids[0]!.replace(/3$/, '2'))
  })

  test('sends its method, path, query and headers', async (t) => {
    const { sink, asked } = await hook(t, {
      method: 'PATCH',
      headers: { Authorization: 'Bearer x' },
    })
    await sink.deliver(batchOf(1), signal)
    const { method, url, headers } = asked[0]!.request
    assert.deepEqual([method, url, headers.authorization], ['PATCH', '/in?key=a%20b', 'Bearer x'])
  })

  test('refuses an event by the statuses that it is told, and by no others', async (t) => {
    for (const [status, config, verdict] of [
      [422, {}, { field: '', detail: 'the receiver answered 422: no such lot' }],
      [410, {}, { field: '', detail: 'the receiver answered 410: no such lot' }],
      [418, { reject_on: [418] }, { field: '', detail: 'the receiver answered 418: no such lot' }],
    ] as const) {
      const { sink } = await hook(t, config, (_, response) =>
        send(response, status, 'no\nsuch lot'),
      )
      assert.deepEqual(await sink.deliver(batchOf(1), signal), {
        kind: 'judged',
        verdicts: [verdict],
      })
    }
    for (const [status, config] of [
      [422, { reject_on: [] }],
      [401, {}],
      [404, {}],
      [500, {}],
    ] as const) {
      const { sink } = await hook(t, config, (_, response) => send(response, status, 'no such lot'))
      assert.equal((await sink.deliver(batchOf(1), signal)).kind, 'failed', `${status}`)
    }
  })

  test('offers what follows a failure again, and nothing that was taken', async (t) => {
    let count = 0
    const { sink } = await hook(t, {}, (_, response) => send(response, ++count === 3 ? 503 : 200))
    assert.deepEqual(await sink.deliver(batchOf(4), signal), {
      kind: 'judged',
      verdicts: ['taken', 'taken', 'later', 'later'],
    })
    assert.equal(count, 3)
  })

  test('waits as long as it is asked to, in seconds or until a date, at most an hour', async (t) => {
    const inAMinute = new Date(Date.now() + 60_000).toUTCString()
    for (const [after, least, most] of [
      ['7', 7000, 7000],
      ['86400', 3_600_000, 3_600_000],
      [inAMinute, 1000, 60_000],
    ] as const) {
      const { sink } = await hook(t, {}, (_, response) =>
        send(response, 429, '', { 'retry-after': after }),
      )
      const answer = await sink.deliver(batchOf(1), signal)
      const wait = answer.kind === 'failed' ? (answer.retryAfterMs ?? 0) : 0
      assert.ok(wait >= least && wait <= most, `${after}: ${wait}`)
    }
  })

  test('refuses what is not JSON by itself, and sends the rest', async (t) => {
    for (const batch of [false, true]) {
      const { sink, asked } = await hook(t, { batch })
      const torn = new Outgoing(7, '{"torn')
      const answer = await sink.deliver([torn, ...batchOf(1)], signal)
      const refusal = { field: '', detail: 'is not JSON: damaged on disk' }
      assert.deepEqual(answer, { kind: 'judged', verdicts: [refusal, 'taken'] })
      assert.equal(asked.length, 1)
    }
  })

  test('makes a failure or a verdict of any answer', async (t) => {
    let answer: [number, string, Record<string, string>] = [200, '', {}]
    const { sink } = await hook(t, { timeout: 5 }, (_, response) => send(response, ...answer))
    // Those without a body have nothing to make too long.
    const statuses = fc.integer({ min: 200, max: 599 }).filter((n) => ![204, 205, 304].includes(n))
    const texts = fc.oneof(
      fc.string({ unit: 'binary' }),
      fc.constantFrom(...['[', '{"a":'].map((part) => part.repeat(100_000))),
      fc.constant('x'.repeat(2 ** 21)),
    )
    const after = fc.constantFrom('', '-1', 'NaN', '1e999', 'Fri, 99 Xxx 2999 99:99:99 GMT')
    await fc.assert(
      fc.asyncProperty(statuses, texts, after, async (status, text, wait) => {
        answer = [status, text, wait === '' ? {} : { 'retry-after': wait }]
        const { kind } = await sink.deliver(batchOf(1), signal)
        const isTaken = status < 300 && text.length <= 2 ** 20
        const isRefused = [400, 409, 410, 413, 422].includes(status) && text.length <= 2 ** 20
        assert.equal(kind, isTaken || isRefused ? 'judged' : 'failed')
      }),
      { numRuns: runs(40) },
    )
  })
})

describe('the settings of a webhook', () => {
  const problemsOf = async (config: object): Promise<string[]> => {
    const entry = {
      type: 'webhook',
      name: 'hook',
      config: { webhook_url: 'https://h/', ...config },
    }
    const sink = openSink(entry, { log: pino({ level: 'silent' }) })
    return sink.then(
      () => [],
      (error) => error.problems,
    )
  }
  const wrong: [string, object, RegExp][] = [
    ['an address of another protocol', { webhook_url: 'ftp://h' }, /webhook_url: must be a URL/],
    ['an address with a password', { webhook_url: 'https://u:hunter2@h' }, /webhook_url: must be/],
    ['a secret that is too short', { secret: 'whsec_aHVudGVyMg==' }, /secret: must be whsec_/],
    [
      'a secret that is no base64',
      { secret: 'hunter2 hunter2 hunter2 hunter2' },
      /secret: must be/,
    ],
    ['no secrets in a list', { secret: [] }, /secret: must be/],
    ['a header of two lines', { headers: { a: 'hunter2\r\nb: c' } }, /headers: must be an object/],
    ['a header of ours', { headers: { 'Webhook-Id': 'hunter2' } }, /headers: must be an object/],
    ['a method that has no body', { method: 'GET' }, /method: must be one of post, put, patch/],
    ['a status of success', { reject_on: [200] }, /reject_on.*: must be a list of HTTP statuses/],
    ['a key without its certificate', { key: '/dev/null' }, /cert, key: set both or neither/],
    ['an authority that is not there', { ca: '/nowhere/ca.pem' }, /ca: cannot read \/nowhere/],
  ]
  for (const [what, config, message] of wrong) {
    test(`refuse ${what}, by name and without showing it`, async () => {
      const [problem = '', ...more] = await problemsOf(config)
      assert.match(problem, message)
      assert.deepEqual([more, /hunter2|aHVudGVyMg/.test(problem)], [[], false])
    })
  }
})
