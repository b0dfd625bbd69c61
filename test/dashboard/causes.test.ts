import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import type { CauseCount, CauseFact } from '../../src/core/questions/causes.ts'
import { boundRate } from '../../src/core/rate.ts'
import { findCauses } from '../../src/dashboard/model/causes.ts'
import { fillBuckets, tallyApps, tallyEnded } from '../../src/dashboard/model/statistics.ts'

const total = { fact: 'all', value: '', of: null } as const
const none = { recentEnded: 0, recentFailed: 0 }
const aCount = (fact: CauseFact, value: string, failed: number, ended: number): CauseCount => ({
  ...{ fact, value, failed, ended, ...none },
  of: fact === 'version' ? 'apc' : null,
})
const namesOf = (counts: CauseCount[]) =>
  findCauses(counts).rows.map(({ fact, value }) => `${fact} ${value}`)

describe('findCauses', () => {
  test('does not set two versions apart that both fail at 5 %', () => {
    const counts = [
      { ...total, ...none, failed: 100, ended: 2000 },
      aCount('version', '1.0', 5, 100),
      aCount('version', '2.0', 95, 1900),
    ]
    assert.deepEqual(namesOf(counts), [])
  })

  test('names the values that fail more often than all others, with counts and a least rate', () => {
    const counts = [
      { ...total, ...none, failed: 120, ended: 2000 },
      aCount('tool', 'SCN-05', 60, 100),
      aCount('tool', 'SCN-02', 3, 90),
      aCount('error', 'checksum mismatch', 60, 60),
      aCount('recipe', 'R1', 2, 2),
    ]
    const { rows, failed, ended } = findCauses(counts)
    assert.deepEqual([failed, ended], [120, 2000])
    assert.deepEqual(namesOf(counts), ['error checksum mismatch', 'tool SCN-05'])
    assert.deepEqual(rows[1]?.others, { failed: 60, ended: 1900 })
    assert.ok(rows[1] && rows[1].low > 0.5 && rows[1].low < 0.6)
  })

  test('puts a storm that is on above a larger trouble that is over', () => {
    const counts = [
      { ...total, failed: 700, ended: 20_000, recentFailed: 31, recentEnded: 300 },
      aCount('tool', 'over', 600, 700),
      { ...aCount('tool', 'storm', 40, 60), recentFailed: 30, recentEnded: 35 },
    ]
    assert.deepEqual(namesOf(counts), ['tool storm', 'tool over'])
    const [storm, over] = findCauses(counts).rows
    assert.deepEqual([storm?.now, over?.now], [{ failed: 30, ended: 35 }, undefined])
  })

  test('says of the only version of an app no more than of the app', () => {
    const counts = [
      { ...total, ...none, failed: 60, ended: 1000 },
      aCount('app', 'apc', 50, 100),
      aCount('version', '1.0', 50, 100),
    ]
    assert.deepEqual(namesOf(counts), ['app apc'])
  })

  test('lists a value only when it fails more often than the others do, whatever the counts', () => {
    const part = fc.tuple(fc.nat(500), fc.nat(500)).map(([a, b]) => ({
      failed: Math.min(a, b),
      ended: Math.max(a, b),
    }))
    fc.assert(
      fc.property(fc.array(part, { maxLength: 6 }), (tools) => {
        const sum = (key: 'failed' | 'ended') => tools.reduce((all, one) => all + one[key], 0)
        const counts = [
          { ...total, ...none, failed: sum('failed'), ended: sum('ended') },
          ...tools.map(({ failed, ended }, i) => aCount('tool', String(i), failed, ended)),
        ]
        for (const { failed, ended, low, others } of findCauses(counts).rows) {
          assert.ok(low <= failed / ended && low > others.failed / others.ended)
        }
      }),
    )
  })
})

describe('boundRate', () => {
  const counted = fc
    .tuple(fc.integer({ min: 1, max: 1e6 }), fc.double({ min: 0, max: 1, noNaN: true }))
    .map(([total, share]) => ({ total, hits: Math.round(total * share) }))

  test('holds the rate, within 0 and 1, and narrows as more is counted', () => {
    fc.assert(
      fc.property(counted, fc.integer({ min: 2, max: 50 }), ({ hits, total }, times) => {
        const { low, high } = boundRate(hits, total)
        assert.ok(low >= 0 && low <= hits / total && high >= hits / total && high <= 1)
        const more = boundRate(hits * times, total * times)
        assert.ok(more.high - more.low < high - low)
      }),
    )
  })

  test('rises with the hits', () => {
    fc.assert(
      fc.property(counted, ({ hits, total }) => {
        if (hits === total) return
        const [less, more] = [boundRate(hits, total), boundRate(hits + 1, total)]
        assert.ok(less.low <= more.low && less.high <= more.high)
      }),
    )
  })

  test('is the Wilson interval', () => {
    const round = (n: number) => Math.round(n * 1000) / 1000
    const bounds = (hits: number, total: number) =>
      Object.values(boundRate(hits, total)).map((bound) => round(bound))
    assert.deepEqual(bounds(37, 120), [0.233, 0.396])
    assert.deepEqual(bounds(0, 10), [0, 0.278])
    assert.deepEqual(bounds(3, 3), [0.438, 1])
    assert.deepEqual(bounds(0, 0), [0, 1])
  })
})

describe('statistics', () => {
  const row = (changes: object) => ({
    bucket: '2026-03-01T11:55:00.000000Z',
    siteId: null,
    appName: null,
    status: 'succeeded' as const,
    count: 1,
    durationAvgS: null,
    durationMinS: null,
    durationMaxS: null,
    durationP50S: null,
    durationP95S: null,
    durationP99S: null,
    failedAttempts: 0,
    queueP50S: null,
    queueP95S: null,
    queueP99S: null,
    ...changes,
  })

  test('call a median exact only when it is one', () => {
    const one = tallyEnded([row({ count: 3, durationP50S: 20 })])
    assert.deepEqual([one.medianS, one.medianExact], [20, true])
    const two = tallyEnded([
      row({ count: 10, durationP50S: 20 }),
      row({ count: 1, durationP50S: 900, status: 'failed' }),
      row({ count: 99, durationP50S: 1, status: 'running' }),
    ])
    assert.deepEqual([two.medianS, two.medianExact], [20, false])
    assert.equal(tallyEnded([]).medianS, null)
  })

  test('have a bar for every step of a window, also for empty ones', () => {
    const span = {
      from: '2026-03-01T11:00:00.000000Z',
      to: '2026-03-01T12:00:00.000000Z',
      stepS: 300,
    }
    const bars = fillBuckets(
      [row({ count: 7 }), row({ bucket: '2026-02-01T00:00:00.000000Z' })],
      span,
    )
    assert.equal(bars.length, 12)
    assert.equal(bars.at(-1)?.at, '2026-03-01T12:00:00.000000Z')
    assert.deepEqual(
      bars.map(({ succeeded }) => succeeded).filter((n) => n > 0),
      [7],
    )
  })

  test('put the app with most failures first', () => {
    const apps = tallyApps(
      [
        row({ appName: 'a', count: 100 }),
        row({ appName: 'b', count: 2, status: 'failed' }),
        row({ appName: 'b', count: 3 }),
      ],
      8,
    )
    assert.deepEqual(apps, [
      { name: 'b', failed: 2, ended: 5, unknown: 0 },
      { name: 'a', failed: 0, ended: 100, unknown: 0 },
    ])
  })
})
