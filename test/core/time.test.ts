import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import {
  fromMicros,
  fromMs,
  isCanonical,
  parseTime,
  toMicros,
  toMicrosNumber,
  toMs,
} from '../../src/core/time.ts'

/** Two digits of any kind, so that months, days and hours that are none come up too. */
const pair = fc.integer({ min: 0, max: 99 }).map((n) => String(n).padStart(2, '0'))
const times = fc
  .tuple(fc.integer({ min: 0, max: 9999 }), pair, pair, pair, pair, pair, fc.nat(999_999))
  .map(([year, month, day, hour, minute, second, micros]) => {
    const date = `${String(year).padStart(4, '0')}-${month}-${day}`
    return `${date}T${hour}:${minute}:${second}.${String(micros).padStart(6, '0')}`
  })
/** Days that nearly all exist. */
const days = fc
  .tuple(
    fc.integer({ min: 1960, max: 2110 }),
    fc.integer({ min: 1, max: 12 }),
    fc.integer({ min: 27, max: 32 }),
  )
  .map(([year, month, day]) => {
    return `${year}-${String(month).padStart(2, '0')}-${day}T23:59:59.000001`
  })

describe('parseTime', () => {
  test('reads the canonical form as it reads all others', () => {
    fc.assert(
      fc.property(fc.oneof(times, days), (text) => {
        // With an offset written out it is not canonical, and takes the long way.
        assert.equal(parseTime(`${text}Z`), parseTime(`${text}+00:00`), text)
      }),
      { numRuns: 20_000 },
    )
  })

  test('takes nothing else of the same length for canonical', () => {
    for (const text of [
      '2026-03-01T12:00:00.12345aZ',
      '2026-03-01T12:00:00,123456Z',
      '2026-03-01T12:00:00.123456X',
      '2026-02-29T12:00:00.123456Z',
      '2100-02-29T12:00:00.123456Z',
      '2026-03-01T24:00:00.123456Z',
      '1969-12-31T23:59:59.999999Z',
    ]) {
      assert.equal(parseTime(text), undefined, text)
    }
    for (const leap of ['2028-02-29T12:00:00.123456Z', '2000-02-29T12:00:00.123456Z']) {
      assert.equal(parseTime(leap), leap)
    }
    assert.equal(parseTime('2026-03-01t12:00:00.123456z'), '2026-03-01T12:00:00.123456Z')
  })
})

describe('a time as a number', () => {
  const canonical = fc.oneof(times, days).map((text) => `${text}Z`)
  const exact = (text: string) =>
    BigInt(Date.parse(`${text.slice(0, 23)}Z`)) * 1000n + BigInt(text.slice(23, 26))

  test('is what the platform reads, to the microsecond, and comes back as it was', () => {
    fc.assert(
      fc.property(canonical, (text) => {
        if (!isCanonical(text)) return
        assert.equal(toMicros(text), exact(text))
        assert.equal(fromMicros(toMicros(text)), text)
        const whole = Date.parse(`${text.slice(0, 23)}Z`)
        assert.equal(toMs(text), whole + Number(text.slice(23, 26)) / 1000)
        const us = toMicrosNumber(text)
        if (Number.isSafeInteger(us)) assert.equal(BigInt(us), exact(text))
      }),
      { numRuns: 5000 },
    )
  })

  test('gives the text of the platform, whatever came before', () => {
    const ms = fc.oneof(
      fc.integer({ min: -1e12, max: 2.5e14 }),
      fc.integer({ min: 1_772_366_399_000, max: 1_772_366_402_000 }),
    )
    fc.assert(
      fc.property(ms, fc.nat(999), (whole, us) => {
        const wanted = `${new Date(whole).toISOString().slice(0, 23)}${String(us).padStart(3, '0')}Z`
        // Above this a double has no microseconds.
        if (Math.abs(whole) < 4e12) assert.equal(fromMs(whole + us / 1000), wanted)
        assert.equal(fromMs(whole), `${wanted.slice(0, 23)}000Z`)
      }),
      { numRuns: 5000 },
    )
  })
})
