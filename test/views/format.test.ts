import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import { fromMs, toMs } from '../../src/core/time.ts'
import * as format from '../../views/format.ts'

const seconds = fc.double({ min: 0, max: 1e9, noNaN: true })
const anyNumber = fc.oneof(fc.double(), fc.integer(), fc.constant(null), fc.constant(undefined))
const someTime = fc.integer({ min: 0, max: 4_102_444_800_000 }).map((ms) => fromMs(ms))
const zone = fc.constantFrom(
  'UTC',
  'Europe/Berlin',
  'Asia/Taipei',
  'America/New_York',
  'Asia/Kolkata',
)

/** Reads what `duration` and `age` write. */
function secondsIn(text: string): number {
  const plain = /^(\d+(?:\.\d+)?)\u00a0s$/.exec(text)
  if (plain) return Number(plain[1])
  const match = /^(?:([\d,]+)\u00a0d\u00a0)?(?:(\d+):)?(\d+):(\d\d)$/.exec(text)
  assert.ok(match, text)
  const [, days = '0', hours = '0', minutes, rest] = match
  assert.ok(Number(minutes) < 60 && Number(rest) < 60, text)
  return (
    Number(days.replaceAll(',', '')) * 86_400 +
    Number(hours) * 3600 +
    Number(minutes) * 60 +
    Number(rest)
  )
}

describe('format', () => {
  test('never separates a number from its unit', () => {
    const all = [
      format.number,
      (n: number | null | undefined) => format.withUnit(n, 'MiB', 1),
      format.percent,
      format.duration,
      format.age,
      (n: number | null | undefined) => format.measured(n ?? 0),
    ]
    fc.assert(
      fc.property(anyNumber, (n) => {
        for (const write of all) {
          const text = write(n)
          assert.doesNotMatch(text, / |-|NaN|Infinity|undefined|null/)
        }
      }),
    )
  })

  test('writes durations that read back to the second', () => {
    fc.assert(
      fc.property(seconds, (s) => {
        assert.ok(Math.abs(secondsIn(format.duration(s)) - s) <= 0.5)
        assert.ok(Math.abs(secondsIn(format.age(s)) - s) <= 0.5)
      }),
    )
  })

  test('keeps the order of durations', () => {
    fc.assert(
      fc.property(seconds, seconds, (a, b) => {
        const [less, more] = [Math.min(a, b), Math.max(a, b)]
        assert.ok(secondsIn(format.duration(less)) <= secondsIn(format.duration(more)))
      }),
    )
  })

  test('never writes 0 or 100 percent for a share that is neither', () => {
    fc.assert(
      fc.property(
        fc.double({ min: 0, max: 1, noNaN: true, minExcluded: true, maxExcluded: true }),
        (share) => {
          assert.ok(!['0.0\u00a0%', '100.0\u00a0%'].includes(format.percent(share)), String(share))
        },
      ),
    )
    assert.equal(format.percent(0), '0.0\u00a0%')
    assert.equal(format.percent(1), '100.0\u00a0%')
  })

  test('writes 24-hour clocks, and one instant differently only by its zone', () => {
    fc.assert(
      fc.property(someTime, zone, (at, where) => {
        assert.match(format.clock(at, where), /^([01]\d|2[0-3]):[0-5]\d:[0-5]\d$/)
        assert.match(format.day(at, where), /^\d{4}-\d\d-\d\d$/)
        const utc = Date.parse(`${format.day(at, 'UTC')}T${format.clock(at, 'UTC')}Z`)
        assert.equal(utc, Math.floor(toMs(at) / 1000) * 1000)
      }),
    )
  })

  test('cuts text at whole characters, within the length', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), fc.integer({ min: 1, max: 20 }), (text, max) => {
        const short = format.cut(text, max)
        assert.ok(Array.from(short).length <= max)
        assert.ok(short === text || short.endsWith('…'))
        assert.equal(short.isWellFormed(), text.isWellFormed() || short.isWellFormed())
      }),
    )
  })

  const cases: [string, string][] = [
    [format.number(1_204_411), '1,204,411'],
    [format.number(-0.004, 2), '0.00'],
    [format.number(-12.5, 1), '\u221212.5'],
    [format.signed(7.41), '+7.41'],
    [format.signed(-0.01), '\u22120.01'],
    [format.duration(0.4249), '0.42\u00a0s'],
    [format.duration(9.999), '0:10'],
    [format.duration(66), '1:06'],
    [format.duration(3599.7), '1:00:00'],
    [format.duration(273_906), '3\u00a0d\u00a004:05:06'],
    [format.age(41.2), '41\u00a0s'],
    [format.percent(0.000_01), 'under\u00a00.1\u00a0%'],
    [format.percent(0.999_99), 'over\u00a099.9\u00a0%'],
    [format.measured(38.141_23), '38.141'],
    [format.measured(0.5), '0.5'],
    [format.count(1, 'event'), '1\u00a0event'],
    [format.count(7, 'event'), '7\u00a0events'],
    [format.zoneName('2026-11-23T14:00:00.000000Z', 'Europe/Berlin'), 'CET (UTC+1)'],
    [format.zoneName('2026-07-23T14:00:00.000000Z', 'Europe/Berlin'), 'CEST (UTC+2)'],
    [format.zoneName('2026-11-23T14:00:00.000000Z', 'UTC'), 'UTC'],
    [format.zoneShort('2026-11-23T14:00:00.000000Z', 'Asia/Taipei'), 'UTC+8'],
    [format.clockMs('2026-11-23T14:00:00.123999Z', 'UTC'), '14:00:00.123'],
  ]
  for (const [written, expected] of cases) {
    test(`writes ${expected}`, () => assert.equal(written, expected))
  }
})
