import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import { readEvent } from '../../src/core/read-event.ts'
import { cleanMetadata, cleanText } from '../../src/sdk/clean.ts'
import { type JobOptions, monitored, startJob, wrap } from '../../src/sdk/index.ts'
import { listening } from '../support/jobs-said.ts'

const limits = { maxEventBytes: 64 * 1024, maxSkewS: 600 }

/** The real first door takes every event, over the wire and back. */
function assertFits(events: readonly unknown[]) {
  for (const event of events) {
    const read = readEvent(
      JSON.parse(JSON.stringify(event)),
      { receivedAt: '2099-01-01T00:00:00.000000Z' },
      limits,
    )
    assert.ok(read.ok, JSON.stringify(read))
  }
}

const circular: Record<string, unknown> = { name: 'loop' }
circular.self = circular
const throwing = {
  get bad() {
    throw new Error('getter')
  },
  good: 1,
}
const deep = JSON.parse(`${'{"a":'.repeat(200)}1${'}'.repeat(200)}`) as object
const proxy = new Proxy({}, { get: () => assert.fail('trap'), ownKeys: () => assert.fail('trap') })

const nasty: unknown[] = [
  Number.NaN,
  Number.POSITIVE_INFINITY,
  12n,
  2n ** 2000n,
  Symbol('s'),
  () => 1,
  null,
  undefined,
  '',
  'a\0b',
  '\ud800',
  '\udc00x\ud83d',
  '😀'.repeat(300),
  'x'.repeat(5_000_000),
  circular,
  throwing,
  deep,
  proxy,
  new Date(Number.NaN),
  new Map([['k', 1]]),
  new Uint8Array(1e6),
  Array.from({ length: 1e5 }, (_, i) => i),
  [undefined, () => 1, circular],
  { toJSON: () => assert.fail('toJSON') },
  { toString: () => assert.fail('toString') },
  Object.create(null),
  JSON.parse('{"__proto__": {"x": 1}}'),
  new Error('inside'),
  -0,
  5e-324,
]

describe('whatever a program hands over', () => {
  test('as an option, the work runs and its events fit the wire', async () => {
    const names = [
      'app',
      'siteId',
      'businessKey',
      'subKey',
      'id',
      'metadata',
      'parent',
      'traceparent',
    ]
    for (const value of nasty) {
      for (const name of names) {
        const emitter = listening()
        const options = { app: 'a', siteId: 'fab1', emitter, [name]: value } as JobOptions
        assert.equal(await monitored(options, () => 1), 1)
        assert.equal(emitter.events.length, 2, `${name} ${typeof value}`)
        assertFits(emitter.events)
      }
    }
  })

  test('as all the options, the work runs', async () => {
    for (const options of [...nasty, 7, true] as JobOptions[]) {
      assert.equal(await monitored(options, () => 1), 1)
      assert.equal(wrap(options, (n: number) => n)(3), 3)
      assert.doesNotThrow(() =>
        startJob(options)
          .subjob(options as never)
          .finish(options as never),
      )
    }
  })

  test('to a job, no method throws and its events fit the wire', () => {
    const emitter = listening()
    for (const value of nasty as never[]) {
      const job = startJob({ app: 'a', siteId: 'fab1', emitter })
      job.tick(value)
      job.tick({ progress: value, metadata: value })
      job.metric(value, value)
      job.metric('x', value)
      job.metric(value, 1)
      job.error(value, value)
      job.subjob({ metadata: value }).fail(value, value)
      job.subjob(value).cancel(value, value)
      job.finish(value)
      assert.equal(job.running, false)
    }
    assert.ok(emitter.events.length >= nasty.length * 7)
    assertFits(emitter.events)
    assert.ok(emitter.repairs > 0)
  })

  test('as metadata or keys, any JSON at all fits the wire', () => {
    fc.assert(
      fc.property(
        fc.anything({ withBigInt: true, withDate: true }),
        fc.string({ unit: 'binary' }),
        (value, text) => {
          const emitter = listening()
          const job = startJob({
            app: text,
            siteId: text,
            businessKey: text,
            metadata: { value },
            emitter,
          })
          job.metric(text, 1)
          job.fail(text, value as Record<string, unknown>)
          assertFits(emitter.events)
        },
      ),
    )
  })

  test('as an emitter that throws, the work runs', async () => {
    const emitter = { send: () => assert.fail('send'), repaired: () => assert.fail('repaired') }
    assert.equal(await monitored({ app: 'a', emitter, siteId: '§' }, () => 1), 1)
  })

  test('the last event carries at most 64 metrics', () => {
    const emitter = listening()
    const job = startJob({ app: 'a', siteId: 'fab1', emitter })
    for (let i = 0; i < 200; i++) job.metric(`m${i}`, i)
    job.tick({ progress: 0.5 })
    job.finish()
    assertFits(emitter.events)
    assert.equal(emitter.events.length, 203)
    assert.equal(emitter.events.at(-1)!.event.metrics!.progress, 0.5)
  })
})

describe('cleanMetadata', () => {
  const quiet = () => {}

  test('keeps what JSON can hold as it is', () => {
    fc.assert(
      fc.property(fc.dictionary(fc.string(), fc.jsonValue({ maxDepth: 5 })), (value) => {
        let notes = 0
        const text = JSON.stringify(value)
        fc.pre(text.length < 5000 && !text.includes('\\u0000') && Object.keys(value).length > 0)
        const copy = cleanMetadata(value, () => notes++)
        assert.equal(JSON.stringify(copy), text)
        assert.equal(notes, 0)
      }),
    )
  })

  test('never takes more room than it is given', () => {
    fc.assert(
      fc.property(fc.anything(), fc.integer({ min: 0, max: 300 }), (value, room) => {
        const copy = cleanMetadata({ value, more: [value, value] }, quiet, room)
        assert.ok(Buffer.byteLength(JSON.stringify(copy ?? '')) <= Math.max(room, 2))
      }),
    )
  })

  test('names what it cannot follow', () => {
    const copy = JSON.parse(
      JSON.stringify(cleanMetadata({ circular, throwing, bytes: new Uint8Array(3) }, quiet)),
    )
    assert.deepEqual(copy, {
      circular: { name: 'loop', self: '[circular]' },
      throwing: { good: 1 },
      bytes: '[3 bytes]',
    })
  })
})

describe('cleanText', () => {
  test('cuts between characters, not through them', () => {
    assert.equal(
      cleanText('ab😀', 3, () => {}),
      'ab',
    )
    assert.equal(
      cleanText('ab😀', 4, () => {}),
      'ab😀',
    )
  })

  test('replaces what a database refuses, and says so', () => {
    let notes = 0
    assert.equal(
      cleanText('a\0\ud800', 10, () => notes++),
      'a\ufffd\ufffd',
    )
    assert.equal(notes, 1)
  })
})
