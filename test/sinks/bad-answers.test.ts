import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { writeFileSync } from 'node:fs'
import { createServer, type IncomingMessage } from 'node:http'
import type { AddressInfo, Socket } from 'node:net'
import { join } from 'node:path'
import { describe, type TestContext, test } from 'node:test'
import fc from 'fast-check'
import { pino } from 'pino'
import { assertDelivery, type Delivery, Outgoing } from '../../src/core/delivery.ts'
import { eventId } from '../../src/core/event-id.ts'
import { fromMs } from '../../src/core/time.ts'
import { openSink } from '../../src/sinks/index.ts'
import { freshFolder } from '../support/processes.ts'
import { needsProtos } from '../support/sid.ts'
import { wholeEvent } from '../support/whole-event.ts'
import { runs } from '../support/wild.ts'
import { useTestKeys } from './aws-peer.ts'
import { isResponse } from './otlp-peer.ts'

/*
 * Whatever the other side of a sink answers is a failure with a reason, or a verdict on each event that the answer
 * really has; never an exception, and never more memory than the sink allows an answer.
 */

useTestKeys()

const { signal } = new AbortController()
const count = 3
// AWS takes no old ones.
const at = fromMs(Date.now() - 60_000)
const events = Array.from({ length: count }, (_, i) => wholeEvent(i + 1, { at }))
const batch = events.map((event, i) => new Outgoing(i + 1, JSON.stringify(event)))

/** A kind of sink that speaks HTTP: one entry for each. */
type Kind = {
  name: string
  type: string
  config(url: string): Record<string, unknown>
  /** The answer to all events when all is well. */
  good: Buffer
  /** What is spoiled where there is more to spoil. */
  richer?: Buffer
  /** Headers of a good answer. */
  headers?: readonly string[]
  /** Whether an answer, read naively, says that an event was taken. */
  says(answer: Received): boolean
  /** Statuses by which an event may be refused. */
  refusals: readonly number[]
  /** Answers of this size are never read to their end, in MiB. */
  maxMib: number
  skip?: string | boolean
}

/** What arrives of an answer. */
type Received = { status: number; headers: readonly string[]; body: Buffer; parsed: Parsed }
type Parsed = Record<string, unknown> | undefined

const json = (value: object) => Buffer.from(JSON.stringify(value))
const listOf = (parsed: Parsed, name: string): unknown[] => {
  const list = parsed?.[name]
  return Array.isArray(list) ? list : []
}
const isOk = ({ status }: Received) => status >= 200 && status < 300

const webhook = (batch: boolean): Kind => ({
  name: batch ? 'webhook, in batches' : 'webhook',
  type: 'webhook',
  config: (url) => ({ webhook_url: url, batch }),
  ...{ good: json({}), says: isOk, refusals: [400, 409, 410, 413, 422], maxMib: 1 },
})

const requestId = 'x-amzn-requestid: 0193581e'

const aws = (type: string, richer: object): Kind => ({
  ...{ name: type, type, good: json({}), richer: json(richer), headers: [requestId] },
  config: (url) => ({ aws_region: 'eu-central-1', endpoint: url }),
  says: ({ status, headers, body, parsed }) =>
    status === 200 &&
    headers.includes(requestId) &&
    (body.length === 0 || (parsed !== undefined && !Array.isArray(parsed))),
  ...{ refusals: [200], maxMib: 1 },
})

const protobufType = 'content-type: application/x-protobuf'

