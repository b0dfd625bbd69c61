import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { stepFaults } from '../../src/archive/report.ts'
import { RecentCounts } from '../../src/platform/recent-counts.ts'
import { describeStore, type StoreFacts } from '../../src/store/report.ts'

const well = (): StoreFacts => ({
  pool: { size: 5, available: 5 },
  database: { state: 'ready', edition: { kind: 'plain', licence: null, version: null } },
  ingest: { waiting: 0, oldestMs: 0, stalledMs: 0, lastCommitAt: null },
  maintenance: { here: true, lastRunAt: null, doubt: undefined, failed: [] },
  rollups: { here: true, lastRunAt: null, failed: undefined },
  reused: [],
  horizonStandsS: 30,
  recent: new RecentCounts(),
})

describe('the health of a local API', () => {
  test('is ok while work is done', () => {
    const { ready, status } = describeStore(well())
    assert.deepEqual({ ready, status }, { ready: true, status: 'ok' })
  })

  test('is not ready while events wait and nothing is committed', () => {
    const ingest = { waiting: 7, oldestMs: 10_000, stalledMs: 10_000, lastCommitAt: null }
    const { ready, status, trouble } = describeStore({ ...well(), ingest })
    assert.deepEqual({ ready, status }, { ready: false, status: 'degraded' })
    assert.match(trouble ?? '', /^nothing was committed for 10 s, events waiting: 7;/)
  })

  test('is degraded while one event waits, though others are committed', () => {
    const ingest = { waiting: 7, oldestMs: 12_000, stalledMs: 30, lastCommitAt: null }
    const { ready, status, faults } = describeStore({ ...well(), ingest })
    assert.deepEqual({ ready, status }, { ready: true, status: 'degraded' })
    assert.deepEqual(faults, ['the oldest event has waited 12 s for a commit'])
  })

  test('is degraded while rollups fail, and says why', () => {
    const rollups = { here: true, lastRunAt: null, failed: 'no space left' }
    const { ready, status, faults } = describeStore({ ...well(), rollups })
    assert.deepEqual({ ready, status }, { ready: true, status: 'degraded' })
    assert.deepEqual(faults, ['rollups could not be made: no space left'])
  })

  test('is degraded when no replica moves the freeze horizon', () => {
    const { status, faults } = describeStore({ ...well(), horizonStandsS: 660 })
    assert.equal(status, 'degraded')
    assert.match(faults?.[0] ?? '', /has not moved for 11 min: no replica does maintenance/)
  })
})

test('an archiver that has been at one day for long says which', () => {
  const step = { name: 'fab1 2026-03-01', sinceMs: 0 }
  const state = { step } as Parameters<typeof stepFaults>[0]
  assert.deepEqual(stepFaults(state, 29 * 60_000), [])
  assert.match(stepFaults(state, 31 * 60_000)[0] ?? '', /^fab1 2026.* has not ended for 31 min/)
})
