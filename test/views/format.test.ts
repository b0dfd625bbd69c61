import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import { fromMs, toMs } from '../../src/core/time.ts'
import * as format from '../../views/format.ts'
import { jobName } from '../../views/job-text.ts'

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
        const whole = format.cut(text, 1000)
        assert.ok(short === whole || short.endsWith('…'))
        assert.equal(short.isWellFormed(), text.isWellFormed() || short.isWellFormed())
      }),
    )
  })

  test('shows something of any text but an empty one', () => {
    for (const text of [
      ' ',
      '\u200b',
      '\u00ad\u2060',
      '\u3164',
      '\n\t',
      '\u0301',
      '\u202e',
      '\ue000',
    ])
      assert.equal(format.cut(text, 40), '(no visible text)')
    assert.equal(format.cut('', 40), '')
    for (const text of ['7', '漢', 'é', '👩‍👧', '-', 'ש']) assert.equal(format.cut(text, 40), text)
  })

  test('leaves at most four marks on a letter', () => {
    assert.equal(format.cut(`e${'\u0301'.repeat(200)}x`, 40), `e${'\u0301'.repeat(4)}x`)
  })

  const changes = {
    'Europe/Berlin': '2026-10-25T01:00:00',
    'America/New_York': '2026-11-01T06:00:00',
  }
  for (const [where, change] of Object.entries(changes)) {
    test(`writes no two times alike around the end of summer time (${where})`, () => {
      const changedMs = Date.parse(`${change}Z`)
      const near = fc.integer({ min: -9000, max: 9000 }).map((s) => fromMs(changedMs + s * 1000))
      fc.assert(
        fc.property(near, near, near, (a, b, now) => {
          const written = [a, b].map((at) => format.when(at, now, where))
          assert.equal(written[0] === written[1], a === b, `${a} ${b} at ${now}`)
          // What says no zone is in that of the foot.
          const offset = (at: typeof a) => format.zoneShort(at, where)
          assert.equal(/[A-Z]/.test(written[0]!), offset(a) !== offset(now))
        }),
      )
    })
  }

  test('writes no two times alike, whenever they are read', () => {
    const hours = fc.integer({ min: -9000, max: 9000 })
    fc.assert(
      fc.property(someTime, hours, someTime, zone, (a, h, now, where) => {
        const b = fromMs(toMs(a) + h * 3_600_000)
        const [one, other] = [format.when(a, now, where), format.when(b, now, where)]
        assert.equal(one === other, h === 0, `${one} is ${a} and ${b}`)
      }),
    )
  })

  const berlin = 'Europe/Berlin'
  const [summer, winter] = ['2026-10-25T00:50:00.5Z', '2026-10-25T01:10:00.5Z'].map((at) =>
    fromMs(Date.parse(at)),
  ) as [string, string]

  const cases: [string, string][] = [
    [format.when(summer, winter, berlin), '02:50:00\u00a0CEST'],
    [format.when(winter, winter, berlin), '02:10:00'],
    [format.when(winter, summer, berlin), '02:10:00\u00a0CET'],
    [format.whenMs(summer, winter, berlin), '02:50:00.500\u00a0CEST'],
    [format.whenMinute(summer, winter, berlin), '02:50\u00a0CEST'],
    [format.whenZoned(winter, winter, berlin), '02:10:00\u00a0CET'],
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
    [format.zoneFull('2026-11-23T14:00:00.000000Z', 'Asia/Taipei'), 'Asia/Taipei, UTC+8'],
    [format.zoneFull('2026-11-23T14:00:00.000000Z', 'Europe/Berlin'), 'Europe/Berlin, CET (UTC+1)'],
    [format.zoneFull('2026-11-23T14:00:00.000000Z', 'UTC'), 'UTC'],
    [
      format.whenMs('2026-11-23T14:00:00.123999Z', '2026-11-23T15:00:00.000000Z', 'UTC'),
      '14:00:00.123',
    ],
  ]
  for (const [written, expected] of cases) {
    test(`writes ${expected}`, () => assert.equal(written, expected))
  }
})

describe('the name of a job', () => {
  test('can be seen, whatever its key is', () => {
    const id = '0193581e-7c42-7d10-9a35-000000000001'
    const nameOf = (jobKey: string | null) =>
      jobName({ id, jobKey, subKey: null, entityType: 'job' }, 40)
    for (const key of [null, '', ' ', '\u200b', '\u00ad', '\n', '\u0301']) {
      assert.equal(nameOf(key), '0193581e-7c42', JSON.stringify(key))
    }
    assert.equal(nameOf('L26N4402.1'), 'L26N4402.1')
  })
})
