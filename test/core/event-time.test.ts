import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { isZeroTime, isZone, readTime } from '../../src/core/event-time.ts'
import { readEvent } from '../../src/core/read-event.ts'
import { smallestEvent } from '../support/wire-events.ts'

const limits = { maxEventBytes: 65_536, maxSkewS: 600 }
const hop = { receivedAt: '2026-03-01T12:00:00.000000Z' }

describe('a time of an event', () => {
  for (const [given, read] of [
    ['2026-03-01T12:00:00+0100', '2026-03-01T11:00:00.000000Z'],
    ['2026-03-01 12:00:00 +0100', '2026-03-01T11:00:00.000000Z'],
    ['2026-03-01 12:00:00.25-05', '2026-03-01T17:00:00.250000Z'],
    ['20260301T120000Z', '2026-03-01T12:00:00.000000Z'],
    ['20260301T120000.123456789+0530', '2026-03-01T06:30:00.123456Z'],
    ['2026-03-01t12:00:00z', '2026-03-01T12:00:00.000000Z'],
    ['2016-12-31T23:59:60Z', '2016-12-31T23:59:59.999999Z'],
    ['2016-12-31T23:59:60.25Z', '2016-12-31T23:59:59.999999Z'],
    ['2026-03-01T12:00:00.12345678901234567890Z', '2026-03-01T12:00:00.123456Z'],
  ] as const) {
    test(`is read as ${given}`, () => assert.equal(readTime(given), read))
  }

  for (const given of [
    ...['', 'now', '2026-03-01', '2026-03-01T12:00:00', '2026-02-30T12:00:00+0000'],
    ...[
      '2026-03-01T12:00:00+2400',
      '2026-0301T120000Z',
      '2026-03-01T120000Z',
      '20260301T12:00:00Z',
    ],
    ...['2026-03-01T12:00:61Z', '1969-12-31T23:59:60Z', '2026-03-01T12:00:00. Z'],
  ]) {
    test(`is not read as ${JSON.stringify(given)}`, () => assert.equal(readTime(given), undefined))
  }

  test('without a zone is that of the site, summer and winter, where the site has one', () => {
    const berlin = (text: string) => readTime(text, 'Europe/Berlin')
    assert.equal(berlin('2026-01-15T12:00:00'), '2026-01-15T11:00:00.000000Z')
    assert.equal(berlin('2026-07-15 12:00:00.5'), '2026-07-15T10:00:00.500000Z')
    assert.equal(berlin('2026-07-15T12:00:00Z'), '2026-07-15T12:00:00.000000Z')
    // The hour of the change: before it, and after it.
    assert.equal(berlin('2026-03-29T01:59:59'), '2026-03-29T00:59:59.000000Z')
    assert.equal(berlin('2026-03-29T03:00:00'), '2026-03-29T01:00:00.000000Z')
    assert.equal(berlin('1970-01-01T00:30:00'), undefined)
    assert.equal(readTime('2026-01-15T12:00:00'), undefined)
    assert.deepEqual([isZone('Asia/Taipei'), isZone('Fab/One')], [true, false])
  })

  test('is absent where a language has a zero for it', () => {
    for (const zero of [
      ...['', '0001-01-01T00:00:00Z', '0001-01-01T00:00:00', '0001-01-01T00:00:00.0000000+01:00'],
      ...['1601-01-01', '1601-01-01T00:00:00Z', '1899-12-30', '1899-12-30 00:00:00+0000'],
      '0000-00-00 00:00:00',
    ]) {
      assert.equal(isZeroTime(zero), true, zero)
    }
    for (const other of ['1970-01-01T00:00:00Z', '0001-01-01T00:00:01Z', '1899-12-31', 'x']) {
      assert.equal(isZeroTime(other), false, other)
    }
  })
})

describe('the door', () => {
  const read = (event: object) => readEvent(smallestEvent(event), hop, limits, true)

  test('takes an end without the start that its language did not have', () => {
    const kind = 'finished' as const
    const found = read({ kind, started_at: '0001-01-01T00:00:00Z', ended_at: '' })
    assert.ok(found.ok)
    assert.equal(found.zeroTime, true)
    assert.deepEqual(Object.keys(JSON.parse(found.json).event), ['kind', 'at'])
    assert.equal(read({ at: '0001-01-01T00:00:00Z' }).ok, false)
    const other = read({ started_at: '2026-03-01T12:00:00Z' })
    assert.ok(other.ok)
    assert.equal(other.zeroTime, false)
  })
})
