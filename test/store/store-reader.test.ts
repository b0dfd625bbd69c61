import assert from 'node:assert/strict'
import { describe, type TestContext, test } from 'node:test'
import fc from 'fast-check'
import type { Event } from '../../src/core/event.ts'
import type { Job, JobFilter, JobReader } from '../../src/core/job.ts'
import { fromMicros, toMicros } from '../../src/core/time.ts'
import type { Store } from '../../src/store/connect.ts'
import { ingest } from '../../src/store/ingest.ts'
import { storeReader } from '../../src/store/store-reader.ts'
import { arrayReader, emptyWorld } from '../support/array-reader.ts'
import { type Edition, needsTimescale } from '../support/database.ts'
import { anEvent, openStore, run } from '../support/store.ts'

const { signal } = new AbortController()
const noon = '2026-03-01T12:00:00.000000Z'
const after = (us: number) => fromMicros(toMicros(noon) + BigInt(us))

/** Few distinct times, microseconds apart, some across a border of ten minutes: ties everywhere. */
const time = fc
  .constantFrom(-2, -1, -1, 0, 0, 0, 1, 2, 599_999_999, 600_000_000, 600_000_001)
  .map(after)

const end = fc.constantFrom(
  {},
  { kind: 'finished' as const, metrics: { duration_s: 5 } },
  { kind: 'finished' as const, metrics: { duration_s: 0.25 } },
  { kind: 'finished' as const, status: 'failed' as const, metadata: { error: 'T3 Timeout 50%' } },
  { kind: 'canceled' as const },
  { kind: 'error' as const, status: 'failed' as const, metadata: { error: 'checksum_1' } },
)
const app = fc.constantFrom('etch', 'Etch-2', 'litho', '100%_of', 'back\\slash')
const appIds = ['a0000000-0000-4000-8000-000000000001', 'a0000000-0000-4000-8000-000000000002']

const anyJob = fc
  .record({
    id: fc.uuid(),
    at: time,
    startedAt: fc.option(time, { nil: undefined }),
    end,
    app,
    appId: fc.constantFrom(...appIds),
    site: fc.constantFrom('fab1', 'fab2'),
    key: fc.constantFrom('L1', 'L2', 'l1x', undefined),
  })
  .map(({ id, at, startedAt, end, app, appId, site, key }) =>
    anEvent(
      at,
      { ...end, ...(startedAt && { started_at: startedAt }) },
      {
        site_id: site,
        app: { app_id: appId, name: app, version: '' },
        entity: { id, ...(key && { business_key: key }) },
      },
    ),
  )
const anyJobs = fc.uniqueArray(anyJob, { maxLength: 40, selector: ({ entity }) => entity.id })

const list = fc.record({
  time: fc.constantFrom<JobFilter['time']>('started', 'ended', 'seen'),
  order: fc.constantFrom<JobFilter['order']>('asc', 'desc'),
})

const maybe = <T>(value: fc.Arbitrary<T>) => fc.option(value, { nil: undefined, freq: 3 })
const status = fc.constantFrom<Job['status']>('running', 'succeeded', 'failed', 'canceled')
const anyFilter: fc.Arbitrary<Omit<JobFilter, 'limit'>> = fc
  .tuple(
    list,
    fc.record({
      from: maybe(time),
      to: maybe(time),
      status: maybe(fc.array(status, { minLength: 1, maxLength: 4 })),
      appName: maybe(fc.constantFrom('ETCH', 'tch', 'o', '%', '_', '\\', 'none')),
      appId: maybe(fc.constantFrom(...appIds, 'a0000000-0000-4000-8000-000000000009')),
      site: maybe(fc.constantFrom('fab1', 'fab2', 'fab3')),
      businessKey: maybe(fc.constantFrom('L1', 'l1', 'L2')),
      q: maybe(fc.constantFrom('l1', 'timeout', '50%', '_', 'TCH')),
      minDurationS: maybe(fc.constantFrom(0, 0.25, 1)),
      maxDurationS: maybe(fc.constantFrom(0, 0.25, 1)),
    }),
  )
  .map(([order, filter]) => ({ ...order, ...filter }))

