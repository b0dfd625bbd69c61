import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import {
  type CauseCount,
  type CausesFilter,
  causesQuestion,
  startRecent,
} from '../../src/core/questions/causes.ts'
import { fromMs } from '../../src/core/time.ts'
import type { Store } from '../../src/store/connect.ts'
import { ingest } from '../../src/store/ingest.ts'
import { storeReader } from '../../src/store/store-reader.ts'
import { arrayReader, emptyWorld } from '../support/array-reader.ts'
import { type Edition, needsTimescale } from '../support/database.ts'
import { anEvent, openStore } from '../support/store.ts'

const { signal } = new AbortController()
const startMs = Date.now() - 3_600_000
const at = (minutes: number) => fromMs(startMs + minutes * 60_000)
const filter: CausesFilter = { from: at(10), to: at(50), recentFrom: at(40), minFailed: 0 }

const word = (name: string, most: number) =>
  fc.option(
    fc.nat(most).map((n) => `${name}-0${n}`),
    { nil: undefined },
  )
/** A job as its only event reports it. */
const anEnd = fc.record({
  minute: fc.nat(59),
  status: fc.constantFrom(
    ...(['running', 'succeeded', 'succeeded', 'failed', 'failed', 'canceled', 'unknown'] as const),
  ),
  site: fc.constantFrom('fab1', 'fab2'),
  app: fc.constantFrom('apc', 'merge'),
  version: fc.constantFrom('', '1.0', '2.0'),
  error: fc.constantFrom(
    'SECS T3 timeout after 45 s',
    'SECS T3 timeout after 7 s',
    'SCN-05 is off',
  ),
  metadata: fc.record({
    tool: word('SCN', 2),
    chamber: word('C', 1),
    recipe: word('R', 2),
    host: word('h', 1),
    error_type: word('E', 1),
    exit_code: word('1', 1),
    queue: word('q', 1),
    priority: word('p', 1),
  }),
})
type End = { minute: number; status: string; site: string; app: string; version: string } & {
  error: string
  metadata: Record<string, string | undefined>
}

function toEvent({ minute, status, site, app, version, error, metadata }: End) {
  const failed = status === 'failed' ? { error } : {}
  const kind = status === 'running' ? 'progress' : 'finished'
  return anEvent(
    at(minute),
    { kind, status: status as 'failed', metadata: { ...metadata, ...failed } },
    { site_id: site, app: { app_id: crypto.randomUUID(), name: app, version } },
  )
}

const sorted = (rows: readonly CauseCount[]) =>
  rows.map((row) => JSON.stringify(Object.entries(row).sort())).sort()

async function countText(store: Store, error: string, key: string | null = null) {
  await ingest(store, [
    anEvent(
      at(20),
      { kind: 'error', status: 'failed', metadata: { error } },
      { site_id: `s${crypto.randomUUID()}`, entity: { business_key: key } },
    ),
  ])
}

