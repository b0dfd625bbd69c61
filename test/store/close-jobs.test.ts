import assert from 'node:assert/strict'
import { describe, type TestContext, test } from 'node:test'
import fc from 'fast-check'
import { type Closing, closingEvent } from '../../src/core/closing.ts'
import type { Event } from '../../src/core/event.ts'
import { toEndStatus } from '../../src/core/event-slots.ts'
import { foldEvents, toShown } from '../../src/core/fold.ts'
import { fromMs } from '../../src/core/time.ts'
import { createLog } from '../../src/platform/log.ts'
import { closeJob } from '../../src/store/close-jobs.ts'
import { closeLost } from '../../src/store/close-lost.ts'
import type { Store } from '../../src/store/connect.ts'
import { ingest } from '../../src/store/ingest.ts'
import { storeReader } from '../../src/store/store-reader.ts'
import { type Edition, needsTimescale } from '../support/database.ts'
import { arbitraryArrival } from '../support/histories.ts'
import { anEvent, count, openStore, run } from '../support/store.ts'

const { signal } = new AbortController()
const nowMs = Date.now()
const ago = (s: number) => fromMs(nowMs - s * 1000)
const now = fromMs(nowMs)
const byKim: Closing = {
  ...{ status: 'unknown', reason: 'node 7 is off', actor: 'token ops, Kim', address: '::1' },
}
const silentLog = createLog({ service: 'test', level: 'silent', json: true })

const open = async (t: TestContext, edition: Edition) => {
  const { store } = await openStore(t, edition)
  const reader = storeReader(store, { maxAgeMs: { completeness: 0, baselines: 0 } })
  const jobOf = async (id: string) => (await reader.getJob(id, signal))?.job
  return { store, reader, jobOf }
}

const audit = async (store: Store) => [
  ...(await run(
    store,
    'select actor, address, action, object, before, after, reason from audit order by at',
  )),
]

/** Age of the rows: silence is counted from the arrival too. */
const age = (store: Store, s: number) =>
  run(
    store,
    `update job set updated_at = now() - interval '${s} s';
     update subjob set updated_at = now() - interval '${s} s'`,
  )

