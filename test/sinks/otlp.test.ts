import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { describe, type TestContext, test } from 'node:test'
import { ProtobufTraceSerializer } from '@opentelemetry/otlp-transformer'
import fc from 'fast-check'
import { pino } from 'pino'
import { Outgoing } from '../../src/core/delivery.ts'
import type { Event } from '../../src/core/event.ts'
import { must } from '../../src/core/must.ts'
import { version } from '../../src/platform/version.ts'
import { openSink } from '../../src/sinks/index.ts'
import { judge } from '../../src/sinks/otlp/judge.ts'
import { readEntries } from '../../src/sinks/read-entries.ts'
import { needsProtos } from '../support/sid.ts'
import { wholeEvent } from '../support/whole-event.ts'
import { runs } from '../support/wild.ts'
import { send, startHttpPeer } from './http-peer.ts'
import { encodeResponse, keyOf, startOtlpPeer, valuesOf } from './otlp-peer.ts'

const { signal } = new AbortController()
const sent = (event: Event, seq = 1) => new Outgoing(seq, JSON.stringify(event))
const hash = (id: string | null | undefined) =>
  createHash('sha256')
    .update(id ?? '')
    .digest('hex')

async function open(t: TestContext, path = '') {
  const peer = await startOtlpPeer(t)
  const lines: string[] = []
  const sink = await openSink(
    { type: 'otlp', name: 'otlp', config: { endpoint: peer.url + path, headers: { 'x-a': 'b' } } },
    { log: pino({}, { write: (line) => lines.push(line) }) },
  )
  t.after(() => sink.close?.())
  return { peer, sink, lines }
}

/** The same event about a job instead of a subjob. */
const aboutJob = (event: Event, id = 'c0ffee00-0000-0000-0000-000000000001'): Event => ({
  ...event,
  entity: { type: 'job', id, business_key: 'LOT-1' },
})
const taken = (count: number) => ({ kind: 'judged', verdicts: Array(count).fill('taken') })
const traceparent = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01'

