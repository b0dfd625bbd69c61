import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import type { Event } from '../../src/core/event.ts'
import type { StatsFilter, StatsRow } from '../../src/core/questions/stats.ts'
import { fromMicros, fromMs, toMicros, toMs } from '../../src/core/time.ts'
import { ingest } from '../../src/store/ingest.ts'
import { findStats } from '../../src/store/stats.ts'
import { type Edition, needsTimescale } from '../support/database.ts'
import { anEvent, openStore, run } from '../support/store.ts'

const { signal } = new AbortController()
const noon = '2026-03-01T12:00:00.000000Z'
const widthMs = { '5m': 300_000, hour: 3_600_000, day: 86_400_000 }

type Spec = {
  minutes: number
  app: string
  site: string
  tool: string
  tookS: number | null
  failed: boolean
  /** Before its start. */
  waitedS: number | null
  /** An attempt before it. */
  failedBefore: boolean
}

const startOf = ({ minutes }: Spec) => fromMicros(toMicros(noon) + BigInt(minutes) * 60_000_000n)

function eventsOf(spec: Spec): Event[] {
  const app = { app_id: crypto.randomUUID(), name: spec.app, version: '' }
  const attempt = spec.failedBefore ? 2 : 1
  const envelope = { site_id: spec.site, app, entity: { id: crypto.randomUUID(), attempt } }
  const at = startOf(spec)
  const metadata = { tool: spec.tool }
  const before = (s: number) => fromMs(toMs(at) - s * 1000)
  const end = {
    kind: 'finished',
    started_at: at,
    ended_at: endOf(spec) ?? at,
    status: spec.failed ? 'failed' : 'succeeded',
    metrics: { duration_s: spec.tookS ?? 0 },
    metadata,
  } as const
  const first = { ...envelope, entity: { id: envelope.entity.id, attempt: 1 } }
  return [
    ...(spec.failedBefore
      ? [anEvent(before(5000), { kind: 'finished', status: 'failed' }, first)]
      : []),
    ...(spec.waitedS === null ? [] : [anEvent(before(spec.waitedS), { kind: 'queued' }, envelope)]),
    anEvent(at, spec.tookS === null ? { metadata } : end, envelope),
  ]
}

const endOf = (spec: Spec) =>
  spec.tookS === null ? null : fromMs(toMs(startOf(spec)) + spec.tookS * 1000)

const statusOf = ({ tookS, failed }: Spec) =>
  tookS === null ? 'running' : failed ? 'failed' : 'succeeded'

/** Linear between the two neighbors, as `percentile_cont` is defined. */
function percentile(sorted: number[], share: number): number | null {
  if (sorted.length === 0) return null
  const place = share * (sorted.length - 1)
  const [low, high] = [sorted[Math.floor(place)]!, sorted[Math.ceil(place)]!]
  return low + (high - low) * (place - Math.floor(place))
}

/** The same by hand. */
function expected(specs: Spec[], filter: StatsFilter): StatsRow[] {
  const groups = new Map<string, Spec[]>()
  for (const spec of specs) {
    const at = filter.time === 'ended' ? endOf(spec) : startOf(spec)
    const wanted =
      at !== null &&
      at >= filter.from! &&
      at < filter.to! &&
      spec.site === (filter.site ?? spec.site) &&
      spec.app.includes(filter.appName?.toLowerCase() ?? '') &&
      (filter.status?.includes(statusOf(spec)) ?? true) &&
      spec.tool === (filter.facts?.tool ?? spec.tool)
    if (!wanted) continue
    const width = widthMs[filter.bucket]
    const key = JSON.stringify([
      fromMs(Math.floor(toMs(at ?? '') / width) * width),
      filter.groupBy.includes('site') ? spec.site : null,
      filter.groupBy.includes('app') ? spec.app : null,
      filter.groupBy.includes('status') ? statusOf(spec) : null,
    ])
    groups.set(key, [...(groups.get(key) ?? []), spec])
  }
  const inOrder = [...groups].sort(([a], [b]) => (a < b ? -1 : 1))
  return inOrder.map(([key, members]) => {
    const [bucket, siteId, appName, status] = JSON.parse(key)
    const took = members.flatMap(({ tookS }) => tookS ?? []).sort((a, b) => a - b)
    const waited = members.flatMap(({ waitedS }) => waitedS ?? []).sort((x, y) => x - y)
    const isFailed = (one: Spec) => Number(statusOf(one) === 'failed') + Number(one.failedBefore)
    const sum = took.reduce((a, b) => a + b, 0)
    return {
      bucket,
      siteId,
      appName,
      status,
      count: members.length,
      durationAvgS: took.length === 0 ? null : sum / took.length,
      durationMinS: took[0] ?? null,
      durationMaxS: took.at(-1) ?? null,
      durationP50S: percentile(took, 0.5),
      durationP95S: percentile(took, 0.95),
      durationP99S: percentile(took, 0.99),
      failedAttempts: members.reduce((total, one) => total + isFailed(one), 0),
      queueP50S: percentile(waited, 0.5),
      queueP95S: percentile(waited, 0.95),
      queueP99S: percentile(waited, 0.99),
    }
  })
}