function suite(edition: Edition) {
  test('a job that is closed has ended by an event of the local API, and the audit says who did it', async (t) => {
    const { store, reader, jobOf } = await open(t, edition)
    const start = anEvent(ago(60), { metadata: { tool: 'SCN-05' } })
    const tick = anEvent(ago(40), { kind: 'progress' }, { entity: start.entity })
    const { id } = start.entity
    await ingest(store, [start, tick])
    const { ended, ...closed } = await closeJob(store, id, byKim, now)
    assert.deepEqual(closed, { closed: true, status: 'unknown', endedAt: ago(40) })
    assert.deepEqual(ended.map(toEndStatus), ['unknown'])
    const job = await jobOf(id)
    assert.deepEqual(
      [job?.status, job?.endedAt, job?.durationS, job?.metadata, job?.eventCount],
      ['unknown', ago(40), 20, { tool: 'SCN-05', reason: 'node 7 is off' }, 3],
    )
    const filter = { order: 'desc', limit: 1 } as const
    const [event] = (await reader.findEvents(id, filter, signal)).items
    assert.equal((event!.source as { id: string }).id, 'local-api')
    assert.equal((event!.event as { kind: string }).kind, 'finished')
    assert.equal(await count(store, 'live_batch'), 2, 'it is live like any other')
    assert.equal(await count(store, 'source'), 0, 'no spool sent it')
    assert.deepEqual(await audit(store), [
      {
        ...{ actor: 'token ops, Kim', address: '::1', action: 'job.close', object: `job ${id}` },
        before: { status: 'running', attempt: 1, last_event_at: ago(40) },
        after: { status: 'unknown', ended_at: ago(40) },
        reason: 'node 7 is off',
      },
    ])
  })

  test('closing it again with the same status changes nothing; with another, or after its own end, is a conflict', async (t) => {
    const { store, jobOf } = await open(t, edition)
    const [first, second] = [anEvent(ago(60)), anEvent(ago(60))]
    const { id } = first.entity
    const end = anEvent(ago(50), { kind: 'finished' }, { entity: second.entity })
    await ingest(store, [first, second, end])
    const canceled: Closing = { ...byKim, status: 'canceled' }
    await closeJob(store, id, canceled, now)
    const { closed, ended } = await closeJob(store, id, canceled, now)
    assert.deepEqual([closed, ended], [false, []])
    assert.deepEqual([(await jobOf(id))?.status, (await jobOf(id))?.eventCount], ['canceled', 2])
    await assert.rejects(closeJob(store, id, byKim, now), { code: 'conflict' })
    await assert.rejects(closeJob(store, second.entity.id, byKim, now), {
      code: 'conflict',
      message: /has ended \(succeeded\)/,
    })
    await assert.rejects(closeJob(store, crypto.randomUUID(), byKim, now), { code: 'not_found' })
    assert.equal((await audit(store)).length, 1, 'what was refused is not in the audit')
  })

  test('closed at the same time by two, it has one more event and one entry in the audit', async (t) => {
    const { store, jobOf } = await open(t, edition)
    const start = anEvent(ago(60))
    const { id } = start.entity
    await ingest(store, [start])
    const both = await Promise.all([1, 2].map((s) => closeJob(store, id, byKim, ago(s))))
    assert.deepEqual(both.map(({ closed }) => closed).sort(), [false, true])
    assert.deepEqual([(await jobOf(id))?.eventCount, (await audit(store)).length], [2, 1])
  })

  test('a subjob, a job that waits and the attempt that is shown can be closed', async (t) => {
    const { store, jobOf } = await open(t, edition)
    const waiting = anEvent(ago(60), { kind: 'queued' })
    const parent_id = waiting.entity.id
    const sub = anEvent(
      ago(60),
      {},
      {
        entity: { type: 'subjob', parent_id, sub_key: 'W01', attempt: 3 },
      },
    )
    await ingest(store, [waiting, sub])
    await closeJob(store, sub.entity.id, { ...byKim, status: 'failed' }, now)
    await closeJob(store, parent_id, byKim, now)
    const found = await jobOf(sub.entity.id)
    assert.deepEqual(
      [found?.status, found?.attempt, found?.parentId, found?.lastError],
      ['failed', 3, parent_id, 'node 7 is off'],
    )
    assert.equal((await jobOf(parent_id))?.status, 'unknown')
  })

  test('an end that the program reports later is shown, also one from before it was closed', async (t) => {
    const { store, jobOf } = await open(t, edition)
    const start = anEvent(ago(600))
    const { entity } = start
    await ingest(store, [start])
    await closeJob(store, entity.id, byKim, ago(60))
    await ingest(store, [anEvent(ago(30), { kind: 'progress' }, { entity })])
    assert.equal((await jobOf(entity.id))?.status, 'unknown', 'progress reopens nothing')
    const failed = { kind: 'finished', status: 'failed' } as const
    await ingest(store, [anEvent(ago(300), failed, { entity })])
    const job = await jobOf(entity.id)
    assert.deepEqual([job?.status, job?.endedAt, job?.metadata], ['failed', ago(300), {}])
  })

  test('of an earlier attempt too an end that is reported later is shown', async (t) => {
    const { store, reader } = await open(t, edition)
    const start = anEvent(ago(600))
    const { entity } = start
    const second = anEvent(ago(50), {}, { entity: { ...entity, attempt: 2 } })
    await ingest(store, [start])
    await closeJob(store, entity.id, byKim, ago(60))
    await ingest(store, [second])
    await ingest(store, [anEvent(ago(300), { kind: 'finished' }, { entity })])
    const detail = await reader.getJob(entity.id, signal)
    assert.deepEqual(
      detail?.attempts.map(({ attempt, status }) => [attempt, status]),
      [
        [2, 'running'],
        [1, 'succeeded'],
      ],
    )
  })

  test('what has been lost for long is closed by the system, a few at a time; what is not stays open', async (t) => {
    const { store, jobOf } = await open(t, edition)
    const metadata = { heartbeat_s: 60 }
    const silent = [4000, 3900, 3800].map((s) => anEvent(ago(s), { metadata }))
    const living = anEvent(ago(30), { metadata })
    const unjudged = anEvent(ago(9000))
    const waiting = anEvent(ago(9000), { kind: 'queued', metadata })
    const sub = anEvent(
      ago(4000),
      { metadata },
      {
        entity: { type: 'subjob', parent_id: silent[0]!.entity.id },
      },
    )
    await ingest(store, [...silent, living, unjudged, waiting, sub])
    const lost = (lostAfterS: number, most: number, onEnded = (_: readonly Event[]) => {}) =>
      closeLost(store, { lostAfterS, log: silentLog, most, onEnded })
    assert.equal(await lost(3600, 10), 0, 'it arrived just now, so it was not silent')
    await age(store, 3000)
    assert.equal(await lost(3600, 10), 0, 'it is lost, and not for so long')
    await age(store, 3700)
    const told: Event[] = []
    assert.equal(await lost(3600, 2, (ended) => told.push(...ended)), 3, 'two jobs and a subjob')
    assert.equal(await lost(3600, 2), 1)
    assert.equal(await lost(3600, 2), 0)
    assert.deepEqual(told.map(toEndStatus), ['unknown', 'unknown'])
    for (const { entity } of [...silent, sub]) {
      assert.equal((await jobOf(entity.id))?.status, 'unknown')
    }
    for (const { entity } of [living, unjudged]) {
      assert.equal((await jobOf(entity.id))?.status, 'running')
    }
    assert.equal((await jobOf(waiting.entity.id))?.status, 'queued')
    const entries = await audit(store)
    assert.equal(entries.length, 4)
    assert.deepEqual(
      [entries[0]?.actor, entries[0]?.reason],
      ['system', 'lost for more than 3600 s'],
    )
  })
}

