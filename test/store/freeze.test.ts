import assert from 'node:assert/strict'
import { describe, type TestContext, test } from 'node:test'
import type { Event } from '../../src/core/event.ts'
import type { Store } from '../../src/store/connect.ts'
import { advanceHorizon, dropEventsBefore } from '../../src/store/horizon.ts'
import { ingest } from '../../src/store/ingest.ts'
import { count, openStore, readHorizon, run } from '../support/store.ts'

const midnight = '2026-03-02T00:00:00.000000Z'

/** Events of the first of March, as one spool sent them. */
const events = (n: number): Event[] =>
  Array.from({ length: n }, (_, i) => ({
    idempotency_key: crypto.randomUUID(),
    site_id: 'fab1',
    app: { app_id: 'a0000000-0000-4000-8000-000000000001', name: 'etch', version: '' },
    entity: { type: 'job', id: crypto.randomUUID() },
    event: { kind: 'started', at: `2026-03-01T13:00:00.00000${i}Z` },
    received_at: '2026-03-01T13:00:01.000000Z',
    source: { id: 'bn-07', epoch: 'e1', seq: i + 1 },
  }))

/** A store that has taken these in, on a day that is frozen up to `frozen`. */
async function frozenDay(t: TestContext, taken: Event[], frozen: string): Promise<Store> {
  const { store } = await openStore(t, 'plain')
  await run(store, `update horizon set frozen_before = '2026-03-01', open_until = '${midnight}'`)
  await run(store, `select make_event_partitions('2026-03-01T00:00:00Z', '${midnight}')`)
  await ingest(store, taken)
  await run(store, `update horizon set frozen_before = '${frozen}'`)
  return store
}

describe('the freeze horizon', () => {
  test('only moves forward, also when it is told to move back', async (t) => {
    const { store } = await openStore(t, 'plain')
    await advanceHorizon(store, 1)
    const before = await readHorizon(store)
    await advanceHorizon(store, 100)
    assert.equal((await readHorizon(store)).frozenBefore, before.frozenBefore)
    await run(store, `update horizon set open_until = now() + interval '9 days'`)
    const wide = await readHorizon(store)
    await advanceHorizon(store, 1)
    const after = await readHorizon(store)
    assert.equal(after.openUntil, wide.openUntil)
    assert.ok(after.frozenBefore > before.frozenBefore)
  })

  test('keeps what lies above it from being dropped', async (t) => {
    const store = await frozenDay(t, events(3), '2026-03-01T14:00:00Z')
    await assert.rejects(dropEventsBefore(store, midnight), { code: 'invalid' })
    assert.equal(await count(store, 'event'), 3)
    assert.equal((await readHorizon(store)).droppedBefore, '-infinity')
  })

  test('knows events again whose raw rows were dropped', async (t) => {
    const taken = events(3)
    const store = await frozenDay(t, taken, midnight)
    assert.equal((await dropEventsBefore(store, midnight)).length, 1)
    const { verdicts } = await ingest(store, taken)
    assert.deepEqual(verdicts, ['duplicate', 'duplicate', 'duplicate'])
    assert.equal(await count(store, 'event_late'), 0)
  })
})
