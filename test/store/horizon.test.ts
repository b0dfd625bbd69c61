import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { fromMs } from '../../src/core/time.ts'
import type { Store } from '../../src/store/connect.ts'
import { advanceHorizon, dropEventsBefore } from '../../src/store/horizon.ts'
import { ingest } from '../../src/store/ingest.ts'
import { type Edition, needsTimescale } from '../support/database.ts'
import { anEvent, count, openStore, readHorizon, run } from '../support/store.ts'

const op = { operation: 'test', table: 'none' }
const hour = 3_600_000
const ago = (hours: number) => fromMs(Date.now() - hours * hour)

/** Holds the lock of an ingest that is under way, until it is told to end. */
function ingestUnderWay(store: Store) {
  let end = () => {}
  const held = new Promise<void>((resolve) => {
    end = resolve
  })
  let isIn = () => {}
  const entered = new Promise<void>((resolve) => {
    isIn = resolve
  })
  const done = store.begin(op, async (tx) => {
    await tx`select pg_advisory_xact_lock_shared(7002)`
    isIn()
    await held
  })
  const finish = () => {
    end()
    return done
  }
  return { entered, end: finish }
}

function suite(edition: Edition) {
  test('moves to the given hours ago and opens until the end of tomorrow, never back', async (t) => {
    const { store } = await openStore(t, edition)
    await run(store, `update horizon set frozen_before = '2026-01-01', open_until = '2026-01-02'`)
    await advanceHorizon(store, 48)
    const first = await readHorizon(store)
    assert.ok(first.frozenBefore > ago(48.2) && first.frozenBefore <= ago(47.9))
    assert.match(first.openUntil, /T00:00:00.000000Z$/)
    assert.ok(first.openUntil > ago(-24) && first.openUntil <= ago(-48.1))
    await advanceHorizon(store, 100)
    assert.deepEqual(await readHorizon(store), first, 'a longer setting moves nothing back')
    await run(store, `update horizon set open_until = open_until + interval '9 days'`)
    await advanceHorizon(store, 48)
    assert.ok((await readHorizon(store)).openUntil > first.openUntil)
  })

  test('has a place for every event between its ends', async (t) => {
    const { store } = await openStore(t, edition)
    await run(store, `update horizon set frozen_before = '2026-01-01', open_until = '2026-01-02'`)
    await advanceHorizon(store, 48)
    const { frozenBefore, openUntil } = await readHorizon(store)
    const last = fromMs(Date.parse(openUntil) - 1)
    await ingest(store, [anEvent(frozenBefore), anEvent(ago(24)), anEvent(last)])
    assert.deepEqual([await count(store, 'event'), await count(store, 'event_late')], [3, 0])
    await ingest(store, [anEvent(openUntil), anEvent(ago(49))])
    assert.deepEqual([await count(store, 'event'), await count(store, 'event_late')], [3, 2])
  })

  test('waits for ingest that is under way, but not for long: it retries later', async (t) => {
    const { store } = await openStore(t, edition)
    await run(store, `update horizon set frozen_before = '2026-01-01'`)
    const { entered, end } = ingestUnderWay(store)
    await entered
    await assert.rejects(advanceHorizon(store, 48), {
      code: 'overloaded',
      message: 'the database is busy with maintenance',
    })
    assert.equal((await readHorizon(store)).frozenBefore, '2026-01-01T00:00:00.000000Z')
    await end()
    await advanceHorizon(store, 48)
    assert.ok((await readHorizon(store)).frozenBefore > '2026-01-01T00:00:00.000000Z')
  })

  test('drops days or hours that lie wholly below it, and notes it first', async (t) => {
    const { store } = await openStore(t, edition)
    await run(store, `update horizon set frozen_before = now() - interval '120 hours'`)
    await run(store, `select make_event_partitions(now() - interval '120 hours', now())`)
    await ingest(
      store,
      [110, 80, 30, 1].map((hours) => anEvent(ago(hours))),
    )
    assert.equal(await count(store, 'event'), 4)
    await assert.rejects(dropEventsBefore(store, ago(24)), { code: 'invalid' })
    assert.equal(await count(store, 'event'), 4)
    await advanceHorizon(store, 48)
    const dropped = await dropEventsBefore(store, ago(48))
    assert.ok(dropped.length > 0)
    const { droppedBefore } = await readHorizon(store)
    assert.ok(droppedBefore <= ago(48) && droppedBefore > ago(81))
    assert.equal(await count(store, 'event'), 2)
    assert.equal(await count(store, `event where at < '${droppedBefore}'`), 0)
    assert.deepEqual(await dropEventsBefore(store, ago(48)), [], 'the second time there is nothing')
  })

  test('keeps what it cannot drop in time, and drops it the next time', async (t) => {
    const { store } = await openStore(t, edition)
    await run(store, `update horizon set frozen_before = now() - interval '120 hours'`)
    await run(store, `select make_event_partitions(now() - interval '120 hours', now())`)
    await ingest(store, [anEvent(ago(110))])
    await advanceHorizon(store, 48)
    let end = () => {}
    const held = new Promise<void>((resolve) => {
      end = resolve
    })
    let isIn = () => {}
    const entered = new Promise<void>((resolve) => {
      isIn = resolve
    })
    // A reader stays, as an export over a slow line does.
    const reading = store.begin(op, async (tx) => {
      await tx`select count(*) from event`
      isIn()
      await held
    })
    await entered
    await assert.rejects(dropEventsBefore(store, ago(48)), { code: 'overloaded' })
    assert.equal(await count(store, 'event'), 1)
    end()
    await reading
    assert.ok((await dropEventsBefore(store, ago(48))).length > 0)
    assert.equal(await count(store, 'event'), 0)
  })
}

describe('the horizon on plain PostgreSQL', () => suite('plain'))
describe('the horizon on TimescaleDB', needsTimescale, () => suite('timescale'))
