import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import type { Event } from '../../src/core/event.ts'
import { connect, type Store } from '../../src/store/connect.ts'
import { findEvents } from '../../src/store/events.ts'
import { ingest } from '../../src/store/ingest.ts'
import { IngestQueue } from '../../src/store/ingest-queue.ts'
import { type Edition, freshDatabase, needsTimescale } from '../support/database.ts'
import { arbitraryArrival, noon, permutations, splits } from '../support/histories.ts'
import { ModelSidecar } from '../support/model-sidecar.ts'
import { expectedRows } from '../support/oracle.ts'
import { plain, storedRows } from '../support/stored-rows.ts'

const op = { operation: 'test', table: 'none' }

async function openStore(t: { after(fn: () => unknown): void }, edition: Edition): Promise<Store> {
  const { url } = await freshDatabase(t as never, { edition })
  const store = connect(url, { role: 'test', max: 4 })
  t.after(() => store.close())
  return store
}

const run = (store: Store, statement: string) => store.ask(op, (sql) => sql.unsafe(statement))

/** Puts noon into the open window, some minutes of it below the horizon and some beyond the end. */
async function openNoon(store: Store, frozen: string, until: string): Promise<void> {
  await run(
    store,
    `truncate event, event_late, job, subjob, live_batch, source, app, clock_correction`,
  )
  await run(
    store,
    `update horizon set frozen_before = '${frozen}', open_until = '${until}', dropped_before = '-infinity'`,
  )
  await run(store, `select make_event_partitions('2026-03-01T00:00:00Z', '2026-03-02T00:00:00Z')`)
}

const moveHorizon = (store: Store, set: string) =>
  store.begin(op, async (tx) => {
    await tx`select pg_advisory_xact_lock(7002)`
    await tx.unsafe(`update horizon set ${set}`)
  })

const minute = (n: number) =>
  new Date(Date.parse(noon) + n * 60_000).toISOString().replace('Z', '000Z')

/** Sends the batches over two connections, each its share in order. */
async function sendByTwo(store: Store, batches: Event[][]): Promise<void> {
  const share = async (parity: number) => {
    for (const batch of batches.filter((_, i) => i % 2 === parity)) await ingest(store, batch)
  }
  await Promise.all([share(0), share(1)])
}

const count = async (store: Store, table: string) =>
  Number((await run(store, `select count(*)::int as n from ${table}`))[0]!.n)

let made = 0
const event = (more: Partial<Event['event']> = {}, envelope: Partial<Event> = {}): Event => ({
  idempotency_key: `d0000000-0000-4000-8000-${String(++made).padStart(12, '0')}`,
  site_id: 'fab1',
  app: { app_id: 'a0000000-0000-4000-8000-000000000001', name: 'etch', version: '1' },
  entity: { type: 'job', id: 'b0000000-0000-4000-8000-000000000001', business_key: 'L1' },
  event: { kind: 'progress', at: noon, ...more },
  received_at: noon,
  ...envelope,
})

/** Ways of requests to the store: straight, through a sidecar, through one that restarts each time. */
const ways: ((batches: Event[][]) => Event[][])[] = [
  (batches) => batches,
  (batches) => {
    const sidecar = new ModelSidecar(100)
    return batches.map((batch) => sidecar.forward(batch, minute(30)))
  },
  (batches) => batches.map((batch) => new ModelSidecar(100).forward(batch, minute(30))),
]

