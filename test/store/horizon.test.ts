import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { dropEventsBefore } from '../../src/store/horizon.ts'
import { closedHour, eventAt, run } from '../archive/support.ts'

describe('dropEventsBefore', () => {
  test('drops what is wholly older, and leaves jobs as they are', async (t) => {
    const { store } = await closedHour(
      t,
      [0, 1, 2, 3, 4].map((second) => eventAt(second)),
    )
    await run(store, `update horizon set frozen_before = '2026-03-03'`)
    const dropped = await dropEventsBefore(store, '2026-03-02T00:00:00.000000Z')
    assert.equal(dropped.length, 1)
    const [row] = await run(
      store,
      `select (select count(*)::int from event) as events, (select count(*)::int from job) as jobs`,
    )
    assert.deepEqual({ ...row }, { events: 0, jobs: 5 })
  })
})