/** To nine digits: sums of floats depend on their order. */
const rounded = (rows: StatsRow[]) =>
  rows.map((row) =>
    Object.fromEntries(
      Object.entries(row).map(([name, value]) => [
        name,
        typeof value === 'number' ? Number(value.toPrecision(9)) : value,
      ]),
    ),
  )

const spec: fc.Arbitrary<Spec> = fc.record({
  minutes: fc.integer({ min: -3000, max: 3000 }),
  app: fc.constantFrom('etch', 'litho'),
  site: fc.constantFrom('fab1', 'fab2'),
  tookS: fc.option(fc.integer({ min: 0, max: 4000 }).map((n) => n / 4)),
  failed: fc.boolean(),
  tool: fc.constantFrom('SCN-1', 'SCN-2'),
  waitedS: fc.option(fc.integer({ min: 1, max: 4000 }).map((n) => n / 4)),
  failedBefore: fc.boolean(),
})

const anyFilter: fc.Arbitrary<StatsFilter> = fc.record({
  time: fc.constantFrom(undefined, 'started', 'ended'),
  bucket: fc.constantFrom('5m', 'hour', 'day'),
  groupBy: fc.subarray(['site', 'app', 'status']),
  from: fc.constant('2026-02-28T00:00:00.000000Z'),
  to: fc.constantFrom('2026-03-02T00:00:00.000000Z', '2026-03-01T12:00:00.000000Z'),
  site: fc.constantFrom(undefined, 'fab2'),
  appName: fc.constantFrom(undefined, 'ETC', 'none'),
  facts: fc.constantFrom(undefined, { tool: 'SCN-1' }, { tool: 'SCN-9' }),
  status: fc.constantFrom(undefined, ['failed'] as const, ['running', 'succeeded'] as const),
})

function suite(edition: Edition) {
  test('counts and measures every bucket and group as a count by hand does', async (t) => {
    const { store } = await openStore(t, edition)
    const property = fc.asyncProperty(
      fc.array(spec, { maxLength: 60 }),
      fc.array(anyFilter, { minLength: 6, maxLength: 6 }),
      async (specs, filters) => {
        for (const table of ['job', 'event', 'event_late']) await run(store, `delete from ${table}`)
        if (specs.length > 0) await ingest(store, specs.flatMap(eventsOf))
        for (const filter of filters) {
          const rows = await findStats(store, filter, signal)
          assert.deepEqual(rounded(rows), rounded(expected(specs, filter)), JSON.stringify(filter))
        }
      },
    )
    await fc.assert(property, { numRuns: edition === 'plain' ? 20 : 8 })
  })
}

describe('statistics on plain PostgreSQL', () => suite('plain'))
describe('statistics on TimescaleDB', needsTimescale, () => suite('timescale'))

describe('the window of statistics', () => {
  const ask = { bucket: '5m', groupBy: [] } as const

  test('is the last seven days unless given, in the smallest bucket too', async (t) => {
    const { store } = await openStore(t, 'plain')
    const ago = (ms: number) => anEvent(fromMs(Date.now() - ms))
    const day = 86_400_000
    await ingest(store, [ago(1000), ago(6.9 * day), ago(7.1 * day)])
    const rows = await findStats(store, ask, signal)
    assert.deepEqual(
      rows.map((row) => row.count),
      [1, 1],
    )
    // As the API asks: it says since when, and not until when.
    const since = fromMs(Date.now() - 7 * day)
    assert.equal((await findStats(store, { ...ask, from: since }, signal)).length, 2)
  })

  test('is refused when it has too many buckets, naming the field and the remedy', async (t) => {
    const { store } = await openStore(t, 'plain')
    const filter = { ...ask, from: '2026-01-01T00:00:00.000000Z', to: noon }
    await assert.rejects(findStats(store, filter, signal), {
      code: 'invalid',
      field: 'bucket',
      message: /into over 2016 buckets; use a longer bucket or a shorter window/,
    })
    assert.deepEqual(await findStats(store, { ...filter, bucket: 'hour' }, signal), [])
  })

  test('is refused when it has too many groups', async (t) => {
    const { store } = await openStore(t, 'plain')
    const now = fromMs(Date.now())
    await ingest(store, [anEvent(now)])
    await run(
      store,
      `insert into job (job_id, first_event_at, last_event_at, last_event_key, app_id, app_name,
         app_version, site_id, event_count, error_count)
       select gen_random_uuid(), now(), now(), gen_random_uuid(), app_id, 'app-' || n, '', site_id, 1, 0
       from job, generate_series(1, 20000) n`,
    )
    const filter = { bucket: 'day', groupBy: ['app'] } as const
    await assert.rejects(findStats(store, filter, signal), { code: 'invalid', field: 'group_by' })
    const [row] = await findStats(store, { ...filter, groupBy: [] }, signal)
    assert.equal(row?.count, 20_001)
  })
})
