import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { after, before, describe, type TestContext, test } from 'node:test'
import { BatchGetTracesCommand, XRayClient } from '@aws-sdk/client-xray'
import fc from 'fast-check'
import { pino } from 'pino'
import { Outgoing } from '../../src/core/delivery.ts'
import type { Event } from '../../src/core/event.ts'
import { toSegment } from '../../src/core/event-segment.ts'
import { judge } from '../../src/sinks/aws-xray/judge.ts'
import { openSink } from '../../src/sinks/index.ts'
import { readEntries } from '../../src/sinks/read-entries.ts'
import { needsMoto, startMoto } from '../support/sid.ts'
import { wholeEvent } from '../support/whole-event.ts'
import { runs } from '../support/wild.ts'
import { startAwsPeer, useTestKeys } from './aws-peer.ts'

useTestKeys()
let moto = { url: '', stop: () => {} }
before(async () => {
  if (needsMoto.skip === false) moto = await startMoto()
})
after(() => moto.stop())

const { signal } = new AbortController()
const sent = (event: Event, seq = 1) => new Outgoing(seq, JSON.stringify(event))
const taken = (count: number) => ({ kind: 'judged', verdicts: Array(count).fill('taken') })
const hash = (id: string | null | undefined) =>
  createHash('sha256')
    .update(id ?? '')
    .digest('hex')
const aws_region = 'eu-central-1'

async function open(t: TestContext, config: object = {}, unwanted?: string) {
  const peer = await startAwsPeer(t, moto.url, unwanted)
  const sink = await openSink(
    { type: 'aws_xray', name: 'xray', config: { aws_region, endpoint: peer.url, ...config } },
    { log: pino({ level: 'silent' }) },
  )
  t.after(() => sink.close?.())
  return { peer, sink }
}

/** The segments that moto has of a trace. */
async function readTrace(id: string): Promise<Record<string, unknown>[]> {
  const client = new XRayClient({ region: aws_region, endpoint: moto.url })
  const { Traces = [] } = await client.send(new BatchGetTracesCommand({ TraceIds: [id] }))
  client.destroy()
  return (Traces[0]?.Segments ?? []).map(({ Document = '' }) => JSON.parse(Document))
}

const aboutJob = (event: Event, id: string): Event => ({
  ...event,
  entity: { type: 'job', id, business_key: 'LOT-1' },
})

