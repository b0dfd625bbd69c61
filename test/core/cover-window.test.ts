import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import { coverWindow, floorOf, levels } from '../../src/core/cover-window.ts'

const at = (text: string) => Date.parse(text)
const shown = (from: string, to: string, top: (typeof levels)[number]) =>
  coverWindow(at(from), at(to), top).map(({ of, fromMs, toMs }) => [
    of,
    new Date(fromMs).toISOString().slice(0, 16),
    new Date(toMs).toISOString().slice(0, 16),
  ])

describe('a window of statistics', () => {
  test('is covered by the longest level in the middle and by shorter ones at its ends', () => {
    assert.deepEqual(shown('2024-01-30T22:10:00Z', '2024-04-01T00:05:00Z', 'monthly'), [
      ['job', '2024-01-30T22:10', '2024-01-30T23:00'],
      ['hourly', '2024-01-30T23:00', '2024-01-31T00:00'],
      ['daily', '2024-01-31T00:00', '2024-02-01T00:00'],
      ['monthly', '2024-02-01T00:00', '2024-04-01T00:00'],
      ['job', '2024-04-01T00:00', '2024-04-01T00:05'],
    ])
  })

  test('begins its weeks on Monday', () => {
    assert.deepEqual(shown('2026-02-28T00:00:00Z', '2026-03-10T00:00:00Z', 'weekly'), [
      ['daily', '2026-02-28T00:00', '2026-03-02T00:00'],
      ['weekly', '2026-03-02T00:00', '2026-03-09T00:00'],
      ['daily', '2026-03-09T00:00', '2026-03-10T00:00'],
    ])
  })

  test('is covered without gap and overlap, each stretch by whole buckets of its level', () => {
    const time = fc.integer({ min: at('1969-12-01T00:00:00Z'), max: at('2032-01-01T00:00:00Z') })
    fc.assert(
      fc.property(time, time, fc.constantFrom(...levels), (a, b, top) => {
        const [from, to] = [Math.min(a, b) + 0.25, Math.max(a, b)]
        const stretches = coverWindow(from, to, top)
        let end = from
        for (const { of, fromMs, toMs } of stretches) {
          assert.equal(fromMs, end)
          assert.ok(toMs > fromMs)
          end = toMs
          if (of === 'job') continue
          assert.equal(floorOf(of, fromMs), fromMs)
          assert.equal(floorOf(of, toMs), toMs)
        }
        if (from < to) assert.equal(end, to)
        else assert.deepEqual(stretches, [])
      }),
    )
  })
})
