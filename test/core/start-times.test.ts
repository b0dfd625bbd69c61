import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import type { Event } from '../../src/core/event.ts'
import { readEvent } from '../../src/core/read-event.ts'
import { StartTimes } from '../../src/core/start-times.ts'
import { runs } from '../support/wild.ts'
import { smallestEvent } from '../support/wire-events.ts'

const job = (id: string) => ({ type: 'job', id }) as const

const started = (id: string, at: string) =>
  ({ entity: job(id), event: { kind: 'started', at } }) as Event

/** A job starts (again), or its start is asked for. */
const step = fc.record({ id: fc.nat({ max: 12 }).map(String), starts: fc.boolean() })

describe('StartTimes', () => {
  test('remembers the jobs used last, and at most twice as many', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 5 }), fc.array(step), (size, steps) => {
        const times = new StartTimes(size)
        /** Last start by job, the one used last at the end. */
        const model = new Map<string, string>()
        for (const [n, { id, starts }] of steps.entries()) {
          // Times that fall: a later start of a job is always the earlier one.
          const at = `at ${999 - n}`
          if (starts) times.see(started(id, at))
          const start = starts ? at : model.get(id)
          const found = times.startOf(job(id))
          const recent = [...model.keys()].slice(-size)
          if (starts || recent.includes(id)) assert.equal(found, start)
          else assert.ok(found === undefined || found === start)
          // A forgotten start is unknown, and was not used.
          if (found !== undefined) {
            model.delete(id)
            model.set(id, found)
          }
        }
        const known = [...model.keys()].filter((id) => times.startOf(job(id)) !== undefined)
        assert.ok(known.length <= 2 * size)
      }),
      { numRuns: runs(2000) },
    )
  })

  test('forgets what was not used for twice its size', () => {
    const times = new StartTimes(100)
    times.see(started('first', 'long ago'))
    for (let i = 0; i < 200; i++) times.see(started(`job ${i}`, 'now'))
    assert.equal(times.startOf(job('first')), undefined)
  })

  test('learns from the first attempt alone, and adds to no other', () => {
    const times = new StartTimes()
    const again = {
      ...started('a', '2026-03-01T12:00:00.000000Z'),
      entity: { ...job('a'), attempt: 2 },
    }
    times.see(again as Event)
    assert.equal(times.startOf(job('a')), undefined)
    times.see(started('a', '2026-03-01T11:00:00.000000Z'))
    const hop = {
      receivedAt: '2026-03-01T12:30:00.000000Z',
      startOf: () => times.startOf(job('a')),
    }
    const addedTo = (attempt: number) => {
      const sent = smallestEvent({ kind: 'progress' })
      const input = { ...sent, entity: { ...sent.entity, attempt } }
      const read = readEvent(input, hop, { maxEventBytes: 65_536, maxSkewS: 600 })
      assert.ok(read.ok)
      return read.event.event.started_at
    }
    assert.deepEqual([addedTo(1), addedTo(2)], ['2026-03-01T11:00:00.000000Z', undefined])
  })

  test('learns from starts alone, and takes the start they repeat over their own time', () => {
    const times = new StartTimes()
    times.see({ entity: job('a'), event: { kind: 'progress', at: 'now' } } as Event)
    assert.equal(times.startOf(job('a')), undefined)
    times.see({
      entity: job('a'),
      event: { kind: 'started', at: 'now', started_at: 'before' },
    } as Event)
    assert.equal(times.startOf(job('a')), 'before')
  })

  test('remembers the earliest of several starts, in whatever order they came', () => {
    for (const order of [
      ['1', '2', '3'],
      ['3', '1', '2'],
      ['2', '3', '1'],
    ]) {
      const times = new StartTimes()
      for (const at of order) times.see(started('a', at))
      assert.equal(times.startOf(job('a')), '1')
    }
  })

  test('does not take the start of a job for that of a subjob with the same id', () => {
    const times = new StartTimes()
    times.see(started('a', '1'))
    assert.equal(times.startOf({ type: 'subjob', id: 'a' }), undefined)
  })

  test('does not learn from a start whose clock was corrected: each copy of it has another', () => {
    const times = new StartTimes()
    const { entity, event } = started('a', '5')
    times.see({ entity, event: { ...event, reported_at: '9' } } as Event)
    assert.equal(times.startOf(job('a')), undefined)
  })
})

describe('the first hop', () => {
  const receivedAt = '2026-03-01T12:00:00.000000Z'
  const limits = { maxEventBytes: 65_536, maxSkewS: 600 }
  const seen = '2026-03-01T11:00:00.000000Z'
  const read = (event: object, startOf: () => string | undefined = () => seen) => {
    const found = readEvent(event, { receivedAt, startOf }, limits)
    assert.ok(found.ok, JSON.stringify(found))
    return found
  }
  const startIn = ({ event: { event } }: ReturnType<typeof read>) => [
    event.started_at,
    event.started_at_added,
  ]

  test('adds a start that it saw, marked as added, and leaves a given one alone', () => {
    assert.deepEqual(startIn(read(smallestEvent())), [seen, true])
    const given = '2026-03-01T11:30:00.000000Z'
    assert.deepEqual(startIn(read(smallestEvent({ started_at: given }))), [given, undefined])
    assert.deepEqual(startIn(read(smallestEvent({ kind: 'started' }))), [undefined, undefined])
  })

  test('only ever lowers a start that was added, and keeps the mark', () => {
    const added = (started_at: string) => smallestEvent({ started_at, started_at_added: true })
    const [before, after] = ['2026-03-01T10:00:00.000000Z', '2026-03-01T11:30:00.000000Z']
    assert.deepEqual(startIn(read(added(before))), [before, true])
    assert.deepEqual(startIn(read(added(after))), [seen, true])
    const forwarded = { ...added(after), source: { id: 'a', epoch: 'e', seq: 1 } }
    assert.deepEqual(startIn(read({ ...forwarded, received_at: receivedAt })), [after, true])
  })

  test('neither corrects nor counts what it added, when its own clock went back', () => {
    const found = read(smallestEvent(), () => '2026-03-01T23:00:00.000000Z')
    assert.deepEqual(startIn(found), ['2026-03-01T23:00:00.000000Z', true])
    assert.deepEqual([found.corrected, found.event.event.reported_started_at], [false, undefined])
  })

  test('takes an event of the largest size also when it adds a start, and so does the next hop', () => {
    const bare = { ...smallestEvent(), pad: '' }
    const normal = read(bare, () => undefined).json
    bare.pad = 'x'.repeat(limits.maxEventBytes - Buffer.byteLength(normal))
    const { event, json } = read(bare)
    assert.ok(Buffer.byteLength(json) > limits.maxEventBytes)
    read({ ...event, source: { id: 'x'.repeat(128), epoch: 'x'.repeat(64), seq: 2 ** 53 - 1 } })
  })
})