describe('a sink of X-Ray', needsMoto, () => {
  test('has a segment for a job and a subsegment for its subjob, in one trace', async (t) => {
    const { sink } = await open(t, { service_name: 'wafers' })
    const parent = crypto.randomUUID()
    const whole = wholeEvent(1)
    const wafer = { ...whole, entity: { ...whole.entity, parent_id: parent } }
    const job = aboutJob(wholeEvent(2), parent)
    assert.deepEqual(await sink.deliver([sent(wafer), sent(job, 2)], signal), taken(2))
    const trace = `1-${hash(parent).slice(0, 8)}-${hash(parent).slice(8, 32)}`
    const segments = await readTrace(trace)
    assert.equal(segments.length, 2)
    const { annotations, metadata, ...child } =
      segments.find(({ type }) => type === 'subsegment') ?? {}
    const end = Date.parse('2026-03-01T12:00:00Z') / 1000
    assert.deepEqual(child, {
      ...{ name: 'wafers', id: hash(wafer.entity.id).slice(0, 16), trace_id: trace },
      ...{ parent_id: hash(parent).slice(0, 16), type: 'subsegment' },
      ...{ start_time: end - 1.5, end_time: end },
    })
    const { app_name, idempotency_key } = Object(annotations)
    assert.deepEqual([app_name, idempotency_key], ['litho-apc', wafer.idempotency_key])
    assert.deepEqual(metadata, {
      wafermon: { metrics: wafer.event.metrics, metadata: wafer.event.metadata },
    })
    const above = segments.find(({ type }) => type === undefined)
    assert.deepEqual([above?.id, above?.parent_id], [hash(parent).slice(0, 16), undefined])
  })

  test('keeps the trace that the program was in, in the form of X-Ray', async (t) => {
    const { peer, sink } = await open(t)
    const traceparent = '00-4efaaf4d1e8720b39541901950019ee5-b7ad6b7169203331-01'
    const job = { ...aboutJob(wholeEvent(1), crypto.randomUUID()), traceparent }
    assert.deepEqual(await sink.deliver([sent(job)], signal), taken(1))
    const { trace_id, parent_id, name } = peer.segments[0] ?? {}
    assert.deepEqual(
      [trace_id, parent_id, name],
      ['1-4efaaf4d-1e8720b39541901950019ee5', 'b7ad6b7169203331', 'litho-apc'],
    )
  })

  test('says why a job failed', async (t) => {
    const { peer, sink } = await open(t)
    const metadata = { error: 'no vacuum', error_type: 'VacuumError' }
    const failed = wholeEvent(1, { kind: 'error', status: 'failed', metadata })
    await sink.deliver([sent(failed), sent(wholeEvent(2), 2)], signal)
    const [one, other] = peer.segments
    assert.deepEqual([one?.fault, other?.fault], [true, undefined])
    const id = hash(failed.entity.id).slice(0, 16)
    assert.deepEqual(one?.cause, {
      exceptions: [{ id, message: 'no vacuum', type: 'VacuumError' }],
    })
  })

  test('sends 50 documents a call, and nothing for events that end no job', async (t) => {
    const { peer, sink } = await open(t)
    const batch = Array.from({ length: 120 }, (_, i) => {
      const event = aboutJob(wholeEvent(i + 1), crypto.randomUUID())
      return sent(event, i + 1)
    })
    batch.push(sent(wholeEvent(200, { kind: 'progress', status: 'running' }), 200))
    assert.deepEqual(await sink.deliver(batch, signal), taken(121))
    assert.deepEqual(peer.operations, ['/TraceSegments', '/TraceSegments', '/TraceSegments'])
    assert.equal(peer.segments.length, 120)
  })

  test('rejects the segment that X-Ray refuses, by its id, and takes the others', async (t) => {
    const { peer, sink } = await open(t, {}, wholeEvent(2).idempotency_key)
    const batch = [1, 2, 3].map((seq) => sent(wholeEvent(seq), seq))
    const detail = 'X-Ray answered InvalidSegment: not wanted'
    assert.deepEqual(await sink.deliver(batch, signal), {
      kind: 'judged',
      verdicts: ['taken', { field: '', detail }, 'taken'],
    })
    assert.equal(peer.segments.length, 2)
  })

  test('asks apart about attempts of one job, whose segments have one id', async (t) => {
    const { peer, sink } = await open(t, {}, wholeEvent(2).idempotency_key)
    const id = crypto.randomUUID()
    const batch = [1, 2, 3].map((seq) => sent(aboutJob(wholeEvent(seq), id), seq))
    const answer = await sink.deliver(batch, signal)
    const verdicts = answer.kind === 'judged' ? answer.verdicts : []
    assert.deepEqual([verdicts[0], verdicts[2]], ['taken', 'taken'])
    assert.equal((verdicts[1] as { field?: string }).field, '')
    assert.equal(peer.segments.length, 2)
  })

  test('sends a segment again that was throttled, and it alone', async (t) => {
    const { peer, sink } = await open(t)
    peer.trouble('some segments throttled')
    const batch = [1, 2, 3].map((seq) => sent(wholeEvent(seq), seq))
    assert.deepEqual(await sink.deliver(batch, signal), {
      kind: 'judged',
      verdicts: ['taken', 'later', 'later'],
    })
  })

  test('finds by itself what cannot be a segment, and names the field', async (t) => {
    const { peer, sink } = await open(t)
    const batch = [
      new Outgoing(1, '{"torn'),
      sent(wholeEvent(2, { started_at: '1969-12-31T23:59:59.000000Z' }), 2),
      sent(wholeEvent(3, { metadata: { note: 'a\0b' } }), 3),
    ]
    const answer = await sink.deliver(batch, signal)
    const found = answer.kind === 'judged' ? answer.verdicts : []
    assert.deepEqual(
      found.map((one) => (one as { field: string }).field),
      ['', 'event.started_at', 'event.metadata.note'],
    )
    assert.deepEqual(peer.operations, [])
  })

  test('takes metadata, metrics and names of any kind within 64 kB', async (t) => {
    const { peer, sink } = await open(t)
    const event = wholeEvent(1, {
      metadata: { long: 'ä\n"'.repeat(20_000), deep: { 'a.b': [1, { c: null }] } },
      metrics: Object.fromEntries(Array.from({ length: 64 }, (_, i) => [`m${i}`.repeat(200), i])),
    })
    const named = { ...event, app: { ...event.app, name: `<b>"ätzen" 😀${'x'.repeat(190)}` } }
    assert.deepEqual(await sink.deliver([sent(named)], signal), taken(1))
    assert.match(String(peer.segments[0]?.name), /^_b__ätzen_ _x+$/)
    assert.ok(JSON.stringify(peer.segments[0]).length < 65_536)
  })

  test('asks without an event', async (t) => {
    const { peer, sink } = await open(t)
    assert.equal(await sink.probe?.(signal), undefined)
    assert.deepEqual(peer.operations, ['/GetSamplingRules'])
    peer.trouble('access denied (AccessDeniedException)')
    assert.match((await sink.probe?.(signal)) ?? '', /400 AccessDeniedException: planted/)
  })
})