describe('closing on plain PostgreSQL', () => suite('plain'))
describe('closing on TimescaleDB', needsTimescale, () => suite('timescale'))

test('a closing as unknown hides no end that is reported, whenever it is closed and whatever comes in which order', () => {
  const known = (event: Event) => ![undefined, 'unknown'].includes(toEndStatus(event))
  fc.assert(
    fc.property(
      arbitraryArrival(1),
      fc.nat(),
      fc.integer({ min: -4, max: 8 }),
      (arrival, place, minutes) => {
        const events = arrival.events.map(
          (event): Event => ({
            ...event,
            entity: { ...event.entity, type: 'job', attempt: 1 },
          }),
        )
        const [first] = events
        const at = fromMs(Date.parse('2026-03-01T12:00:00Z') + minutes * 60_000)
        const closing = closingEvent(
          {
            ...{
              id: first!.entity.id,
              entityType: 'job',
              parentId: null,
              appId: first!.app.app_id,
            },
            ...{ appName: 'etch', appVersion: '', siteId: 'fab1', jobKey: null, subKey: null },
            ...{ attempt: 1, lastEventAt: at },
          },
          byKim,
          at,
          1,
        )
        const own = events.filter(({ entity }) => entity.id === first!.entity.id)
        const statusOf = (some: Event[]) => {
          const [slots] = foldEvents(some).jobs
          return slots && [toShown(slots).status, slots.ended_at, slots.end_metadata]
        }
        const closed = statusOf(own.toSpliced(place % (own.length + 1), 0, closing))
        if (own.some(known)) assert.deepEqual(closed, statusOf(own))
        else assert.equal(closed?.[0], 'unknown')
      },
    ),
    { numRuns: 500 * Number(process.env.FUZZ_FACTOR ?? 1) },
  )
})
