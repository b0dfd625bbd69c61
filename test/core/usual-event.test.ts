import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import { isPlain, parseJson } from '../../src/core/json.ts'
import { readEvent } from '../../src/core/read-event.ts'
import { boundUsual, unusual } from '../../src/core/usual-event.ts'
import { nearlyValid, runs, validEvent, wildJson } from '../support/wild.ts'

const limits = { maxEventBytes: 65_536, maxSkewS: 600 }
const hop = { receivedAt: '2026-03-01T12:00:00.000000Z', startOf: () => undefined }

/** With and without the check by hand. The second argument of readEvent is not touched. */
function readBoth(text: string) {
  const input = parseJson(text)
  const quick = readEvent(input, hop, limits, isPlain(text))
  const slow = readEvent(parseJson(text), hop, limits)
  const seen = (read: typeof quick) =>
    read.ok ? { ...read, event: read.event, json: read.json } : read
  return { quick: seen(quick), slow: seen(slow), bound: boundUsual(input, isPlain(text)) }
}

function parses(text: string): boolean {
  try {
    parseJson(text)
    return true
  } catch {
    return false
  }
}

const source = fc.record({
  id: fc.string({ maxLength: 130 }),
  epoch: fc.string({ maxLength: 70 }),
  seq: fc.oneof(fc.integer(), fc.double(), fc.maxSafeNat()),
})
const forwarded = fc
  .tuple(validEvent, source)
  .map(([event, source]) =>
    JSON.stringify({ ...event, source, received_at: '2026-03-01T12:00:00Z' }),
  )

const texts = fc.oneof(
  { weight: 3, arbitrary: nearlyValid },
  validEvent.map((event) => JSON.stringify(event)),
  forwarded,
  wildJson,
)

describe('the check by hand', () => {
  test('takes nothing that the schema refuses, and makes the same of what it takes', () => {
    fc.assert(
      fc.property(texts, (text) => {
        if (!parses(text)) return
        const { quick, slow } = readBoth(text)
        assert.deepEqual(quick, slow)
      }),
      { numRuns: runs(5000) },
    )
  })

  test('never says that an event is smaller than it is', () => {
    fc.assert(
      fc.property(texts, (text) => {
        if (!parses(text)) return
        const { bound } = readBoth(text)
        if (bound === unusual) return
        assert.ok(bound >= Buffer.byteLength(JSON.stringify(parseJson(text))))
      }),
      { numRuns: runs(2000) },
    )
  })

  test('takes the events that our own clients send, at the first hop and after it', () => {
    const event = {
      idempotency_key: crypto.randomUUID(),
      site_id: 'fab1',
      app: { app_id: crypto.randomUUID(), name: 'etch', version: '' },
      entity: { type: 'subjob', id: crypto.randomUUID(), parent_id: crypto.randomUUID() },
      event: {
        kind: 'finished',
        at: '2026-03-01T12:00:00.000000Z',
        status: 'succeeded',
        metrics: { duration_s: 1.5 },
        metadata: { recipe: 'R-17', steps: [1, { a: null }, true] },
      },
      traceparent: '00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01',
    }
    assert.notEqual(boundUsual(event, true), unusual)
    const source = { id: 'host-1', epoch: '20260301T120000000Z-00000000', seq: 1 }
    const received_at = '2026-03-01T12:00:00.000000Z'
    assert.notEqual(boundUsual({ ...event, source, received_at }, true), unusual)
    assert.equal(boundUsual(event, false), unusual, 'a text with an escape is judged by the schema')
  })
})
