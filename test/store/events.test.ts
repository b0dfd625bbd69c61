import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import type { Event } from '../../src/core/event.ts'
import type { EventFilter, EventPage, EventPosition } from '../../src/core/job.ts'
import { parseJson } from '../../src/core/json.ts'
import { fromMs } from '../../src/core/time.ts'
import type { Store } from '../../src/store/connect.ts'
import { findEvents } from '../../src/store/events.ts'
import { ingest } from '../../src/store/ingest.ts'
import { storeReader } from '../../src/store/store-reader.ts'
import { type Edition, needsTimescale } from '../support/database.ts'
import { anEvent, count, openStore, run } from '../support/store.ts'

const { signal } = new AbortController()
const hour = 3_600_000
const job = 'b0000000-0000-4000-9000-000000000001'
const ago = (hours: number) => fromMs(Date.now() - hours * hour)

const ofJob = (at: string, event: Partial<Event['event']> = {}, more: Partial<Event> = {}) =>
  anEvent(at, event, { ...more, entity: { type: 'job', id: job } })

const keysOf = async (store: Store, limit: number, filter: Partial<EventFilter> = {}) =>
  (await findEvents(store, job, { order: 'asc', limit, ...filter }, signal)).items.map(
    (event) => event.idempotency_key,
  )

const keys = (events: readonly Event[]) => events.map((event) => event.idempotency_key)