const kinds: readonly Kind[] = [
  {
    ...{ name: 'local_api', type: 'local_api', config: (url) => ({ base_url: url }) },
    good: json({ total: count, success: count, failed: 0, rejected: [] }),
    says: ({ status, parsed }) => status === 200 && parsed?.total === count,
    ...{ refusals: [200, 400, 413, 422], maxMib: 8 },
  },
  webhook(false),
  webhook(true),
  {
    ...{ name: 'elk', type: 'elk', config: (url) => ({ elasticsearch_url: url }) },
    good: json({
      errors: false,
      items: events.map((event) => ({ create: { _id: eventId(event), status: 201 } })),
    }),
    says: ({ status, parsed }) => status === 200 && listOf(parsed, 'items').length === count,
    ...{ refusals: [200], maxMib: 16 },
  },
  {
    ...{ name: 'otlp', type: 'otlp', config: (url) => ({ endpoint: url }), good: Buffer.alloc(0) },
    // partial_success {rejected_spans: 1, error_message: 'no'}
    richer: Buffer.from('0a06080112026e6f', 'hex'),
    headers: [protobufType],
    says: ({ status, headers, body }) =>
      status === 200 && (body.length === 0 || (headers[0] === protobufType && isResponse(body))),
    ...{ refusals: [200], maxMib: 1, skip: needsProtos.skip },
  },
  aws('aws_cloudwatch', {
    rejectedLogEventsInfo: {
      ...{ tooOldLogEventEndIndex: 1, expiredLogEventEndIndex: 0, tooNewLogEventStartIndex: 3 },
    },
  }),
  aws('aws_xray', {
    UnprocessedTraceSegments: [{ Id: spanId(1), ErrorCode: 'InvalidSegment', Message: 'no' }],
  }),
]

/** The id of the span of an event. */
function spanId(seq: number): string {
  const { id } = wholeEvent(seq).entity
  return createHash('sha256').update(id).digest('hex').slice(0, 16)
}

/** What a server writes on the wire; `length` is what it says of the body. */
type Answer = {
  status: number
  headers: readonly string[]
  body: Buffer
  length: number | 'chunked'
}

