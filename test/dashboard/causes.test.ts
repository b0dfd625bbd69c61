import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import { findCauses } from '../../src/dashboard/model/causes.ts'
import { normalizeError } from '../../src/dashboard/model/error-text.ts'
import { fillBuckets, tallyApps, tallyStatuses } from '../../src/dashboard/model/statistics.ts'
import { aJob } from '../support/sample-jobs.ts'

const failed = (tool: string, error: string) =>
  aJob({ status: 'failed', lastError: error, metadata: { tool, recipe: 'R1' } })
const well = (tool: string) => aJob({ metadata: { tool, recipe: 'R1' } })

describe('findCauses', () => {
  test('names values that the failures share and the other jobs do not', () => {
    const failures = Array.from({ length: 20 }, (_, i) =>
      failed(i < 15 ? 'SCN-05' : `T${i}`, `checksum mismatch: host ${i}f1c`),
    )
    const jobs = [...failures, ...Array.from({ length: 80 }, (_, i) => well(`T${i % 20}`))]
    const { rows } = findCauses(failures, jobs)
    assert.deepEqual(
      rows.map(({ name, value }) => `${name} ${value}`),
      ['error checksum mismatch: host #', 'tool SCN-05'],
    )
    assert.equal(rows[1]?.share, 0.75)
    assert.equal(rows[1]?.baseShare, 0.15)
  })

  test('finds nothing in few failures, or in none', () => {
    assert.deepEqual(findCauses([], []).rows, [])
    assert.deepEqual(findCauses([failed('A', 'x'), failed('A', 'x')], [well('B')]).rows, [])
  })

  test('accepts any metadata', () => {
    fc.assert(
      fc.property(fc.array(fc.dictionary(fc.string(), fc.jsonValue()), { maxLength: 5 }), (all) => {
        const jobs = all.map((metadata) => aJob({ status: 'failed', metadata }))
        for (const { share, baseShare } of findCauses(jobs, jobs).rows) {
          assert.ok(share > 0 && share <= 1 && baseShare <= 1)
        }
      }),
    )
  })
})

describe('normalizeError', () => {
  const same: [string, string][] = [
    ['site 7 of 9 has no reading', 'site 12 of 49 has no reading'],
    ['checksum: host 4f1c, tool 90ab', 'checksum: host 77de1, tool 1f00'],
    ['timeout after 45.5 s', 'timeout after 3 s'],
    [
      'job 0193581e-7c42-7d10-9a35-6f0c41c2b7e8 gone',
      'job 1193581e-7c42-7d10-9a35-6f0c41c2b7e8 gone',
    ],
    ['fault at 0xdeadbeef\n  at x:1', 'fault at 0xcafe\n  at y:2'],
  ]
  for (const [a, b] of same) {
    test(`sees one fault in ${JSON.stringify(a)}`, () => {
      assert.equal(normalizeError(a), normalizeError(b))
    })
  }
  test('keeps words that look like hexadecimal numbers', () => {
    assert.equal(normalizeError('facade face added'), 'facade face added')
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
    ...changes,
  })

  test('call a median exact only when it is one', () => {
    const one = tallyStatuses([row({ count: 3, durationP50S: 20 })])
    assert.deepEqual([one.medianS, one.medianExact], [20, true])
    const two = tallyStatuses([
      row({ count: 10, durationP50S: 20 }),
      row({ count: 1, durationP50S: 900, status: 'failed' }),
      row({ count: 99, durationP50S: 1, status: 'running' }),
    ])
    assert.deepEqual([two.medianS, two.medianExact], [20, false])
    assert.equal(tallyStatuses([]).medianS, null)
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
        row({ appName: 'b', count: 3, status: 'running' }),
      ],
      8,
    )
    assert.deepEqual(apps, [
      { name: 'b', jobs: 5, running: 3, failed: 2, ended: 2 },
      { name: 'a', jobs: 100, running: 0, failed: 0, ended: 100 },
    ])
  })
})
