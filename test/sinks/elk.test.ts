import assert from 'node:assert/strict'
import { describe, type TestContext, test } from 'node:test'
import fc from 'fast-check'
import { pino } from 'pino'
import { Outgoing } from '../../src/core/delivery.ts'
import type { Event } from '../../src/core/event.ts'
import { judge } from '../../src/sinks/elk/judge.ts'
import { openSink } from '../../src/sinks/index.ts'
import { wholeEvent } from '../support/whole-event.ts'
import { runs } from '../support/wild.ts'
import { startElkPeer } from './elk-peer.ts'

const { signal } = new AbortController()
const sent = (event: Event, seq = 1) => new Outgoing(seq, JSON.stringify(event))

async function open(t: TestContext, config: object = {}, distribution?: 'opensearch') {
  const peer = await startElkPeer(t, distribution)
  const lines: string[] = []
  const sink = await openSink(
    { type: 'elk', name: 'elk', config: { elasticsearch_url: peer.url, ...config } },
    { log: pino({}, { write: (line) => lines.push(line) }) },
  )
  t.after(() => sink.close?.())
  return { peer, sink, lines }
}

const takenOnce = { kind: 'judged', verdicts: ['taken'] }

describe('a sink of Elasticsearch', () => {
  test('has a document for each event, in the index of its own day', async (t) => {
    const { peer, sink } = await open(t)
    const late = wholeEvent(2, { at: '2025-12-31T23:59:59.999999Z' })
    await sink.deliver([sent(wholeEvent(1)), sent(late, 2)], signal)
    const [first, second] = [...peer.documents.keys()]
    assert.match(first ?? '', /^wafer-monitor-2026\.03\.01\//)
    assert.match(second ?? '', /^wafer-monitor-2025\.12\.31\//)
    const document = [...peer.documents.values()][0]
    assert.deepEqual(document, {
      '@timestamp': '2026-03-01T12:00:00.000000Z',
      timestamp: '2026-03-01T12:00:00.000000Z',
      ...{ idempotency_key: wholeEvent(1).idempotency_key, site_id: 'fab1' },
      ...{ app_id: '5f0c41c2-7c42-4d10-9a35-0193581eb7e8', app_name: 'litho-apc' },
      ...{ app_version: '1.2', entity_type: 'subjob', entity_id: wholeEvent(1).entity.id },
      ...{ parent_id: wholeEvent(1).entity.parent_id, business_key: 'LOT-1', sub_key: 'W1' },
      ...{ event_kind: 'finished', status: 'succeeded', duration_s: 1.5, cpu_user_s: 0.5 },
      ...{ cpu_system_s: 0.25, mem_max_mb: 100, metrics: wholeEvent(1).event.metrics },
      metadata: wholeEvent(1).event.metadata,
      received_at: '2026-03-01T12:00:01.000000Z',
      ...{ source_id: 'spool-1', source_epoch: 'e1', source_seq: 1 },
    })
  })

  test('has it once, however often it is sent', async (t) => {
    const { peer, sink } = await open(t)
    for (let i = 0; i < 3; i++) {
      assert.deepEqual(await sink.deliver([sent(wholeEvent(1))], signal), takenOnce)
    }
    assert.equal(peer.documents.size, 1)
    // Another time makes another event of the same key.
    await sink.deliver([sent(wholeEvent(1, { at: '2026-03-01T12:00:00.000001Z' }))], signal)
    assert.equal(peer.documents.size, 2)
  })

  test('refuses the document that does not fit, with its field, and no other', async (t) => {
    const { peer, sink } = await open(t)
    const wrong = wholeEvent(2, { metrics: { duration_s: 'long' as never } })
    const answer = await sink.deliver([sent(wholeEvent(1)), sent(wrong, 2)], signal)
    const detail =
      'mapper_parsing_exception: failed to parse field [duration_s] of type [double] in document'
    assert.deepEqual(answer, {
      kind: 'judged',
      verdicts: ['taken', { field: 'duration_s', detail }],
    })
    assert.equal(peer.documents.size, 1)
  })

  test('finds by itself what could not be sent, and names the field', async (t) => {
    const { peer, sink } = await open(t)
    const batch = [
      new Outgoing(1, '{"torn'),
      sent(wholeEvent(2, { at: 'yesterday' }), 2),
      new Outgoing(3, JSON.stringify(wholeEvent(3)).replace('1.5', '1e999')),
      sent(wholeEvent(4, { metadata: { note: 'a\0b' } }), 4),
    ]
    const answer = await sink.deliver(batch, signal)
    const fields =
      answer.kind === 'judged' ? answer.verdicts.map((v) => (v as { field: string }).field) : []
    assert.deepEqual(fields, ['', 'event.at', 'event.metrics.duration_s', 'event.metadata.note'])
    assert.equal(peer.bulks, 0)
  })

  test('takes metadata of any names and depth', async (t) => {
    const { peer, sink } = await open(t)
    const deep = { 'a.b': 1, a: { b: 2 }, '': 3, '[x] "y" {z}': [], long: 'x'.repeat(60_000) }
    const metadata = Array.from({ length: 30 }).reduce<object>((inner) => ({ inner }), deep)
    const event = wholeEvent(1, { metadata: metadata as Record<string, unknown> })
    assert.deepEqual(await sink.deliver([sent(event)], signal), takenOnce)
    assert.equal(peer.documents.size, 1)
  })

  test('installs a template and a policy that deletes by age, once', async (t) => {
    const { peer, sink } = await open(t, { index_prefix: 'fab', retention_days: 30 })
    for (let i = 1; i < 4; i++) await sink.deliver([sent(wholeEvent(i), i)], signal)
    assert.deepEqual([...peer.installed.keys()], ['/_ilm/policy/fab', '/_index_template/fab'])
    const said = JSON.stringify([...peer.installed.values()])
    assert.match(said, /"min_age":"30d"/)
    assert.match(said, /"index_patterns":\["fab-\*"\]/)
    assert.match(said, /"index.lifecycle.name":"fab"/)
    assert.match(said, /"type":"flattened","depth_limit":40,"ignore_above":8191/)
  })

  test('installs what OpenSearch knows there, and takes a policy that exists for its own', async (t) => {
    const { peer, sink } = await open(t, {}, 'opensearch')
    await sink.deliver([sent(wholeEvent(1))], signal)
    const path = '/_plugins/_ism/policies/wafer-monitor'
    assert.deepEqual([...peer.installed.keys()], [path, '/_index_template/wafer-monitor'])
    const said = JSON.stringify([...peer.installed.values()])
    assert.match(said, /"min_index_age":"90d"/)
    assert.match(said, /"type":"flat_object"/)
    assert.doesNotMatch(said, /lifecycle|flattened/)
  })

  test('warns a user who may only write, and goes on', async (t) => {
    const { peer, sink, lines } = await open(t)
    peer.trouble('a user who may only write')
    assert.deepEqual(await sink.deliver([sent(wholeEvent(1))], signal), takenOnce)
    assert.equal(lines.filter((line) => /could not be installed/.test(line)).length, 2)
  })

  test('refuses nothing when the cluster has no room for another index', async (t) => {
    const { peer, sink } = await open(t)
    peer.trouble('too many shards')
    assert.deepEqual(await sink.deliver([sent(wholeEvent(1))], signal), {
      kind: 'failed',
      reason: 'it takes no document at the moment: 400 validation_exception',
    })
  })

  test('says what it is before anything is sent', async (t) => {
    const { peer, sink } = await open(t)
    assert.equal(await sink.probe?.(signal), undefined)
    peer.trouble('401')
    assert.equal(await sink.probe?.(signal), 'it answered 401')
  })
})

describe('an answer to a bulk request', () => {
  const head = { status: 200, ok: true, permanent: false, headers: {}, retryAfterMs: undefined }
  const answerOf = (text: string) => ({ ...head, body: Buffer.from(text) })

  test('is a failure with a reason, or has a verdict for each document', () => {
    const item = fc.oneof(
      fc.json({ maxDepth: 3 }).map((text) => JSON.parse(text)),
      fc.record({
        create: fc.record({
          _id: fc.constantFrom('a', 'b', 1, null),
          status: fc.oneof(fc.integer({ min: 0, max: 600 }), fc.constantFrom('201', null, 1e99)),
          error: fc.oneof(fc.constant(null), fc.anything()),
        }),
      }),
    )
    const texts = fc.oneof(
      fc.string({ unit: 'binary' }),
      fc.array(item, { maxLength: 3 }).map((items) => JSON.stringify({ items })),
    )
    fc.assert(
      fc.property(texts, (text) => {
        const judged = judge(answerOf(text), ['a', 'b'])
        if (judged.kind === 'items') {
          assert.equal(judged.verdicts.length, 2)
          const { items } = JSON.parse(text)
          assert.deepEqual(
            items.map((one: { create: { _id: unknown } }) => one.create._id),
            ['a', 'b'],
          )
        } else assert.match(judged.kind === 'failed' ? judged.reason : '', /^it /)
      }),
      { numRuns: runs(500) },
    )
  })
})
