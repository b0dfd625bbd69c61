import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import type { Event } from '../../src/core/event.ts'
import { addHistograms, maxError, nearestRank, percentileOf } from '../../src/core/histogram.ts'
import type { StatsFilter, StatsRow } from '../../src/core/questions/stats.ts'
import { fromMicros, fromMs, toMicros, toMs } from '../../src/core/time.ts'
import type { Pool } from '../../src/store/connect.ts'
import { ingest } from '../../src/store/ingest.ts'
import { findStats } from '../../src/store/stats.ts'
import { startOfBucket } from '../support/array-reader.ts'
import { type Edition, needsTimescale } from '../support/database.ts'
import { emptyStore, openRollups } from '../support/rollups.ts'
import { anEvent, openStore, run } from '../support/store.ts'

const { signal } = new AbortController()
const noon = '2026-03-01T12:00:00.000000Z'

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
    const key = JSON.stringify([
      startOfBucket(at ?? '', filter.bucket),
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
      durationP50S: nearestRank(took, 0.5),
      durationP95S: nearestRank(took, 0.95),
      durationP99S: nearestRank(took, 0.99),
      failedAttempts: members.reduce((total, one) => total + isFailed(one), 0),
      queueP50S: nearestRank(waited, 0.5),
      queueP95S: nearestRank(waited, 0.95),
      queueP99S: nearestRank(waited, 0.99),
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
  bucket: fc.constantFrom('5m', 'hour', 'day', 'week', 'month'),
  groupBy: fc.subarray(['site', 'app', 'status']),
  from: fc.constant('2026-02-28T00:00:00.000000Z'),
  to: fc.constantFrom('2026-03-02T00:00:00.000000Z', '2026-03-01T12:00:00.000000Z'),
  site: fc.constantFrom(undefined, 'fab2'),
  appName: fc.constantFrom(undefined, 'ETC', 'none'),
  facts: fc.constantFrom(undefined, { tool: 'SCN-1' }, { tool: 'SCN-9' }),
  status: fc.constantFrom(undefined, ['failed'] as const, ['running', 'succeeded'] as const),
})

/** Two that took differently long: each percentile is one of them, never between. */
const aJob = { minutes: 0, app: 'etch', site: 'fab1', failed: false, tool: 'SCN-1' }
const twoJobs: [Spec[], StatsFilter[]] = [
  [0, 1].map((tookS) => ({ ...aJob, tookS, waitedS: null, failedBefore: false })),
  [
    {
      bucket: 'day',
      groupBy: [],
      from: '2026-02-28T00:00:00.000000Z',
      to: '2026-03-02T00:00:00.000000Z',
    },
  ],
]

function suite(edition: Edition) {
  test('counts and measures every bucket and group as a count by hand does', async (t) => {
    const { store } = await openStore(t, edition)
    const property = fc.asyncProperty(
      fc.array(spec, { maxLength: 60 }),
      fc.array(anyFilter, { minLength: 6, maxLength: 6 }),
      async (specs, filters) => {
        await emptyStore(store)
        if (specs.length > 0) await ingest(store, specs.flatMap(eventsOf))
        for (const filter of filters) {
          const rows = await findStats(store, filter, signal)
          assert.deepEqual(rounded(rows), rounded(expected(specs, filter)), JSON.stringify(filter))
        }
      },
    )
    await fc.assert(property, { numRuns: edition === 'plain' ? 20 : 8, examples: [twoJobs] })
  })

  test('beyond seven days have the counts of a count by hand, and percentiles within half a bin', async (t) => {
    const { store, url } = await openStore(t, edition)
    const rollups = await openRollups(t, url)
    const property = fc.asyncProperty(
      fc.array(spec, { maxLength: 60 }),
      fc.array(longFilter, { minLength: 6, maxLength: 6 }),
      async (specs, filters) => {
        await emptyStore(store)
        if (specs.length > 0) await ingest(store, specs.flatMap(eventsOf))
        await rollups.make()
        for (const filter of filters) await checkRolled(store, specs, filter)
      },
    )
    await fc.assert(property, { numRuns: edition === 'plain' ? 20 : 8 })
  })
}

const names = ['P50S', 'P95S', 'P99S'] as const
const shares = { P50S: 0.5, P95S: 0.95, P99S: 0.99 }

async function checkRolled(store: Pool, specs: Spec[], filter: StatsFilter): Promise<void> {
  const rows = await findStats(store, filter, signal)
  const wanted = expected(specs, filter)
  const counts = (some: StatsRow[]) =>
    rounded(
      some.map(({ durationHistogram: _, queueHistogram: __, ...row }) => {
        const none = names.flatMap((name) => [`duration${name}`, `queue${name}`])
        return { ...row, ...Object.fromEntries(none.map((name) => [name, null])) }
      }),
    )
  assert.deepEqual(counts(rows), counts(wanted), JSON.stringify(filter))
  for (const [i, row] of rows.entries()) {
    for (const name of names) {
      isNear(row[`duration${name}`], wanted[i]![`duration${name}`])
      isNear(row[`queue${name}`], wanted[i]![`queue${name}`])
      // Who adds histograms up gets the same.
      const sum = addHistograms([row.durationHistogram ?? 'none'])
      isNear(percentileOf(sum, shares[name]), wanted[i]![`duration${name}`])
    }
  }
}

function isNear(given: number | null, exact: number | null): void {
  if (given === null || exact === null) assert.equal(given, exact)
  else assert.ok(Math.abs(given - exact) <= exact * (maxError + 1e-9), `${given} for ${exact}`)
}

const longFilter: fc.Arbitrary<StatsFilter> = fc.record({
  bucket: fc.constantFrom('hour', 'day', 'week', 'month'),
  groupBy: fc.subarray(['site', 'app', 'status']),
  // On whole days, and in the middle of an hour that has jobs.
  from: fc.constantFrom('2026-02-01T00:00:00.000000Z', '2026-02-20T12:30:00.000001Z'),
  to: fc.constantFrom('2026-03-04T00:00:00.000000Z', '2026-03-01T12:15:00.000000Z'),
  site: fc.constantFrom(undefined, 'fab2'),
  appName: fc.constantFrom(undefined, 'ETC', 'none'),
  status: fc.constantFrom(undefined, ['failed'] as const, ['running', 'succeeded'] as const),
  histogram: fc.constant(true),
})

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