function suite(edition: Edition) {
  test('folds as core does, in any order, batches, repetition, by two writers, while the horizon moves', async (t) => {
    const store = await openStore(t, edition)
    await fc.assert(
      fc.asyncProperty(arbitraryArrival(), async ({ events, batches: arrival }) => {
        await openNoon(store, minute(-2), minute(6))
        const half = Math.floor(arrival.length / 2)
        const sidecar = new ModelSidecar(2)
        // The one of two writers is a sidecar, which adds the starts that it has not forgotten.
        const batches = arrival.map((batch, i) =>
          i % 2 === 0 ? batch : sidecar.forward(batch, minute(30)),
        )
        await sendByTwo(store, batches.slice(0, half))
        // Only ever forward: what was late stays late, what was too far ahead no longer is.
        await moveHorizon(store, `frozen_before = '${minute(2)}', open_until = '2026-03-02'`)
        await sendByTwo(store, batches.slice(half))
        assert.deepEqual(plain(await storedRows(store)), plain(expectedRows(events)))
        assert.equal(
          (await count(store, 'event')) + (await count(store, 'event_late')),
          events.length,
        )
      }),
      { numRuns: edition === 'plain' ? 120 : 60 },
    )
  })

  test('gives one duration for all orders and splits of two starts and an end, whatever a sidecar adds', async (t) => {
    const store = await openStore(t, edition)
    await openNoon(store, minute(-60), '2026-03-02')
    const histories = permutations(['A', 'B', 'F'] as const).flatMap((order) =>
      splits(order).flatMap((batches) => ways.map((way) => ({ batches, way }))),
    )
    const deliveries = histories.map(({ batches, way }) => {
      const entity = { type: 'job' as const, id: crypto.randomUUID() }
      const events = {
        A: event({ kind: 'started', at: minute(0) }, { entity }),
        B: event({ kind: 'started', at: minute(2) }, { entity }),
        F: event({ kind: 'finished', at: minute(5) }, { entity }),
      }
      return way(batches.map((batch) => batch.map((name) => events[name])))
    })
    for (const turn of [0, 1, 2])
      await ingest(
        store,
        deliveries.flatMap((d) => d[turn] ?? []),
      )
    const rows = [...(await storedRows(store)).values()]
    assert.equal(rows.length, histories.length)
    for (const [i, row] of rows.entries()) {
      assert.deepEqual([row.startedAt, row.durationS, row.eventCount], [noon, 300, 3], `${i}`)
    }
  })

  test('knows a repeat by its source when the raw row is gone, and does not fold it again', async (t) => {
    const store = await openStore(t, edition)
    await openNoon(store, minute(-60), '2026-03-02')
    const source = (seq: number) => ({ source: { id: 'bn-07', epoch: 'e1', seq } })
    const first = event({ kind: 'started', metadata: { recipe: 'r1' } }, source(1))
    const second = event({ at: minute(1), metrics: { progress: 0.5, cd: 1 } }, source(2))
    await ingest(store, [first, second])
    await moveHorizon(store, `frozen_before = '${minute(30)}', dropped_before = '${minute(30)}'`)
    await run(store, 'truncate event')
    const { verdicts } = await ingest(store, [first, second])
    assert.deepEqual(verdicts, ['duplicate', 'duplicate'])
    await ingest(store, [
      event({ kind: 'metric', at: minute(2), metrics: { cd: 2 } }, source(3)),
      event({ kind: 'finished', at: minute(3) }, source(4)),
    ])
    const row = (await storedRows(store)).get('jobb0000000-0000-4000-8000-000000000001')!
    assert.deepEqual(
      [row.status, row.startedAt, row.progress, row.metrics, row.eventCount, row.metadata],
      ['succeeded', noon, 0.5, { cd: 2 }, 4, { recipe: 'r1' }],
    )
  })

  test('takes an event once although its clock was corrected differently on each copy', async (t) => {
    const store = await openStore(t, edition)
    await openNoon(store, minute(-60), '2026-03-02')
    const ahead = event({ at: minute(1), reported_at: minute(90) })
    const again = { ...ahead, event: { ...ahead.event, at: minute(2) } }
    assert.deepEqual((await ingest(store, [ahead])).verdicts, ['stored'])
    assert.deepEqual((await ingest(store, [again])).verdicts, ['duplicate'])
    assert.equal(await count(store, 'event'), 1)
  })

  /** An event as it is, and as a sidecar whose clock is behind passes it on. */
  function copies() {
    const plain = event({ at: minute(30) })
    const times = { at: minute(1), reported_at: minute(30) }
    return [plain, { ...plain, event: { ...plain.event, ...times } }] as const
  }

  for (const how of ['the right one first', 'the wrong one first']) {
    test(`takes an event once that came through a sidecar with a wrong clock and one with the right one, ${how}`, async (t) => {
      const store = await openStore(t, edition)
      await openNoon(store, minute(-60), '2026-03-02')
      const [plain, corrected] = copies()
      const isRightFirst = how === 'the right one first'
      const [first, second] = isRightFirst ? [plain, corrected] : [corrected, plain]
      assert.deepEqual((await ingest(store, [first])).verdicts, ['stored'])
      assert.deepEqual((await ingest(store, [second, first])).verdicts, ['duplicate', 'duplicate'])
      assert.equal((await run(store, 'select event_count from job'))[0]?.eventCount, 1)
    })
  }

  test('takes an event once whose copies with a right and a wrong clock come in one batch', async (t) => {
    const store = await openStore(t, edition)
    await openNoon(store, minute(-60), '2026-03-02')
    const { verdicts } = await ingest(store, copies())
    assert.deepEqual(verdicts, ['stored', 'duplicate'])
  })

  test('puts what no partition is open for into event_late, and never twice', async (t) => {
    const store = await openStore(t, edition)
    await openNoon(store, minute(-60), minute(60))
    const ahead = event({ at: minute(120) })
    await ingest(store, [ahead])
    assert.equal(await count(store, 'event_late'), 1)
    await run(store, `update horizon set open_until = '2026-03-02'`)
    assert.deepEqual((await ingest(store, [ahead])).verdicts, ['duplicate'])
    assert.equal(await count(store, 'event'), 0)
  })

  test('takes 20,000 events of thirty years without a partition for them', async (t) => {
    const store = await openStore(t, edition)
    const years = Array.from({ length: 20_000 }, (_, i) => {
      const at = new Date(Date.UTC(1996, 0, 1) + i * 47_304_000).toISOString().replace('Z', '000Z')
      return event({ at }, { entity: { type: 'job', id: crypto.randomUUID() } })
    })
    for (let i = 0; i < years.length; i += 1000) await ingest(store, years.slice(i, i + 1000))
    assert.equal(await count(store, 'job'), 20_000)
    const partitions = await run(
      store,
      `select count(*)::int as n from pg_inherits where inhparent = 'event'::regclass`,
    )
    assert.ok(Number(partitions[0]!.n) < 15)
  })

  test('reports the end of each job once, however often it is ended, and not of history', async (t) => {
    const store = await openStore(t, edition)
    await openNoon(store, minute(-60), '2026-03-02')
    const end = (kind: 'error' | 'finished', more: Partial<Event> = {}) =>
      event({ kind, status: 'failed', at: minute(1) }, more)
    const job = (n: number) => ({
      entity: { type: 'job' as const, id: `b0000000-0000-4000-8000-00000000000${n}` },
    })
    const endsOf = async (...events: Event[]) =>
      (await ingest(store, events)).ended.map(({ entity }) => entity.id)
    assert.deepEqual(await endsOf(end('error', job(1)), end('finished', job(1))), [
      job(1).entity.id,
    ])
    assert.deepEqual(await endsOf(end('finished', job(1)), end('error', job(2))), [
      job(2).entity.id,
    ])
    const sub = {
      entity: { ...job(3).entity, type: 'subjob' as const, parent_id: job(1).entity.id },
    }
    assert.deepEqual(
      await endsOf(end('finished', sub), end('finished', { ...job(4), historical: true })),
      [],
    )
  })

  test('refuses a poisoned event alone and keeps the rest of its batch', async (t) => {
    const store = await openStore(t, edition)
    await openNoon(store, minute(-60), '2026-03-02')
    const good = Array.from({ length: 7 }, () => event())
    const poisoned = event({ metadata: { text: '\u0000' } })
    const { verdicts } = await ingest(store, [...good.slice(0, 3), poisoned, ...good.slice(3)])
    assert.deepEqual(
      verdicts.map((v) => typeof v),
      ['string', 'string', 'string', 'object', 'string', 'string', 'string', 'string'],
    )
    assert.equal(await count(store, 'event'), 7)
  })

  test('keeps unknown fields, whatever they are called', async (t) => {
    const store = await openStore(t, edition)
    await openNoon(store, minute(-60), '2026-03-02')
    const odd = { ...event(), plant: { hall: 3 }, ...(JSON.parse('{"__proto__": 1}') as object) }
    odd.entity = { ...odd.entity, carrier_id: 'F1' }
    await ingest(store, [odd])
    const rows = await run(store, 'select extra::text from event')
    assert.deepEqual(
      JSON.parse(String(rows[0]!.extra)),
      JSON.parse('{"top": {"plant": {"hall": 3}, "__proto__": 1}, "entity": {"carrier_id": "F1"}}'),
    )
  })

  test('gives an event back with the mark of a start that a hop added', async (t) => {
    const store = await openStore(t, edition)
    await openNoon(store, minute(-60), '2026-03-02')
    const added = event({ started_at: minute(-5), started_at_added: true })
    await ingest(store, [added])
    const { items } = await findEvents(
      store,
      added.entity.id,
      { order: 'desc', limit: 1 },
      t.signal,
    )
    const [found] = items
    assert.equal((found as unknown as Event).event.started_at_added, true)
  })

  test('counts what each source sent, gaps and repeats included', async (t) => {
    const store = await openStore(t, edition)
    await openNoon(store, minute(-60), '2026-03-02')
    const from = (seq: number) => event({}, { source: { id: 'bn-07', epoch: 'e1', seq } })
    const repeated = from(2)
    await ingest(store, [from(1), repeated, from(5)])
    await ingest(store, [{ ...repeated, source: { id: 'bn-07', epoch: 'e1', seq: 3 } }])
    const rows = await run(store, 'select received::text from source')
    assert.equal(rows[0]!.received, '{[1,4),[5,6)}')
  })

  test('numbers a live position for what is new and not history', async (t) => {
    const store = await openStore(t, edition)
    await openNoon(store, minute(-60), '2026-03-02')
    const seen = event()
    await ingest(store, [seen, event({}, { historical: true })])
    await ingest(store, [seen])
    await ingest(store, [event({}, { historical: true })])
    const rows = await run(store, 'select n from live_batch')
    assert.deepEqual(
      [...rows].map((row) => row.n),
      [1],
    )
  })

  test('does not wait for another transaction over an app that was seen just now', async (t) => {
    const store = await openStore(t, edition)
    await openNoon(store, minute(-60), '2026-03-02')
    await ingest(store, [event()])
    await store.begin(op, async (tx) => {
      await tx`select from app for update`
      assert.deepEqual((await ingest(store, [event()])).verdicts, ['stored'])
    })
  })

  test('stores nothing of a batch whose transaction fails', async (t) => {
    const store = await openStore(t, edition)
    await openNoon(store, minute(-60), '2026-03-02')
    await run(store, 'alter table live_batch add constraint broken check (pos < 0)')
    await assert.rejects(ingest(store, [event()]))
    assert.equal(await count(store, 'event'), 0)
    assert.equal(await count(store, 'job'), 0)
  })
}