describe('a document of X-Ray', () => {
  test('has at most 64 kB, whatever programs say', () => {
    const metrics = fc.dictionary(fc.string({ maxLength: 2000 }), fc.double({ noNaN: true }), {
      maxKeys: 64,
    })
    const metadata = fc.dictionary(fc.string({ maxLength: 3000 }), fc.jsonValue(), { maxKeys: 30 })
    fc.assert(
      fc.property(metrics, metadata, (measured, said) => {
        const event = wholeEvent(1, { metrics: measured, metadata: said as never })
        const made = toSegment(event, undefined)
        assert.ok(made)
        if ('document' in made) assert.ok(Buffer.byteLength(made.document) <= 65_536)
        else assert.match(made.detail, /X-Ray takes 65536/)
      }),
      { numRuns: runs(100) },
    )
  })
})

describe('an answer of X-Ray', () => {
  test('is a failure with a reason, or has a verdict for each document', () => {
    const word = fc.constantFrom('a', 'b', 'c', undefined, null, 7)
    const one = fc.oneof(
      fc.record({ Id: word, ErrorCode: fc.anything(), Message: fc.anything() }),
      fc.constant(null),
    )
    fc.assert(
      fc.property(fc.array(one, { maxLength: 4 }), (unprocessed) => {
        const judged = judge(unprocessed as never, ['a', 'b'])
        if (Array.isArray(judged)) assert.equal(judged.length, 2)
        else if (judged.kind === 'failed') assert.match(judged.reason, /^it answered/)
        else assert.equal(judged.kind, 'too_large')
      }),
      { numRuns: runs(300) },
    )
  })

  test('without an id is about the only document, or halves the batch', () => {
    const nameless = [{ ErrorCode: 'JSONFormatError', Message: 'bad' }]
    assert.deepEqual(judge(nameless, ['a', 'b']), { kind: 'too_large' })
    const refusal = { field: '', detail: 'X-Ray answered JSONFormatError: bad' }
    assert.deepEqual(judge(nameless, ['a']), [refusal])
  })
})

describe('the settings of aws_xray', () => {
  const read = (config: object) =>
    readEntries([{ type: 'aws_xray', name: 'x', config }], {}).problems

  test('are those of the earlier system', () => {
    assert.deepEqual(read({ aws_region: 'us-east-1', service_name: 'wafer-monitor' }), [])
  })

  test('are refused by name, with the remedy', () => {
    const problems = read({ aws_region: 7, service_name: '<x>' }).join('\n')
    assert.match(problems, /sink x: aws_region: must be the name of a region/)
    assert.match(problems, /sink x: service_name: must be 1 to 200 letters/)
  })
})