async function fill(store: Store, events: readonly Event[]): Promise<void> {
  for (const table of ['event', 'event_late', 'job', 'subjob', 'app']) {
    await run(store, `delete from ${table}`)
  }
  if (events.length > 0) await ingest(store, events)
}

const readerOf = (store: Store) =>
  storeReader(store, { now: () => noon, maxAgeMs: { completeness: 60_000, baselines: 60_000 } })

/** Everything by one question, which other tests hold against what was sent. */
async function worldOf(reader: JobReader, events: readonly Event[]) {
  const world = emptyWorld(() => noon)
  const { items } = await reader.findJobs({ time: 'seen', order: 'asc', limit: 1000 }, signal)
  assert.deepEqual(items.map(({ id }) => id).sort(), events.map(({ entity }) => entity.id).sort())
  world.jobs = [...items]
  return world
}

/** Columns that the oracle does not have. */
const byIdentity =
  ({ site, appId, businessKey }: Partial<JobFilter>) =>
  (job: Job) =>
    job.siteId === (site ?? job.siteId) &&
    job.appId === (appId ?? job.appId) &&
    job.jobKey === (businessKey ?? job.jobKey)

const idsOf = (jobs: readonly Job[]) => jobs.map(({ id }) => id)

/** All pages, one after the other; `between` runs after each. */
async function pagesOf(
  reader: JobReader,
  filter: JobFilter,
  between: (page: number) => Promise<unknown> = async () => {},
): Promise<Job[]> {
  const all: Job[] = []
  let cursor: JobFilter['cursor']
  for (let page = 0; page < 200; page++) {
    const { items, nextCursor } = await reader.findJobs({ ...filter, cursor }, signal)
    all.push(...items)
    if (nextCursor === null) return all
    assert.equal(items.length, filter.limit, 'a page that is not the last is full')
    cursor = nextCursor
    await between(page)
  }
  throw new Error('the pages do not end')
}

async function open(t: TestContext, edition: Edition) {
  const { store } = await openStore(t, edition)
  return { store, reader: readerOf(store) }
}

