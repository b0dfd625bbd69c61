import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { describeCounts, type EventCounts } from '../../src/platform/effect.ts'
import { RecentCounts } from '../../src/platform/recent-counts.ts'

const counted = (counts: Partial<Record<'events' | 'late' | 'rejected' | 'failed', number>>) => {
  const recent: EventCounts = new RecentCounts()
  for (const [kind, count] of Object.entries(counts)) recent.add(kind as 'events', count)
  return describeCounts(recent)
}

describe('the counts of the last five minutes', () => {
  test('forget what is older', () => {
    let now = 0
    const recent = new RecentCounts<'events'>(() => now)
    recent.add('events', 5)
    now = 200_000
    recent.add('events', 2)
    assert.equal(recent.of('events'), 7)
    now = 300_001
    assert.equal(recent.of('events'), 2)
    now = 600_000
    assert.equal(recent.of('events'), 0)
  })

  test('that 240 of 300 events could not be stored is a fault, in words', () => {
    const { shown, faults } = counted({ events: 300, failed: 240 })
    assert.deepEqual(shown, { events: 300, late: 0, rejected: 0, failed: 240 })
    assert.deepEqual(faults, [
      '240 of the last 300 events could not be stored; their senders have to send them again',
    ])
  })

  test('that most are late, or that many are rejected, is a fault; a few are not', () => {
    assert.match(
      counted({ events: 100, late: 50 }).faults[0] ?? '',
      /^50 of the last 100 .*horizon/,
    )
    assert.match(counted({ events: 100, rejected: 10 }).faults[0] ?? '', /were rejected$/)
    assert.deepEqual(counted({ events: 100, late: 49, rejected: 9, failed: 4 }).faults, [])
    assert.deepEqual(counted({ events: 5, rejected: 5 }).faults, [])
  })
})
