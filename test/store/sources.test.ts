import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import type { Source } from '../../src/core/questions/sources.ts'
import { fromMs } from '../../src/core/time.ts'
import type { Store } from '../../src/store/connect.ts'
import { ingest } from '../../src/store/ingest.ts'
import {
  CompletenessCache,
  keepOpen,
  listSources,
  summarizeSources,
} from '../../src/store/sources.ts'
import { storeReader } from '../../src/store/store-reader.ts'
import { anEvent, openStore, run } from '../support/store.ts'

const { signal } = new AbortController()
const now = () => fromMs(Date.now())
const from = (id: string, seq: number, more = {}, at = now()) =>
  anEvent(at, more, { received_at: now(), source: { id, epoch: 'e1', seq } })

/** As of a sidecar that delivers as things happen, however slow this machine is. */
const noLag = (store: Store) => run(store, 'update source set lag_s = 0')

describe('sources', () => {
  test('say what was received of each, and every gap', async (t) => {
    const { store } = await openStore(t, 'plain')
    await ingest(store, [from('bn-07', 3), from('bn-07', 4), from('bn-07', 8), from('bn-08', 1)])
    await noLag(store)
    const [seven, eight] = await listSources(store, signal)
    assert.deepEqual([seven?.id, seven?.lastSeq, seven?.received], ['bn-07', 8, 3])
    assert.deepEqual(seven?.gaps, [
      { source: 'bn-07', from: 1, to: 2 },
      { source: 'bn-07', from: 5, to: 7 },
    ])
    assert.deepEqual([eight?.lastSeq, eight?.received, eight?.gaps], [1, 1, []])
    await ingest(
      store,
      [1, 2, 5, 6, 7].map((seq) => from('bn-07', seq)),
    )
    assert.deepEqual((await listSources(store, signal))[0]?.gaps, [])
  })

  test('count skipped numbers of a sidecar that catches up as on the way, but not forever', async (t) => {
    const { store } = await openStore(t, 'plain')
    const received_at = fromMs(Date.now() - 60_000)
    const behind = (seq: number) => ({ ...from('bn-07', seq), received_at })
    await ingest(store, [behind(1), behind(50_000), behind(50_002)])
    const gaps = async () => (await listSources(store, signal))[0]?.gaps
    assert.deepEqual(await gaps(), [{ source: 'bn-07', from: 2, to: 10_002 }])
    const all = [2, 50_001].map((from, i) => ({ source: 'bn-07', from, to: [49_999, 50_001][i] }))
    await run(store, `update source set last_stored_at = now() - interval '11 seconds'`)
    assert.deepEqual(await gaps(), all, 'it fell silent')
    await run(store, `update source set last_stored_at = now(), lag_s = 0.05`)
    assert.deepEqual(await gaps(), all, 'it delivers as things happen')
  })

  test('keep a bounded number of ranges of one: what it skips further stays a gap', async (t) => {
    const { store } = await openStore(t, 'plain')
    await ingest(store, [from('bn-07', 1)])
    await run(
      store,
      `update source set received = (select range_agg(int8range(2 * i, 2 * i + 1))
        from generate_series(1::int8, 25000) i)`,
    )
    await ingest(store, [from('bn-07', 90_001), from('bn-07', 50_001), from('bn-07', 5)])
    const [source] = await listSources(store, signal)
    assert.deepEqual([source?.lastSeq, source?.received], [50_001, 25_002])
  })

  test('name at most a hundred gaps of one, the oldest', async (t) => {
    const { store } = await openStore(t, 'plain')
    await ingest(
      store,
      Array.from({ length: 150 }, (_, i) => from('bn-07', 2 * (i + 1))),
    )
    await noLag(store)
    const [source] = await listSources(store, signal)
    assert.equal(source?.gaps.length, 100)
    assert.deepEqual(source?.gaps[0], { source: 'bn-07', from: 1, to: 1 })
    assert.equal(source?.received, 150)
  })

  test('keep the spools that a sidecar had before, the newest first', async (t) => {
    const { store } = await openStore(t, 'plain')
    const of = (epoch: string) => anEvent(now(), {}, { source: { id: 'bn-07', epoch, seq: 1 } })
    await ingest(store, [of('old')])
    await ingest(store, [of('new')])
    const found = await listSources(store, signal)
    assert.deepEqual(
      found.map(({ epoch }) => epoch),
      ['new', 'old'],
    )
  })

  test('have no sidecar left out when others were started ten thousand times', async (t) => {
    const { store } = await openStore(t, 'plain')
    await ingest(store, [from('z-01', 1)])
    await run(
      store,
      `insert into source select 'a-01', 'e' || n, '{[1,3)}', now(), now(), now(), 0, 0
       from generate_series(1, 10001) n`,
    )
    const found = await listSources(store, signal)
    assert.equal(found.length, 10_000)
    assert.equal(found.at(-1)?.id, 'z-01')
  })

  test('say how far a clock runs ahead, and nothing of a clock for replayed history', async (t) => {
    const { store } = await openStore(t, 'plain')
    const ahead = fromMs(Date.now() + 300_000)
    await ingest(store, [from('bn-07', 1, {}, ahead)])
    await ingest(store, [{ ...from('bn-08', 1, {}, fromMs(0)), historical: true }])
    const [seven, eight] = await listSources(store, signal)
    assert.ok(Math.abs(seven!.clockOffsetS - 300) < 30, String(seven?.clockOffsetS))
    assert.equal(eight?.clockOffsetS, 0)
    assert.ok(seven!.lagS >= 0)
  })
})