function suite(edition: Edition) {
  test('answers every combination of filters as an array would', async (t) => {
    const { store, reader } = await open(t, edition)
    const property = fc.asyncProperty(
      anyJobs,
      fc.array(anyFilter, { minLength: 8, maxLength: 8 }),
      async (events, filters) => {
        await fill(store, events)
        const world = await worldOf(reader, events)
        for (const filter of filters) {
          const jobs = world.jobs.filter(byIdentity(filter))
          const oracle = arrayReader({ ...world, jobs })
          const wanted = await oracle.findJobs({ ...filter, limit: 1000 }, signal)
          const found = await reader.findJobs({ ...filter, limit: 1000 }, signal)
          assert.deepEqual(found.items, wanted.items, JSON.stringify(filter))
          assert.equal(found.nextCursor, null)
        }
      },
    )
    await fc.assert(property, { numRuns: edition === 'plain' ? 25 : 10 })
  })

  test('has pages that add up to the whole list, with ties to the microsecond', async (t) => {
    const { store, reader } = await open(t, edition)
    const property = fc.asyncProperty(
      anyJobs,
      anyFilter,
      fc.integer({ min: 1, max: 7 }),
      async (events, filter, limit) => {
        await fill(store, events)
        const { items } = await reader.findJobs({ ...filter, limit: 1000 }, signal)
        assert.deepEqual(await pagesOf(reader, { ...filter, limit }), items)
      },
    )
    await fc.assert(property, { numRuns: edition === 'plain' ? 25 : 10 })
  })

  test('has pages that neither skip nor repeat while rows arrive', async (t) => {
    const { store, reader } = await open(t, edition)
    const property = fc.asyncProperty(
      anyJobs,
      fc.uniqueArray(anyJob, { minLength: 1, maxLength: 12, selector: ({ entity }) => entity.id }),
      list,
      fc.integer({ min: 1, max: 5 }),
      async (events, arriving, order, limit) => {
        await fill(store, events)
        const before = await reader.findJobs({ ...order, limit: 1000 }, signal)
        const late = arriving.filter((one) => !events.some((e) => e.entity.id === one.entity.id))
        const all = await pagesOf(reader, { ...order, limit }, async (page) => {
          if (late[page]) await ingest(store, [late[page]])
        })
        assert.equal(new Set(idsOf(all)).size, all.length, 'a row came twice')
        const old = new Set(idsOf(before.items))
        assert.deepEqual(
          idsOf(all).filter((id) => old.has(id)),
          idsOf(before.items),
        )
      },
    )
    await fc.assert(property, { numRuns: edition === 'plain' ? 25 : 10 })
  })

  test('lists subjobs as it lists jobs, and those of one job whatever their age', async (t) => {
    const { store, reader } = await open(t, edition)
    const parents = ['b0000000-0000-4000-9000-000000000001', 'b0000000-0000-4000-9000-000000000002']
    const subjobs = Array.from({ length: 30 }, (_, i) =>
      anEvent(after(i % 3), i % 4 ? { kind: 'finished' } : {}, {
        entity: { type: 'subjob', parent_id: parents[i % 2]!, sub_key: `W${i}` },
      }),
    )
    await fill(store, subjobs)
    const filter = { time: 'started', order: 'desc', limit: 1000 } as const
    const all = await reader.findSubjobs(filter, signal)
    assert.equal(all.items.length, 30)
    assert.ok(all.items.every(({ entityType }) => entityType === 'subjob'))
    const own = await reader.findSubjobs({ ...filter, jobId: parents[1]! }, signal)
    assert.deepEqual(
      own.items,
      all.items.filter(({ parentId }) => parentId === parents[1]),
    )
    const running = await reader.findSubjobs({ ...filter, status: ['running'], q: 'w8' }, signal)
    assert.deepEqual(
      running.items.map(({ subKey }) => subKey),
      ['W8'],
    )
    assert.deepEqual((await reader.findJobs(filter, signal)).items, [])
  })

  test('answers a job or a subjob by its id, and counts its subjobs', async (t) => {
    const { store, reader } = await open(t, edition)
    const lot = anEvent(noon, {
      metadata: { tool: 'ETX-04' },
      metrics: { cd: 38.14, progress: 0.5 },
    })
    const wafers = (['started', 'finished', 'finished', 'canceled'] as const).map((kind) =>
      anEvent(noon, { kind }, { entity: { type: 'subjob', parent_id: lot.entity.id } }),
    )
    const step = anEvent(
      noon,
      { kind: 'finished', status: 'failed' },
      { entity: { type: 'subjob', parent_id: wafers[0]!.entity.id } },
    )
    await fill(store, [lot, ...wafers, step])
    const found = await reader.getJob(lot.entity.id, signal)
    const none = { queued: 0, running: 0, succeeded: 0, failed: 0, canceled: 0, unknown: 0 }
    assert.deepEqual(found?.subjobs, { ...none, total: 4, running: 1, succeeded: 2, canceled: 1 })
    assert.deepEqual(
      [found?.job.metadata, found?.job.metrics, found?.job.progress, found?.job.entityType],
      [{ tool: 'ETX-04' }, { cd: 38.14 }, 0.5, 'job'],
    )
    const nested = await reader.getJob(wafers[0]!.entity.id, signal)
    assert.equal(nested?.job.entityType, 'subjob')
    assert.equal(nested?.job.parentId, lot.entity.id)
    assert.deepEqual(nested?.subjobs, { ...none, total: 1, failed: 1 })
    assert.equal(await reader.getJob('b0000000-0000-4000-9000-00000000000f', signal), undefined)
  })
}

describe('the reader on plain PostgreSQL', () => suite('plain'))
describe('the reader on TimescaleDB', needsTimescale, () => suite('timescale'))