function suite(edition: Edition) {
  test('counts ended and failed jobs of one window, as a naive count of the same jobs does', async (t) => {
    const { store } = await openStore(t, edition)
    const reader = storeReader(store)
    const ends = fc.sample(anEnd, { numRuns: 400, seed: 12 }) as End[]
    await ingest(store, ends.map(toEvent))
    const { items } = await reader.findJobs({ time: 'started', order: 'desc', limit: 1000 }, signal)
    const world = emptyWorld(() => at(60))
    world.jobs = items
    for (const asked of [filter, { ...filter, site: 'fab2' }, { ...filter, minFailed: 12 }]) {
      const site = 'site' in asked ? asked.site : undefined
      const of = { ...world, jobs: items.filter(({ siteId }) => siteId === (site ?? siteId)) }
      const found = await reader.ask(causesQuestion, asked, signal)
      assert.deepEqual(
        sorted(found),
        sorted(await arrayReader(of).ask(causesQuestion, asked, signal)),
      )
      assert.equal(found[0]?.fact, 'all')
    }
    const counts = await reader.ask(causesQuestion, filter, signal)
    assert.ok(counts.some(({ fact, of, value }) => fact === 'chamber' && of === 'SCN-01' && value))
  })

  test('of a site, for merging, has the values with most jobs, whether they failed or not', async (t) => {
    const { store } = await openStore(t, edition)
    const ends = Array.from({ length: 2100 }, (_, n) => ({
      ...{ minute: 20, status: 'failed', site: 'fab1', app: 'apc', version: '', error: 'x' },
      metadata: { host: `bad-${n}` },
    }))
    const good = { ...ends[0]!, status: 'succeeded', metadata: { host: 'good' } }
    await ingest(store, [...ends, good, good].map(toEvent))
    const counts = await storeReader(store).ask(causesQuestion, filter, signal)
    const host = counts.find(({ fact, value }) => fact === 'host' && value === 'good')
    assert.deepEqual([host?.ended, host?.failed], [2, 0])
    const ask = async (minFailed: number) => {
      const params = { ...filter, minFailed }
      const page = await storeReader(store).askPage(causesQuestion, params, signal)
      return [page.items.length, page.cut, page.partial]
    }
    assert.deepEqual(await ask(1), [2000, true, false], 'those with most failures, and says so')
    assert.equal((await ask(2))[1], false)
  })

  test('takes errors for one that differ in their numbers, and cuts no name at a digit', async (t) => {
    const { store } = await openStore(t, edition)
    const texts: [text: string, is: string, key?: string][] = [
      ['site 7 of 9 has no reading', 'site # of # has no reading'],
      ['SECS T3 timeout after 45.5 s on SCN-05', 'SECS T3 timeout after # s on SCN-05'],
      ['timeout after 30s', 'timeout after #s'],
      ['checksum: host 4f1c, tool 90ab', 'checksum: host #, tool #'],
      ['job 0193581e-7c42-7d10-9a35-6f0c41c2b7e8 gone', 'job # gone'],
      ['fault at 0xdeadbeef\n  at x:1', 'fault at #'],
      ['at 2026-03-01T12:00:00 it broke', 'at # it broke'],
      ['lot L26N4402.1 is on hold', 'lot # is on hold', 'L26N4402.1'],
      ['facade face added, W07 and BN-4f1c stay', 'facade face added, W07 and BN-4f1c stay'],
    ]
    for (const [text, , key] of texts) await countText(store, text, key)
    const counts = await storeReader(store).ask(causesQuestion, filter, signal)
    const found = counts.filter(({ fact }) => fact === 'error').map(({ value }) => value)
    assert.deepEqual(found.sort(), texts.map(([, is]) => is).sort())
  })
}

describe('what ended jobs share on plain PostgreSQL', () => suite('plain'))
describe('what ended jobs share on TimescaleDB', needsTimescale, () => suite('timescale'))

describe('what ended jobs share over several sites', () => {
  const aRow = fc
    .record({
      fact: fc.constantFrom('all', 'tool', 'version'),
      value: fc.constantFrom('', 'a', 'b'),
      of: fc.constantFrom(null, 'apc'),
      counts: fc.array(fc.nat(9), { minLength: 4, maxLength: 4 }),
    })
    .map(
      ({ fact, value, of, counts: [ended = 0, failed = 0, recentEnded = 0, recentFailed = 0] }) => {
        const row = { fact, value: fact === 'all' ? '' : value, of: fact === 'all' ? null : of }
        return { ...row, ended: ended + failed, failed, recentEnded, recentFailed } as CauseCount
      },
    )
  const aSite = fc.uniqueArray(aRow, {
    selector: ({ fact, value, of }) => `${fact}/${value}/${of}`,
  })

  test('adds up, whichever way the sites are grouped', () => {
    const merge = (...sites: CauseCount[][]) =>
      causesQuestion.merge(
        sites.map((items, i) => ({ site: `fab${i}`, items })),
        filter,
      )
    fc.assert(
      fc.property(aSite, aSite, aSite, (a, b, c) => {
        assert.deepEqual(merge(a, b, c), merge(merge(a, b), c))
        const total = (rows: CauseCount[]) => rows.reduce((sum, { ended }) => sum + ended, 0)
        assert.equal(total(merge(a, b, c)), total(a) + total(b) + total(c))
      }),
    )
  })

  test('counts the jobs of a site where a value never failed', () => {
    const row = { fact: 'tool', value: 'T', of: null, recentEnded: 0, recentFailed: 0 } as const
    const asked = { ...filter, minFailed: 3 }
    assert.equal(causesQuestion.forSite?.(asked).minFailed, 0)
    const [merged] = causesQuestion.merge(
      [
        { site: 'fab1', items: [{ ...row, ended: 10, failed: 4 }] },
        { site: 'fab2', items: [{ ...row, ended: 90, failed: 0 }] },
      ],
      asked,
    )
    assert.deepEqual([merged?.failed, merged?.ended], [4, 100])
  })
})

describe('the recent part of a window', () => {
  test('is its last twelfth, from 15 minutes to 6 hours, and never more than the window', () => {
    const minutes = (window: number) =>
      window - Math.round((Date.parse(startRecent(at(0), at(window))) - startMs) / 60_000)
    assert.deepEqual([10, 60, 360, 1440, 10_080].map(minutes), [10, 15, 30, 120, 360])
  })
})