describe('what an answer may be missing', () => {
  const at = (s: number) => fromMs(Date.UTC(2026, 2, 1) + s * 1000)
  const source = (id: string, changes: Partial<Source>): Source => ({
    ...{ id, epoch: 'e', lastSeq: 9, received: 9, reused: 0, gaps: [], lagS: 0, clockOffsetS: 0 },
    ...{ lastSeenAt: at(0), lastAt: at(0) },
    ...changes,
  })

  test('is the age of the source silent longest, by its newest spool', () => {
    const sources = [
      source('a', { epoch: 'old', lastSeenAt: at(-5000) }),
      source('a', { epoch: 'new', lastSeenAt: at(-10) }),
      source('b', { lastSeenAt: at(-70) }),
    ]
    const summary = summarizeSources(sources, at(0), 60)
    assert.deepEqual([summary.sources, summary.oldestSourceAgeS], [2, 70])
    assert.equal(summarizeSources([], at(0), 60).oldestSourceAgeS, null)
  })

  test('is gaps of any spool, old ones too, and clocks that are off either way', () => {
    const gap = { source: 'a', from: 2, to: 3 }
    const sources = [
      source('a', { epoch: 'old', lastSeenAt: at(-500), gaps: [gap] }),
      source('a', { epoch: 'new' }),
      source('b', { clockOffsetS: -61 }),
      source('c', { clockOffsetS: 60 }),
      source('d', { clockOffsetS: 7200 }),
    ]
    const summary = summarizeSources(sources, at(0), 60)
    assert.deepEqual(summary.gaps, [gap])
    assert.deepEqual(summary.skewedSources, ['b', 'd'])
  })

  test('comes with every list: from the store, as of before its rows', async (t) => {
    const { store } = await openStore(t, 'plain')
    await ingest(store, [from('bn-07', 1), from('bn-07', 3)])
    await noLag(store)
    await run(store, `update horizon set jobs_from = '2026-01-01T00:00:00Z'`)
    const reader = storeReader(store, { archive: 'off', maxAgeMs: { completeness: 0 } })
    const before = now()
    const filter = { time: 'started', order: 'desc', limit: 10 } as const
    for (const page of [
      await reader.findJobs(filter, signal),
      await reader.findSubjobs(filter, signal),
    ]) {
      const { asOf, ...rest } = page.completeness
      assert.ok(asOf >= before && asOf <= now())
      assert.ok(rest.oldestSourceAgeS! >= 0)
      assert.deepEqual(
        { ...rest, oldestSourceAgeS: 0 },
        {
          sources: 1,
          gaps: [{ source: 'bn-07', from: 2, to: 2 }],
          oldestSourceAgeS: 0,
          skewedSources: [],
          hotFrom: '2026-01-01T00:00:00.000000Z',
          archive: 'off',
        },
      )
    }
  })

  test('is asked for once by all who wait at the same time, and again when it is old', async (t) => {
    const { store } = await openStore(t, 'plain')
    let asked = 0
    const counting = {
      ...store,
      ask: ((op, question, ...rest) => {
        if (op.table === 'source') asked++
        return store.ask(op, question, ...rest)
      }) as typeof store.ask,
    }
    const options = { archive: 'off', skewLimitS: 60 } as const
    const fresh = new CompletenessCache(counting, { ...options, maxAgeMs: 60_000 })
    await Promise.all([fresh.get(), fresh.get(), fresh.get()])
    await fresh.get()
    assert.equal(asked, 1)
    const old = new CompletenessCache(counting, { ...options, maxAgeMs: 0 })
    await old.get()
    await old.get()
    assert.equal(asked, 3)
  })

  test('costs no more with thousands of epochs that are complete, and misses no change of one', async (t) => {
    const { store } = await openStore(t, 'plain')
    await run(
      store,
      `insert into source select 'bn-' || n % 7, 'old' || n, '{[1,3)}', now(), now(),
         now() - interval '1 day', 0, 0 from generate_series(1, 3000) n`,
    )
    await ingest(store, [from('bn-07', 1), from('bn-07', 3)])
    await noLag(store)
    const read: [string, number][] = []
    const counting = {
      ...store,
      ask: (async (op, question, ...rest) => {
        const rows = await store.ask(op, question, ...rest)
        if (op.table === 'source') read.push([op.operation, rows.length])
        return rows
      }) as typeof store.ask,
    }
    const options = { archive: 'off', skewLimitS: 60, maxAgeMs: 0 } as const
    const cache = new CompletenessCache(counting, options)
    const gapsOf = async () => (await cache.get()).gaps
    assert.deepEqual(await gapsOf(), [{ source: 'bn-07', from: 2, to: 2 }])
    assert.equal((await cache.get()).sources, 8)
    // A gap that closes, one that opens in an old epoch, and a sidecar that is new.
    await ingest(store, [from('bn-07', 2), from('bn-99', 1)])
    await ingest(store, [anEvent(now(), {}, { source: { id: 'bn-3', epoch: 'old3', seq: 9 } })])
    await noLag(store)
    assert.deepEqual(await gapsOf(), [{ source: 'bn-3', from: 3, to: 8 }])
    assert.equal((await cache.get()).sources, 9)
    assert.deepEqual(read, [
      ['listSources', 3001],
      ['listRecentSources', 1],
      ['listRecentSources', 3],
      ['listRecentSources', 3],
    ])
    const all = new CompletenessCache(counting, { ...options, allEveryMs: 0 })
    await all.get()
    await all.get()
    assert.deepEqual(read.slice(4), Array(2).fill(['listSources', 3002]))
  })

  test('is made of what is open: the newest spool of each, and the first with gaps', () => {
    const gaps = [{ source: 'a', from: 2, to: 3 }]
    const old = Array.from({ length: 50 }, (_, i) =>
      source('a', { epoch: `e${i}`, lastSeenAt: at(-100 - i), gaps: i % 2 ? gaps : [] }),
    )
    const [first, second] = [source('b', { lagS: 1 }), source('b', { lagS: 2 })]
    const open = keepOpen([first, ...old, second, source('a', { epoch: 'new' })])
    const shown = open.map(({ id, epoch }) => `${id} ${epoch}`)
    const twenty = Array.from({ length: 20 }, (_, i) => `a e${2 * i + 1}`)
    assert.deepEqual(shown, ['a new', ...twenty, 'b e'])
    assert.equal(open.at(-1), first)
  })
})