describe('a sink of OpenTelemetry traces', needsProtos, () => {
  test('sends a span for the end of a job, as the official .proto files read it', async (t) => {
    const { peer, sink } = await open(t)
    const job = aboutJob(wholeEvent(1, { started_at: '2026-03-01T11:59:58.000001Z' }))
    assert.deepEqual(await sink.deliver([sent(job)], signal), taken(1))
    const [span] = peer.took
    const { attributes, resource, ...rest } = must(span, 'a span came')
    assert.deepEqual(rest, {
      traceId: hash(job.entity.id).slice(0, 32),
      spanId: hash(job.entity.id).slice(0, 16),
      name: 'litho-apc',
      kind: 'SPAN_KIND_INTERNAL',
      startTimeUnixNano: `${BigInt(Date.parse('2026-03-01T11:59:58Z')) * 1_000_000n + 1000n}`,
      endTimeUnixNano: `${BigInt(Date.parse('2026-03-01T12:00:00Z')) * 1_000_000n}`,
      flags: 257,
      status: { code: 'STATUS_CODE_OK' },
      scope: { name: 'wafermon', version },
    })
    assert.deepEqual(valuesOf(resource), {
      ...{ 'service.name': 'litho-apc', 'service.namespace': 'fab1', 'service.version': '1.2' },
    })
    assert.deepEqual(valuesOf(attributes), {
      'wafermon.site_id': 'fab1',
      'wafermon.app_id': job.app.app_id,
      ...{ 'wafermon.app_version': '1.2', 'wafermon.entity_type': 'job' },
      ...{ 'wafermon.entity_id': job.entity.id, 'wafermon.business_key': 'LOT-1' },
      ...{ 'wafermon.status': 'succeeded', 'wafermon.event_kind': 'finished' },
      'wafermon.idempotency_key': job.idempotency_key,
      ...{ 'wafermon.metrics.duration_s': 1.5, 'wafermon.metrics.cpu_user_s': 0.5 },
      ...{ 'wafermon.metrics.cpu_system_s': 0.25, 'wafermon.metrics.mem_max_mb': 100 },
      ...{ 'wafermon.metrics.cd_nm': 38.1 },
      'wafermon.metadata': JSON.stringify(job.event.metadata),
    })
    assert.equal(peer.asked[0]?.request.headers['x-a'], 'b')
  })

  test('makes a subjob the child of its job, in one trace', async (t) => {
    const { peer, sink } = await open(t)
    const wafer = wholeEvent(2)
    const job = aboutJob(wholeEvent(1), wafer.entity.parent_id ?? '')
    await sink.deliver([sent(wafer), sent(job, 2)], signal)
    const [child, parent] = peer.took
    assert.equal(child?.traceId, parent?.traceId)
    assert.equal(child?.parentSpanId, parent?.spanId)
    assert.equal(child?.spanId, hash(wafer.entity.id).slice(0, 16))
    assert.equal(parent?.parentSpanId, undefined)
  })

  test('keeps the trace that the program was in', async (t) => {
    const { peer, sink } = await open(t)
    const wafer = { ...wholeEvent(2), traceparent }
    const job = { ...aboutJob(wholeEvent(1), wafer.entity.parent_id ?? ''), traceparent }
    await sink.deliver([sent(wafer), sent(job, 2)], signal)
    const [child, parent] = peer.took
    const [, traceId, spanId] = traceparent.split('-')
    assert.deepEqual([child?.traceId, parent?.traceId], [traceId, traceId])
    assert.equal(parent?.parentSpanId, spanId)
    assert.equal(child?.parentSpanId, parent?.spanId)
    assert.deepEqual(
      child?.links?.map((link) => link.spanId),
      [spanId],
    )
  })

  test('begins a trace of its own where a traceparent names none', async (t) => {
    const { peer, sink } = await open(t)
    const none = [
      `00-${'0'.repeat(32)}-b7ad6b7169203331-01`,
      `00-0af7651916cd43dd8448eb211c80319c-${'0'.repeat(16)}-01`,
      'ff-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01',
    ]
    const batch = none.map((text, i) =>
      sent({ ...aboutJob(wholeEvent(1)), traceparent: text }, i + 1),
    )
    assert.deepEqual(await sink.deliver(batch, signal), taken(3))
    for (const { traceId, parentSpanId } of peer.took) {
      assert.deepEqual(
        [traceId, parentSpanId],
        [hash('c0ffee00-0000-0000-0000-000000000001').slice(0, 32), undefined],
      )
    }
  })

  test('sends nothing for an event that does not end its job', async (t) => {
    const { peer, sink } = await open(t)
    const batch = (['queued', 'started', 'progress', 'metric', 'error'] as const).map((kind, i) =>
      sent(wholeEvent(i + 1, { kind, status: 'running' }), i + 1),
    )
    assert.deepEqual(await sink.deliver(batch, signal), taken(5))
    assert.equal(peer.asked.length, 0)
  })

  test('says how it ended, and why it failed', async (t) => {
    const { peer, sink } = await open(t)
    const ends: [Partial<Event['event']>, object][] = [
      [{ status: 'succeeded' }, { code: 'STATUS_CODE_OK' }],
      [{ kind: 'canceled', status: null }, {}],
      [{ status: 'unknown' }, {}],
      [
        { kind: 'error', status: 'failed', metadata: { error: 'no vacuum' } },
        { code: 'STATUS_CODE_ERROR', message: 'no vacuum' },
      ],
    ]
    const batch = ends.map(([event], i) => sent(wholeEvent(i + 1, event), i + 1))
    assert.deepEqual(await sink.deliver(batch, signal), taken(4))
    assert.deepEqual(
      peer.took.map(({ status }) => status),
      ends.map(([, status]) => status),
    )
  })

  test('takes the start from the event, else from its duration, and never after the end', async (t) => {
    const { peer, sink } = await open(t)
    const starts: [Partial<Event['event']>, number][] = [
      [{ started_at: '2026-03-01T11:00:00.000000Z' }, 3600],
      [{}, 1.5],
      [{ metrics: {} }, 0],
      [{ started_at: '2026-03-01T13:00:00.000000Z' }, 0],
      [{ ended_at: '2026-03-01T11:59:59.000000Z', metrics: { duration_s: 9 } }, 9],
    ]
    await sink.deliver(
      starts.map(([event], i) => sent(wholeEvent(i + 1, event), i + 1)),
      signal,
    )
    const seconds = peer.took.map(({ startTimeUnixNano: from, endTimeUnixNano: to }) =>
      Number((BigInt(to) - BigInt(from)) / 1000n),
    )
    assert.deepEqual(
      seconds,
      starts.map(([, s]) => s * 1_000_000),
    )
  })

  test('finds by itself what cannot be a span, and names field and limit', async (t) => {
    const { peer, sink } = await open(t)
    const { entity, ...headless } = wholeEvent(6)
    const batch = [
      new Outgoing(1, '{"torn'),
      sent(wholeEvent(2, { at: '1970-01-01T00:00:01.000000Z', metrics: { duration_s: 60 } }), 2),
      sent(wholeEvent(3, { started_at: '1969-12-31T23:59:59.000000Z' }), 3),
      sent(wholeEvent(4, { at: '2554-07-22T00:00:00.000000Z' }), 4),
      sent(wholeEvent(5, { metadata: { note: 'a\0b' } }), 5),
      new Outgoing(6, JSON.stringify(headless)),
      new Outgoing(7, JSON.stringify(wholeEvent(7)).replace('1.5', '1e999')),
    ]
    assert.ok(entity)
    const answer = await sink.deliver(batch, signal)
    const found = answer.kind === 'judged' ? answer.verdicts : []
    assert.deepEqual(
      found.map((one) => (one as { field: string }).field),
      [
        ...['', 'event.metrics.duration_s', 'event.started_at', 'event.at'],
        ...['event.metadata.note', 'entity.id', 'event.metrics.duration_s'],
      ],
    )
    assert.match((found[1] as { detail: string }).detail, /before 1970/)
    assert.match((found[3] as { detail: string }).detail, /after 2554-07-21/)
    assert.equal(peer.asked.length, 0)
  })

  test('reads back what was sent, whatever programs name and measure', async (t) => {
    const { peer, sink } = await open(t)
    const metrics = fc.dictionary(
      fc.string({ maxLength: 20 }),
      fc.oneof(fc.double({ noNaN: true, noDefaultInfinity: true }), fc.maxSafeInteger()),
      { maxKeys: 5 },
    )
    const metadata = fc.dictionary(fc.string(), fc.jsonValue(), { maxKeys: 3 })
    await fc.assert(
      fc.asyncProperty(metrics, metadata, async (measured, said) => {
        const event = wholeEvent(1, { metrics: measured, metadata: said as never })
        peer.took.length = 0
        assert.deepEqual(await sink.deliver([sent(event)], signal), taken(1))
        const values = valuesOf(must(peer.took[0], 'a span came').attributes)
        for (const [name, value] of Object.entries(measured)) {
          assert.equal(Number(values[`wafermon.metrics.${name}`]) + 0, value + 0)
        }
        assert.deepEqual(
          JSON.parse(String(values['wafermon.metadata'])),
          JSON.parse(JSON.stringify(said)),
        )
      }),
      { numRuns: runs(100) },
    )
  })

  const protobufType = { 'content-type': 'application/x-protobuf' }
  async function openTo(t: TestContext, status: number, body: Buffer | string) {
    const peer = await startHttpPeer(t, (_, response) => send(response, status, body, protobufType))
    const lines: string[] = []
    const sink = await openSink(
      { type: 'otlp', name: 'otlp', config: { endpoint: peer.url } },
      { log: pino({}, { write: (line) => lines.push(line) }) },
    )
    t.after(() => sink.close?.())
    return { sink, lines }
  }
  const three = [1, 2, 3].map((seq) => sent(wholeEvent(seq), seq))

  test('makes one reject of a partial success, with the words of the receiver, and takes the rest', async (t) => {
    const { sink } = await openTo(t, 200, encodeResponse(2, 'too many\nattributes'))
    const detail = 'the receiver rejected 2 of the 3 spans sent with this one: too many attributes'
    assert.deepEqual(await sink.deliver(three, signal), {
      kind: 'judged',
      verdicts: [{ field: '', detail }, 'taken', 'taken'],
    })
  })

  test('makes rejects of all when a partial success has none', async (t) => {
    const { sink } = await openTo(t, 200, encodeResponse(3, 'no'))
    const refusal = { field: '', detail: 'the receiver rejected it: no' }
    const verdicts = [refusal, refusal, refusal]
    assert.deepEqual(await sink.deliver(three, signal), { kind: 'judged', verdicts })
  })

  test('makes rejects of all when it says that more were rejected than were sent', async (t) => {
    for (const [words, said] of [
      ['no', 'no (it says that it rejected 1000 spans)'],
      ['', 'it says that it rejected 1000 spans'],
    ] as const) {
      const { sink } = await openTo(t, 200, encodeResponse(1000, words))
      const refusal = { field: '', detail: `the receiver rejected it: ${said}` }
      const verdicts = [refusal, refusal, refusal]
      assert.deepEqual(await sink.deliver(three, signal), { kind: 'judged', verdicts })
    }
  })

  test('logs a warning that comes with success', async (t) => {
    const { sink, lines } = await openTo(t, 200, encodeResponse(0, 'clock is off'))
    assert.deepEqual(await sink.deliver(three, signal), taken(3))
    assert.match(lines.join(''), /clock is off/)
  })

  test('halves what is answered 400 or 413, and rejects the span that is alone with a 400', async (t) => {
    const bad = (await openTo(t, 400, 'bad span')).sink
    assert.deepEqual(await bad.deliver(three, signal), { kind: 'too_large' })
    assert.deepEqual(await bad.deliver(three.slice(0, 1), signal), {
      kind: 'judged',
      verdicts: [{ field: '', detail: 'the receiver answered 400: bad span' }],
    })
    const large = (await openTo(t, 413, '')).sink
    assert.deepEqual(await large.deliver(three, signal), { kind: 'too_large' })
    assert.deepEqual(await large.deliver(three.slice(0, 1), signal), {
      kind: 'failed',
      reason: 'it answered 413: it takes less than one span; raise its limit',
      permanent: true,
    })
  })

  test('takes an empty answer of 200', async (t) => {
    const { sink } = await openTo(t, 200, '')
    assert.deepEqual(await sink.deliver(three, signal), taken(3))
  })

  test('asks without a span, at the address with or without its path', async (t) => {
    for (const path of ['', '/v1/traces']) {
      const { peer, sink } = await open(t, path)
      assert.equal(await sink.probe?.(signal), undefined)
      assert.deepEqual([peer.asked.length, peer.took.length], [1, 0])
      peer.trouble('401')
      assert.equal(await sink.probe?.(signal), 'it answered 401: check headers')
    }
  })

  test('sends the same span each time', async (t) => {
    const { peer, sink } = await open(t)
    for (let i = 0; i < 3; i++) await sink.deliver([sent(wholeEvent(1))], signal)
    assert.equal(new Set(peer.asked.map(({ body }) => body)).size, 1)
    assert.deepEqual(new Set(peer.took.map(keyOf)), new Set([wholeEvent(1).idempotency_key]))
  })
})