function suite(edition: Edition) {
  test('come in order, whichever table they lie in, and in the same order by any limit', async (t) => {
    const { store } = await openStore(t, edition)
    // Late (over 48 hours), in time, beyond tomorrow; two of them at one microsecond.
    const times = [400, 90, 72, 49, 47, 47, 20, 1, 0, -60].map(ago)
    const events = times.map((at) => ofJob(at, { kind: 'progress' }))
    await ingest(store, [...events].reverse())
    assert.equal(await count(store, 'event_late'), 5)
    const all = keys(events)
    assert.deepEqual(await keysOf(store, 1000), all)
    for (let limit = 1; limit <= all.length; limit++) {
      assert.deepEqual(await keysOf(store, limit), all.slice(0, limit))
      const newest = await keysOf(store, limit, { order: 'desc' })
      assert.deepEqual(newest, all.toReversed().slice(0, limit))
    }
  })

  test('are in the order of their keys when they share a time, over both tables', async (t) => {
    const { store } = await openStore(t, edition)
    const at = ago(50)
    await ingest(store, [ofJob(at), ofJob(at)])
    // The horizon lay lower when these two came: same time, other table.
    await run(store, `update horizon set frozen_before = now() - interval '60 hours'`)
    await run(store, `select make_event_partitions(now() - interval '60 hours', now())`)
    await ingest(store, [ofJob(at), ofJob(at)])
    assert.deepEqual([await count(store, 'event'), await count(store, 'event_late')], [2, 2])
    const found = await keysOf(store, 10)
    assert.equal(found.length, 4)
    assert.deepEqual(found, [...found].sort())
    assert.deepEqual(await keysOf(store, 3), found.slice(0, 3))
    const newest = await keysOf(store, 3, { order: 'desc' })
    assert.deepEqual(newest, found.toReversed().slice(0, 3))
  })

  test('are found by kind and by the state that they report or imply, however many others there are', async (t) => {
    const { store } = await openStore(t, edition)
    const failing = ofJob(ago(50), { kind: 'error', status: 'failed' })
    const told = ofJob(ago(3), { kind: 'error' })
    const ticks = Array.from({ length: 300 }, (_, i) =>
      ofJob(ago(2 - i / 300), { kind: 'progress' }),
    )
    const end = ofJob(ago(0.5), { kind: 'finished' })
    await ingest(store, [failing, told, end, ...ticks])
    const found = (filter: Partial<EventFilter>) => keysOf(store, 5, { order: 'desc', ...filter })
    assert.deepEqual(await found({ status: ['failed'] }), keys([failing]))
    assert.deepEqual(await found({ kinds: ['error'] }), keys([told, failing]))
    assert.deepEqual(await found({ kinds: ['error', 'finished'] }), keys([end, told, failing]))
    assert.deepEqual(await found({ status: ['succeeded', 'failed'] }), keys([end, failing]))
    assert.deepEqual(await found({ kinds: ['error'], status: ['running'] }), keys([told]))
    assert.deepEqual(await found({ kinds: ['canceled'] }), [])
  })

  test('come as they were received, unknown fields and stamps included', async (t) => {
    const { store } = await openStore(t, edition)
    const sent = {
      ...anEvent(
        ago(1),
        {
          kind: 'finished',
          status: 'failed',
          started_at: ago(2),
          ended_at: ago(1),
          metrics: { duration_s: 0.1, cd_mean_nm: 38.141_2 },
          metadata: { carrier_id: 'F1', Etch_Rate: { sub_key: [1, null] } },
        },
        {
          historical: true,
          traceparent: '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01',
          source: { id: 'bn-07', epoch: 'e1', seq: 7 },
          entity: { type: 'subjob', parent_id: job, business_key: 'L1', sub_key: 'W1' },
        },
      ),
      plant: { hall: 3 },
    } as Event
    await ingest(store, [sent])
    const [found] = (await findEvents(store, sent.entity.id, { order: 'desc', limit: 10 }, signal))
      .items
    assert.deepEqual(found, JSON.parse(JSON.stringify(sent)))
  })

  test('keep every digit of whole numbers beyond 2^53, and so do their jobs', async (t) => {
    const { store } = await openStore(t, edition)
    const plain = anEvent(
      ago(1),
      { kind: 'finished', metadata: { id: '#' } },
      { plant: { ids: '#' } },
    )
    const digits = '9223372036854775807'
    const sent = parseJson(JSON.stringify(plain).replaceAll('"#"', digits)) as Event
    await ingest(store, [sent])
    const found = await findEvents(store, sent.entity.id, { order: 'desc', limit: 10 }, signal)
    const jobs = await storeReader(store, { archive: 'off' }).getJobs([sent.entity.id], signal)
    const written = JSON.stringify([found, jobs])
    assert.equal(written.split(`:${digits}}`).length, 4, written)
  })

  test('come in pages, bounded in rows and in bytes, and none is lost', async (t) => {
    const { store } = await openStore(t, edition)
    const metadata = { heavy: 'x'.repeat(32_000) }
    const events = Array.from({ length: 600 }, (_, i) =>
      ofJob(ago(i % 2 ? 60 : 1), { kind: 'progress', metadata }),
    )
    for (let i = 0; i < events.length; i += 100) await ingest(store, events.slice(i, i + 100))
    for (const [limit, order] of [
      [70, 'desc'],
      [5000, 'desc'],
      [90, 'asc'],
    ] as const) {
      const seen: unknown[] = []
      let after: EventPosition | undefined
      do {
        const page: EventPage = await findEvents(store, job, { order, limit, after }, signal)
        const bytes = JSON.stringify(page.items).length
        assert.ok(bytes < 17 * 2 ** 20, `${bytes} bytes`)
        assert.ok(page.items.length <= limit)
        seen.push(...page.items.map((event) => event.idempotency_key))
        after = page.next ?? undefined
        if (after) assert.ok(page.items.length === limit || bytes > 15 * 2 ** 20, `${bytes} bytes`)
      } while (after)
      assert.deepEqual([seen.length, new Set(seen).size], [600, 600], `limit ${limit}`)
    }
  })

  test('of an unknown id are an empty list, and those of a job whose row is gone stay', async (t) => {
    const { store } = await openStore(t, edition)
    const events = [ofJob(ago(60)), ofJob(ago(1))]
    await ingest(store, events)
    await run(store, 'delete from job')
    assert.deepEqual(await keysOf(store, 10), keys(events))
    assert.deepEqual(
      (await findEvents(store, crypto.randomUUID(), { order: 'desc', limit: 10 }, signal)).items,
      [],
    )
  })
}

describe('events of a job on plain PostgreSQL', () => suite('plain'))
describe('events of a job on TimescaleDB', needsTimescale, () => suite('timescale'))
