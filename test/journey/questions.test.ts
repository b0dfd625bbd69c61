import assert from 'node:assert/strict'
import { once } from 'node:events'
import { connect as connectTcp } from 'node:net'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import { jobFromWire } from '../../src/core/job-wire.ts'
import type { Problem } from '../../src/platform/problem.ts'
import { assertAllTaken, type Site, startSite } from '../support/site.ts'
import { pack, runs, validEvent } from '../support/wild.ts'

/* Malformed and odd questions, to a local API that holds odd but valid events. */

const plain = { encoding: 'identity', lines: false, bom: false } as const

/** Jobs that, by their reported duration, began before 1970. */
const ancients = [1e9, 1e8, 1e7].map((duration_s) => ({
  idempotency_key: crypto.randomUUID(),
  site_id: 'fab1',
  app: { app_id: crypto.randomUUID(), name: 'furnace-log' },
  entity: { type: 'job', id: crypto.randomUUID() },
  event: { kind: 'finished', at: '1970-01-02T00:00:00Z', metrics: { duration_s } },
}))
const ancient = ancients[0]!

async function fill(site: Site): Promise<void> {
  const events = [...ancients, ...fc.sample(validEvent, { numRuns: 80, seed: 7 })]
  const { body, headers } = pack(
    events.map((event) => JSON.stringify(event)),
    plain,
  )
  const url = `${site.sidecar.url}/v1/ingest/events:batch`
  const answer = await fetch(url, { method: 'POST', body: new Uint8Array(body), headers })
  assert.equal(((await answer.json()) as { failed: number }).failed, 0)
  await assertAllTaken(site)
}

const odd = fc.oneof(
  fc.string({ unit: 'binary', maxLength: 12 }),
  fc.constantFrom(
    ...['', '0', '-1', '1', '10000', '10001', '1e3', '1e999', '0x10', 'NaN', '9007199254740993'],
    ...['\0', '%', '_', '\\', "'", '"', "' or 1=1 --", '; drop table job', '../..', '😀', '\ud83d'],
    ...['2026-03-01T12:00:00Z', '1970-01-01T00:00:00Z', '9999-12-31T23:59:59.999999Z', '2026'],
    ...['2026-03-01 12:00:00 02:00', 'infinity', 'now', '0000-01-01T00:00:00Z', 'x'.repeat(201)],
    ...['x'.repeat(4000), '__proto__', 'constructor', 'null', 'undefined', 'eyJhIjoxfQ', 'AAAA'],
    ancient.entity.id,
  ),
)
const values: Record<string, string[]> = {
  time: ['started', 'ended', 'seen'],
  status: ['running', 'failed,canceled', 'succeeded,', 'failed,failed'],
  sort: ['newest', 'oldest'],
  format: ['json', 'csv', 'ndjson', 'xml'],
  bucket: ['5m', 'hour', 'day', 'week', 'month', 'year'],
  group_by: ['site', 'app,status', 'x'],
  entity_type: ['job', 'subjob'],
  from: ['2026-03-01T00:00:00Z', '1970-01-01T00:00:00Z'],
  to: ['2026-03-02T00:00:00Z', '9999-12-31T23:59:59Z'],
  limit: ['1', '7'],
}
const names = [
  ...['from', 'to', 'time', 'status', 'app_name', 'app_id', 'site', 'business_key', 'q', 'cursor'],
  ...[
    'min_duration_s',
    'max_duration_s',
    'sort',
    'limit',
    'format',
    'job_id',
    'bucket',
    'group_by',
  ],
  ...['app', 'entity_type', 'last_event_id', 'before', '__proto__', 'constructor', 'LIMIT', '\0'],
]
const param = fc
  .constantFrom(...names)
  .chain((name) =>
    fc.tuple(
      fc.constant(name),
      Object.hasOwn(values, name) ? fc.oneof(fc.constantFrom(...values[name]!), odd) : odd,
    ),
  )
const id = fc.oneof(
  { weight: 3, arbitrary: fc.constant(ancient.entity.id) },
  fc.uuid(),
  odd.map((text) => text.toWellFormed() || 'x'),
)
const path = fc.oneof(
  fc.constantFrom('/v1/jobs', '/v1/subjobs', '/v1/apps', '/v1/stats', '/v1/sources', '/v1/healthz'),
  fc
    .tuple(id, fc.constantFrom('', '/events', '/subjobs', '/'))
    .map(([text, rest]) => `/v1/jobs/${encodeURIComponent(text)}${rest}`),
)
const header = fc.constantFrom<Record<string, string>>(
  {},
  { accept: 'text/csv' },
  { accept: 'text/csv;q=x,*/*;q=-1,;;,application/x-ndjson;q=1e9' },
  { traceparent: '00-0-0-0', 'last-event-id': 'x', range: 'bytes=0-1', 'if-none-match': '*' },
)

const query = (params: [string, string][]) =>
  params
    .map((pair) => pair.map((text) => encodeURIComponent(text.toWellFormed())).join('='))
    .join('&')

async function assertNamed(answer: Response, given: string[]): Promise<void> {
  const { status, detail, field = '' } = (await answer.json()) as Problem
  assert.equal(status, answer.status)
  assert.ok(detail.length > 10 && detail.length < 4000)
  assert.doesNotMatch(detail, /\.[cm]?[jt]s:\d+|node:|zod|invalid_type|Unexpected|syntax error/)
  if (status === 422) assert.ok(given.includes(field), `${field} is not among ${given}`)
}

