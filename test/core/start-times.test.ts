import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import type { Event } from '../../src/core/event.ts'
import { StartTimes } from '../../src/core/start-times.ts'
import { runs } from '../support/wild.ts'

const started = (id: string, at: string) =>
  ({ entity: { id }, event: { kind: 'started', at } }) as Event

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
          if (starts) times.see(started(id, `at ${n}`))
          const start = starts ? `at ${n}` : model.get(id)
          const found = times.startOf(id)
          const recent = [...model.keys()].slice(-size)
          if (starts || recent.includes(id)) assert.equal(found, start)
          else assert.ok(found === undefined || found === start)
          // A forgotten start is unknown, and was not used.
          if (found !== undefined) {
            model.delete(id)
            model.set(id, found)
          }
        }
        const known = [...model.keys()].filter((id) => times.startOf(id) !== undefined)
        assert.ok(known.length <= 2 * size)
      }),
      { numRuns: runs(2000) },
    )
  })

  test('forgets what was not used for twice its size', () => {
    const times = new StartTimes(100)
    times.see(started('first', 'long ago'))
    for (let i = 0; i < 200; i++) times.see(started(`job ${i}`, 'now'))
    assert.equal(times.startOf('first'), undefined)
  })

  test('learns from starts alone, and takes the start they repeat over their own time', () => {
    const times = new StartTimes()
    times.see({ entity: { id: 'a' }, event: { kind: 'progress', at: 'now' } } as Event)
    assert.equal(times.startOf('a'), undefined)
    times.see({
      entity: { id: 'a' },
      event: { kind: 'started', at: 'now', started_at: 'before' },
    } as Event)
    assert.equal(times.startOf('a'), 'before')
  })
})
