import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import {
  addHistograms,
  maxError,
  nearestRank,
  percentileOf,
  toBin,
  toHistogramText,
  zeroBin,
} from '../../src/core/histogram.ts'

const histogramOf = (values: readonly number[]) =>
  toHistogramText(addHistograms(values.map((value) => `${toBin(value)}:1`)))

const duration = fc.oneof(
  fc.constant(0),
  fc.double({ min: 5e-324, max: 1e300, noNaN: true }),
  fc.double({ min: 1e-3, max: 1e6, noNaN: true }),
  fc.integer({ min: -40, max: 40 }).map((n) => 2 ** n),
)
const durations = fc.array(duration, { minLength: 1, maxLength: 60 })
const share = fc.constantFrom(0, 0.001, 0.05, 0.5, 0.95, 0.99, 1)

describe('a percentile', () => {
  test('is the nearest rank: a value that is there, and that so many do not exceed', () => {
    const values = [1, 2, 3, 4, 5, 6, 7, 8, 9, 10]
    assert.equal(nearestRank(values, 0.5), 5)
    assert.equal(nearestRank(values, 0.95), 10)
    assert.equal(nearestRank([1, 1000], 0.5), 1)
    assert.equal(nearestRank([], 0.5), null)
  })

  test('from a histogram is at most 4.43 % away from it, however many were added up', () => {
    assert.ok(maxError < 0.0443)
    fc.assert(
      fc.property(fc.array(durations, { minLength: 1, maxLength: 4 }), share, (groups, p) => {
        const all = groups.flat().sort((a, b) => a - b)
        const sum = addHistograms(groups.map(histogramOf))
        const exact = nearestRank(all, p)!
        for (const bounds of [{}, { min: all[0]!, max: all.at(-1)! }]) {
          const given = percentileOf(sum, p, bounds)!
          // The least doubles have no digits to be precise with.
          assert.ok(Math.abs(given - exact) <= exact * (maxError + 1e-9) + 1e-320, `${given}`)
        }
      }),
    )
  })

  test('of nothing is null', () => {
    assert.equal(percentileOf(addHistograms([]), 0.5), null)
    assert.equal(percentileOf(addHistograms(['', '']), 0.5), null)
  })
})

describe('histograms', () => {
  test('have a bin for zero, and eight a doubling', () => {
    assert.equal(histogramOf([0, 0, 1, 1.05, 2, 0.5]), `${zeroBin}:2 -8:1 0:2 8:1`)
  })

  test('add up to that of all values, also when they are joined', () => {
    fc.assert(
      fc.property(durations, durations, (a, b) => {
        const both = histogramOf([...a, ...b])
        assert.equal(toHistogramText(addHistograms([histogramOf(a), histogramOf(b)])), both)
        assert.equal(toHistogramText(addHistograms([`${histogramOf(a)} ${histogramOf(b)}`])), both)
      }),
    )
  })
})