/** An answer that is valid, but for one value somewhere in it. */
function spoil(good: Buffer): fc.Arbitrary<Buffer> {
  const text = good.toString('latin1')
  if (!text.startsWith('{')) return spoilBytes(good)
  const value = fc.oneof(
    fc.json({ maxDepth: 2 }),
    fc.constantFrom('-1', '1e999', '2', '4', '"3"', 'null', '[null]', '201', '429', '400', '409'),
  )
  const spots = [...text.matchAll(/"[^"]*"(?=[,\]}])|\d+|\[\]|true|false|\{[^{}]*\}/g)]
  return fc.tuple(fc.nat({ max: Math.max(0, spots.length - 1) }), value).map(([at, by]) => {
    const spot = spots[at]
    if (!spot) return Buffer.from(by)
    return Buffer.from(text.slice(0, spot.index) + by + text.slice(spot.index + spot[0].length))
  })
}

/** Some bytes of it are others. */
const spoilBytes = (good: Buffer): fc.Arbitrary<Buffer> =>
  fc
    .array(fc.tuple(fc.nat({ max: good.length - 1 }), fc.nat({ max: 255 })), {
      ...{ minLength: 1, maxLength: 3 },
    })
    .map((changes) => {
      const bytes = Buffer.from(good)
      for (const [place, byte] of changes) bytes[place] = byte
      return bytes
    })

function answers({ good, richer = good, headers: ours = [] }: Kind): fc.Arbitrary<Answer> {
  const text = richer.toString('latin1')
  const body = fc.oneof(
    { weight: 4, arbitrary: spoil(richer) },
    fc.constantFrom(good, richer),
    fc.nat({ max: richer.length }).map((end) => richer.subarray(0, end)),
    fc.constantFrom('utf16le' as const, 'latin1' as const).map((one) => Buffer.from(text, one)),
    fc.uint8Array({ maxLength: 50 }).map((bytes) => Buffer.from(bytes)),
    fc.json().map((json) => Buffer.from(json)),
    fc.constantFrom(
      ...['{"items":', '[', '{"rejected":[', '{"rejectedLogEventsInfo":', '\n\x7f'].map((open) =>
        Buffer.from(open.repeat(50_000)),
      ),
      Buffer.from(
        `{"type":"urn:wafermon:problem:x","detail":${JSON.stringify('x'.repeat(100_000))}}`,
      ),
    ),
  )
  const status = fc.oneof(
    { weight: 3, arbitrary: fc.constant(200) },
    fc.constantFrom(201, 204, 400, 401, 403, 404, 408, 409, 413, 422, 429, 500, 503),
    fc.integer({ min: 200, max: 599 }),
  )
  const header = fc.oneof(
    fc.constantFrom(
      ...['retry-after: 0', 'retry-after: -1', 'retry-after: 1e9', 'retry-after: soon'],
      ...['content-type: text/html; charset=utf-16', 'content-encoding: gzip', 'location: /x'],
      ...['retry-after: Fri, 31 Dec 9999 23:59:59 GMT', 'x: é', 'connection: close'],
    ),
    fc.nat({ max: 20_000 }).map((length) => `x-long: ${'y'.repeat(length)}`),
  )
  const own = fc.oneof({ weight: 5, arbitrary: fc.constant(ours) }, fc.constant([]))
  return fc
    .tuple(status, own, fc.array(header, { maxLength: 2 }), body, fc.nat({ max: 9 }))
    .map(([status, first, more, body, how]) => {
      const headers = [...first, ...more]
      const length =
        how === 0 ? body.length + 7 : how === 1 ? Math.max(0, body.length - 7) : body.length
      return { status, headers, body, length: how === 2 ? ('chunked' as const) : length }
    })
}

function write(socket: Socket, { status, headers, body, length }: Answer): void {
  const size = length === 'chunked' ? 'transfer-encoding: chunked' : `content-length: ${length}`
  const lines = [`HTTP/1.1 ${status} Planted`, size, ...headers, '', ''].join('\r\n')
  // The last chunk is missing.
  const chunk = length === 'chunked' ? `${body.length.toString(16)}\r\n` : ''
  socket.write(Buffer.concat([Buffer.from(lines + chunk), body]))
  socket.end()
}

/** A server that answers by hand. Installing is none of its business. */
async function serve(t: TestContext, reply: (socket: Socket) => void): Promise<string> {
  const server = createServer(async (request, response) => {
    await drain(request)
    const isEvents = !['GET', 'PUT', 'HEAD'].includes(request.method ?? '')
    if (isEvents) return reply(request.socket)
    response.end(JSON.stringify({ version: { number: '9.0.0' } }))
  })
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done))
  t.after(() => server.close())
  t.after(() => server.closeAllConnections())
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`
}

async function drain(request: IncomingMessage): Promise<void> {
  request.resume()
  await new Promise((done) => request.once('end', done))
}

const open = (t: TestContext, { type, config }: Pick<Kind, 'type' | 'config'>, url: string) =>
  openSink({ type, name: 'peer', config: config(url) }, { log: pino({ level: 'silent' }) }).then(
    (sink) => {
      t.after(() => sink.close?.())
      return sink
    },
  )

/** A reason or detail that an operator can read in a log. */
const assertWords = (text: string, most: number) => {
  assert.ok(text.length <= most, `${text.length} characters`)
  assert.doesNotMatch(text, /\n\s+at |\[object|undefined/)
}

function parse(body: Buffer): Parsed {
  try {
    return JSON.parse(body.toString('utf8')) as Parsed
  } catch {
    return undefined
  }
}

/** The part of an answer that a client takes for its body. */
function receive({ status, headers, body: sent, length }: Answer): Received {
  const body = length === 'chunked' ? sent : sent.subarray(0, length)
  return { status, headers, body, parsed: parse(body) }
}

function check(kind: Kind, answer: Answer, delivery: Delivery): void {
  const { status, body } = answer
  assertDelivery(delivery, count)
  if (delivery.kind === 'failed') {
    assert.notEqual(delivery.reason, '')
    assertWords(delivery.reason, 1000)
  }
  if (delivery.kind !== 'judged') return
  const said = kind.says(receive(answer))
  for (const verdict of delivery.verdicts) {
    if (verdict === 'taken') assert.ok(said, `taken by ${status} ${body.subarray(0, 200)}`)
    if (typeof verdict === 'object') {
      assert.ok(kind.refusals.includes(status), `refused by ${status}`)
      assertWords(verdict.detail, 2000)
      assert.ok(verdict.field.length <= 500)
    }
  }
}

describe('an answer that no one should give', () => {
  for (const kind of kinds) {
    const { skip = false } = kind
    test(`is a failure, or has a verdict on each event: ${kind.name}`, { skip }, async (t) => {
      let next: Answer | undefined
      const url = await serve(t, (socket) => next && write(socket, next))
      const sink = await open(t, kind, url)
      await fc.assert(
        fc.asyncProperty(answers(kind), async (answer) => {
          next = answer
          check(kind, answer, await sink.deliver(batch, signal))
        }),
        { numRuns: runs(150) },
      )
    })

    test(`of 100 MB is not read to its end: ${kind.name}`, async (t) => {
      let sent = 0
      const piece = Buffer.alloc(2 ** 20, '[')
      const url = await serve(t, async (socket) => {
        socket.on('error', () => {})
        socket.write('HTTP/1.1 200 OK\r\ncontent-length: 100000000\r\n\r\n')
        while (!socket.destroyed && sent < 95) {
          const isTaken = socket.write(piece)
          sent++
          if (isTaken) continue
          await new Promise<void>((done) => {
            socket.once('drain', done)
            socket.once('close', done)
          })
        }
      })
      const sink = await open(t, kind, url)
      const delivery = await sink.deliver(batch, signal)
      assert.match(
        delivery.kind === 'failed' ? delivery.reason : delivery.kind,
        /^it .*(large|long|MiB|bytes)/,
      )
      // What the kernel holds between the two comes on top.
      assert.ok(sent <= kind.maxMib + 16, `${sent} MiB were taken`)
    })
  }

  test('is a failure, or has a verdict on each event: a module', async (t) => {
    const path = join(freshFolder(), 'own.mjs')
    // The event is the answer.
    writeFileSync(
      path,
      'export const open = () => ({ deliver: (batch) => JSON.parse(batch[0].body) })',
    )
    const sink = await open(t, { type: 'module', config: () => ({ path }) }, '')
    const verdict = fc.oneof(
      fc.constantFrom('taken', 'later', { field: '', detail: 'x' }),
      fc.json({ maxDepth: 2 }).map((text) => JSON.parse(text)),
    )
    const answer = fc.oneof(
      fc.json().map((text) => JSON.parse(text)),
      fc.record(
        {
          kind: fc.constantFrom('judged', 'failed', 'too_large', 'other', null),
          verdicts: fc.array(verdict, { maxLength: 4 }),
          state: fc.oneof(fc.string(), fc.constant('x'.repeat(100_000)), fc.integer()),
          reason: fc.oneof(fc.string(), fc.constant('x'.repeat(1_000_000))),
          retryAfterMs: fc.oneof(fc.integer(), fc.string()),
        },
        { requiredKeys: [] },
      ),
    )
    await fc.assert(
      fc.asyncProperty(answer, async (one) => {
        const asked = batch.map(({ seq }) => new Outgoing(seq, JSON.stringify(one)))
        const delivery = await sink.deliver(asked, signal).catch((error: Error) => error)
        if (delivery instanceof Error) return assertWords(delivery.message, 1000)
        assertDelivery(delivery, count)
        if (delivery.kind === 'failed') return assertWords(delivery.reason, 10_000)
        assert.equal(delivery.kind, (one as { kind: string }).kind)
        if (delivery.kind !== 'judged') return
        const { verdicts } = one as { verdicts: unknown[] }
        delivery.verdicts.forEach((verdict, i) => {
          if (typeof verdict === 'string') assert.equal(verdict, verdicts[i])
        })
      }),
      { numRuns: runs(200) },
    )
  })

  test('of 20 million verdicts never leaves the worker of a module', async (t) => {
    const path = join(freshFolder(), 'own.mjs')
    const verdicts = `new Array(2e7).fill('taken')`
    writeFileSync(
      path,
      `export const open = () => ({ deliver: () => ({ kind: 'judged', verdicts: ${verdicts} }) })`,
    )
    const sink = await open(t, { type: 'module', config: () => ({ path }) }, '')
    const delivery = await sink.deliver(batch, signal)
    const reason = delivery.kind === 'failed' ? delivery.reason : delivery.kind
    assert.match(reason, /20000000 verdicts on 3 events/)
  })
})

test('the good answers are good', async (t) => {
  for (const kind of kinds) {
    const url = await serve(t, (socket) => {
      const { good: body, headers = [] } = kind
      const { length } = body
      write(socket, { status: 200, headers: [...headers, 'connection: close'], body, length })
    })
    const delivery = await (await open(t, kind, url)).deliver(batch, signal)
    assert.deepEqual(delivery, { kind: 'judged', verdicts: batch.map(() => 'taken') }, kind.name)
  }
})