describe('a question to the local API', () => {
  test('is answered, or refused with the name of the parameter', async (t) => {
    const site = await startSite(t)
    await fill(site)
    await fc.assert(
      fc.asyncProperty(
        path,
        fc.array(param, { maxLength: 4 }),
        header,
        async (to, params, head) => {
          const answer = await fetch(`${site.api.url}${to}?${query(params)}`, { headers: head })
          if (answer.status !== 200) {
            assert.ok(
              [404, 422].includes(answer.status),
              `${answer.status} ${await answer.clone().text()}`,
            )
            // A window without a begin has one by default; a bad id is not in the query.
            return assertNamed(answer, [...params.map(([name]) => name), 'id', 'from', 'bucket'])
          }
          const text = await answer.text()
          if (/^application.json/.test(answer.headers.get('content-type') ?? '')) JSON.parse(text)
        },
      ),
      { numRuns: runs(250) },
    )
    await fc.assert(
      fc.asyncProperty(fc.array(param, { maxLength: 3 }), header, async (params, head) => {
        const ended = new AbortController()
        const url = `${site.api.url}/v1/stream?${query(params)}`
        const answer = await fetch(url, { headers: head, signal: ended.signal })
        if (answer.status !== 200)
          await assertNamed(
            answer,
            params.map(([name]) => name),
          )
        ended.abort()
      }),
      { numRuns: runs(60) },
    )
    assert.equal((await fetch(`${site.api.url}/v1/healthz`)).status, 200)
  })

  test('pages through all jobs, by any time and in both directions', async (t) => {
    const site = await startSite(t)
    await fill(site)
    for (const list of ['jobs', 'subjobs'])
      for (const time of ['started', 'ended', 'seen'])
        for (const sort of ['newest', 'oldest']) {
          const url = `${site.api.url}/v1/${list}?to=9999-12-31T23:59:59Z&time=${time}&sort=${sort}`
          const whole = await page(`${url}&limit=1000`)
          // As the dashboard and the central API read them.
          for (const item of whole.items) jobFromWire(item)
          const walked: unknown[] = []
          for (let cursor: string | null = ''; cursor !== null; ) {
            const next = await page(`${url}&limit=3${cursor ? `&cursor=${cursor}` : ''}`)
            walked.push(...next.items)
            cursor = next.next_cursor
          }
          assert.deepEqual(walked, whole.items)
          const lines = await (await fetch(`${url}&format=ndjson`)).text()
          assert.deepEqual(
            lines
              .trimEnd()
              .split('\n')
              .map((line) => JSON.parse(line)),
            whole.items,
          )
        }
  })

  const requests: [string, string, RegExp][] = [
    ['a NUL in the path', 'GET /v1/jobs/\0 HTTP/1.1\r\nHost: x', /400/],
    ['a path that climbs', 'GET /v1/../../etc/passwd HTTP/1.1\r\nHost: x', /404/],
    ['a path that climbs, escaped', 'GET /v1/jobs/..%2f..%2fetc HTTP/1.1\r\nHost: x', /422/],
    ['half an escape in the path', 'GET /v1/jobs/%ff%zz HTTP/1.1\r\nHost: x', /422/],
    ['two slashes', 'GET //v1/jobs HTTP/1.1\r\nHost: x', /404/],
    ['an invalid host', 'GET /v1/jobs HTTP/1.1\r\nHost: a b', /400/],
    ['no host', 'GET /v1/jobs HTTP/1.1', /400/],
    ['an address as a path', 'GET http://[/v1/jobs HTTP/1.1\r\nHost: x', /400/],
    [
      'a header of 20,000 characters',
      `GET / HTTP/1.1\r\nHost: x\r\nX: ${'x'.repeat(20_000)}`,
      /431/,
    ],
    ['a path of 15,000 characters', `GET /${'x'.repeat(15_000)} HTTP/1.1\r\nHost: x`, /404/],
    ['a method that is rarely used', 'TRACE /v1/jobs HTTP/1.1\r\nHost: x', /405/],
    ['an unknown method', 'FOO /v1/jobs HTTP/1.1\r\nHost: x', /400/],
    [
      'two lengths',
      'POST /v1/jobs HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 2',
      /400/,
    ],
    ['TLS', '\x16\x03\x01\x00\x05\x01\x00\x00\x01\x00', /400/],
    ['HTTP/2', 'PRI * HTTP/2.0\r\n\r\nSM', /400/],
  ]
  test('may be invalid HTTP', async (t) => {
    const site = await startSite(t)
    for (const [name, head, status] of requests) {
      for (const { url } of [site.api, site.sidecar]) {
        const line = await firstLine(url, `${head}\r\nConnection: close\r\n\r\n`)
        // The sidecar has no such paths.
        assert.match(line, url === site.api.url ? status : /4\d\d/, name)
      }
    }
    assert.equal((await fetch(`${site.api.url}/v1/healthz`)).status, 200)
    assert.equal((await fetch(`${site.sidecar.url}/v1/healthz`)).status, 200)
  })
})

async function page(url: string) {
  const answer = await fetch(url)
  assert.equal(answer.status, 200, await answer.clone().text())
  return (await answer.json()) as { items: unknown[]; next_cursor: string | null }
}

async function firstLine(url: string, request: string): Promise<string> {
  const socket = connectTcp(Number(new URL(url).port), '127.0.0.1')
  let text = ''
  socket.on('data', (data) => {
    text += data
  })
  socket.on('error', () => {})
  socket.write(Buffer.from(request, 'latin1'))
  await once(socket, 'close')
  return text.split('\r\n')[0]!
}