describe('ingest on plain PostgreSQL', () => suite('plain'))
describe('ingest on TimescaleDB', needsTimescale, () => suite('timescale'))

describe('IngestQueue', () => {
  test('shares a transaction among requests that wait, and answers each its own', async (t) => {
    const store = await openStore(t, 'plain')
    await openNoon(store, minute(-60), '2026-03-02')
    const commits: number[] = []
    const queue = new IngestQueue(store, {
      writers: 1,
      maxEvents: 100,
      maxWaiting: 1000,
      onCommit: (events) => commits.push(events),
    })
    const repeated = event()
    const requests = [[event(), repeated], [repeated], [event()]]
    const answers = await Promise.all(requests.map((events) => queue.add(events)))
    assert.deepEqual(answers, [['stored', 'stored'], ['duplicate'], ['stored']])
    assert.deepEqual(commits, [4])
  })

  test('turns callers away when too much waits, instead of growing', async (t) => {
    const store = await openStore(t, 'plain')
    await openNoon(store, minute(-60), '2026-03-02')
    const queue = new IngestQueue(store, { writers: 1, maxEvents: 1, maxWaiting: 2 })
    const first = [queue.add([event()]), queue.add([event()])]
    assert.throws(() => queue.add([event()]), { code: 'overloaded' })
    await Promise.all(first)
    assert.deepEqual(await queue.add([event()]), ['stored'])
  })
})