describe('the settings of otlp', () => {
  const read = (config: object) => readEntries([{ type: 'otlp', name: 'o', config }], {})

  test('warn of the port of gRPC', () => {
    assert.deepEqual(read({ endpoint: 'http://h:4318' }).warnings, [])
    assert.match(
      read({ endpoint: 'http://h:4317' }).warnings[0] ?? '',
      /endpoint: port 4317 .*4318/,
    )
  })

  test('refuse headers that are ours', () => {
    const { problems } = read({ endpoint: 'http://h', headers: { 'Content-Type': 'text/plain' } })
    assert.match(problems[0] ?? '', /sink o: headers: must be an object of texts/)
  })
})

describe('an answer to spans', () => {
  const head = { status: 200, ok: true, permanent: false, retryAfterMs: undefined }
  const headers = { 'content-type': 'application/x-protobuf' }

  test('is a failure with a reason, or adds up', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 60 }), (bytes) => {
        const answer = { ...head, headers, body: Buffer.from(bytes) }
        const judged = judge(answer, 2, ProtobufTraceSerializer.deserializeResponse)
        if (judged.kind === 'failed') assert.match(judged.reason, /^it answered/)
        else if (judged.kind === 'partial') assert.ok([1, 2].includes(judged.rejected))
        else assert.equal(judged.kind, 'taken')
      }),
      { numRuns: runs(500) },
    )
  })
})
