import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { setTimeout } from 'node:timers/promises'
import { maxPageBytes } from '../../src/core/answer-size.ts'
import type { Heartbeat } from '../../src/core/heartbeat.ts'
import type { Place } from '../../src/core/list-order.ts'
import { maxUndelivered, type SourceState, sourceStates } from '../../src/core/source-state.ts'
import { fromMs, type Micros } from '../../src/core/time.ts'
import { acceptSource } from '../../src/store/accept-source.ts'
import { CompletenessCache } from '../../src/store/completeness.ts'
import type { Store } from '../../src/store/connect.ts'
import { ingest } from '../../src/store/ingest.ts'
import { locks } from '../../src/store/locks.ts'
import { retireSources, trimSources } from '../../src/store/retire-sources.ts'
import { saveHeartbeat } from '../../src/store/source-state.ts'
import { listSources } from '../../src/store/sources.ts'
import { storeReader } from '../../src/store/store-reader.ts'
import { until } from '../support/processes.ts'
import { anEvent, openOn, openStore, run } from '../support/store.ts'

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
    const {
      items: [seven, eight],
    } = await listSources(store, {}, signal)
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
    assert.deepEqual((await listSources(store, {}, signal)).items[0]?.gaps, [])
  })

  test('count skipped numbers of a sidecar that catches up as on the way, but not forever', async (t) => {
    const { store } = await openStore(t, 'plain')
    const received_at = fromMs(Date.now() - 60_000)
    const behind = (seq: number) => ({ ...from('bn-07', seq), received_at })
    await ingest(store, [behind(1), behind(50_000), behind(50_002)])
    const gaps = async () => (await listSources(store, {}, signal)).items[0]?.gaps
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
        from generate_series(1::int8, 2500) i)`,
    )
    await ingest(store, [from('bn-07', 90_001), from('bn-07', 5001), from('bn-07', 5)])
    const {
      items: [source],
    } = await listSources(store, {}, signal)
    assert.deepEqual([source?.lastSeq, source?.received], [5001, 2502])
  })

  test('name at most a hundred gaps of one, the oldest', async (t) => {
    const { store } = await openStore(t, 'plain')
    await ingest(
      store,
      Array.from({ length: 150 }, (_, i) => from('bn-07', 2 * (i + 1))),
    )
    await noLag(store)
    const {
      items: [source],
    } = await listSources(store, {}, signal)
    assert.equal(source?.gaps.length, 100)
    assert.deepEqual(source?.gaps[0], { source: 'bn-07', from: 1, to: 1 })
    assert.equal(source?.received, 150)
  })

  test('say how far a clock runs ahead, and nothing of a clock for replayed history', async (t) => {
    const { store } = await openStore(t, 'plain')
    const ahead = fromMs(Date.now() + 300_000)
    await ingest(store, [from('bn-07', 1, {}, ahead)])
    await ingest(store, [{ ...from('bn-08', 1, {}, fromMs(0)), historical: true }])
    const {
      items: [seven, eight],
    } = await listSources(store, {}, signal)
    assert.ok(Math.abs(seven!.clockOffsetS - 300) < 30, String(seven?.clockOffsetS))
    assert.equal(eight?.clockOffsetS, 0)
    assert.equal(seven!.lagS, null, 'what waits there is not known')
  })

  test('name the same clock whichever of two local APIs stored the last batch, and after a restart', async (t) => {
    const { store, url } = await openStore(t, 'plain')
    const [one, two] = [openOn(t, url), openOn(t, url)]
    const clocks = async () => {
      const [source] = (await listSources(store, {}, signal)).items
      return [source?.clockOf, Math.round((source?.clockOffsetS ?? 0) / 100) * 100]
    }
    let seq = 0
    /** An event of an app, received some seconds ago, whose time was off by so much. */
    const send = (by: Store, name: string, agoS: number, offsetS: number) => {
      const received_at = fromMs(Date.now() - agoS * 1000)
      const at = fromMs(Date.now() + (offsetS - agoS) * 1000)
      const event = from('bn-07', ++seq, {}, at)
      return ingest(by, [{ ...event, app: { ...event.app, name }, received_at }])
    }
    // One is behind in all events, which one process received; a single late event would say nothing.
    for (let i = 0; i < 9; i++) await send(one, 'litho', 430 - i * 30, -1200)
    assert.deepEqual(await clocks(), ['litho', -1200])
    for (let i = 0; i < 3; i++) await send(two, 'etch', 190 - i, -0.1)
    assert.deepEqual(await clocks(), ['litho', -1200], 'the other process has not seen it')
    const restarted = openOn(t, url)
    await send(restarted, 'etch', 180, -0.1)
    assert.deepEqual(await clocks(), ['litho', -1200], 'it has seen nothing yet')
    // Its clock was set, and all that it sends now comes to the other.
    for (let i = 0; i < 6; i++) await send(two, 'litho', 150 - i * 25, -0.1)
    assert.ok((await clocks())[1] === 0)
    await setTimeout(1100)
    await send(one, 'etch', 1, -0.1)
    assert.ok((await clocks())[1] === 0, 'what it saw before is over')
  })
})

describe('what an answer may be missing', () => {
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
          sourcesReporting: 0,
          sourcesSilent: 0,
          sourcesGone: 0,
          silentSources: [],
          waiting: 0,
          missing: 1,
          gaps: [{ source: 'bn-07', from: 2, to: 2 }],
          oldestSourceAgeS: 0,
          skewedSources: [],
          hotFrom: '2026-01-01T00:00:00.000000Z',
          archive: 'off',
          archiveSearchedFrom: null,
          archiveMissing: [],
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
        if (op.operation === 'readCompleteness') asked++
        return store.ask(op, question, ...rest)
      }) as typeof store.ask,
    }
    const options = { archive: 'off' } as const
    const fresh = new CompletenessCache(counting, { ...options, maxAgeMs: 60_000 })
    await Promise.all([fresh.get(), fresh.get(), fresh.get()])
    await fresh.get()
    assert.equal(asked, 1)
    const old = new CompletenessCache(counting, { ...options, maxAgeMs: 0 })
    await old.get()
    await old.get()
    assert.equal(asked, 3)
  })
})

/** A heartbeat that was sent `lateS` before it comes. */
const said = (id: string, more: Partial<Heartbeat> = {}, lateS = 0): [Heartbeat, Micros] => {
  const receivedAt = Date.now()
  const at = fromMs(receivedAt - lateS * 1000)
  return [
    {
      ...{ source: { id, epoch: 'e1', seq: 0 }, at, waiting: 0, oldest_at: null, rejects: 0 },
      ...{ sinks: [], version: '1' },
      ...more,
    },
    fromMs(receivedAt),
  ]
}
const stateOf = async (store: Store, id: string) =>
  (await listSources(store, { states: sourceStates })).items.find((one) => one.id === id)?.state

describe('what a sidecar says', () => {
  test('is believed of its later opening, and not of what was sent before a goodbye', async (t) => {
    const { store } = await openStore(t, 'plain')
    const epoch = (name: string) => ({ source: { id: 'bn-07', epoch: name, seq: 0 } })
    await saveHeartbeat(store, ...said('bn-07', { ...epoch('e2'), waiting: 5 }))
    await saveHeartbeat(store, ...said('bn-07', { ...epoch('e1'), waiting: 9 }))
    const {
      items: [source, ...others],
    } = await listSources(store, {})
    assert.deepEqual([source?.epoch, source?.waiting, others], ['e2', 5, []])
    await saveHeartbeat(store, ...said('bn-07', { ...epoch('e2'), goodbye: true }))
    await saveHeartbeat(store, ...said('bn-07', { ...epoch('e2'), waiting: 5 }, 1))
    assert.equal(await stateOf(store, 'bn-07'), 'gone')
    await saveHeartbeat(store, ...said('bn-07', epoch('e3')))
    assert.equal(await stateOf(store, 'bn-07'), 'reporting')
  })

  test('tells its clock by two heartbeats that say the same, and not by one that was late', async (t) => {
    const { store } = await openStore(t, 'plain')
    const skewed = async () => {
      const cache = new CompletenessCache(store, { archive: 'off', maxAgeMs: 0 })
      return (await cache.get()).skewedSources
    }
    await saveHeartbeat(store, ...said('late', {}))
    await saveHeartbeat(store, ...said('late', {}, 400))
    await saveHeartbeat(store, ...said('behind', {}, 1200))
    assert.deepEqual(await skewed(), [])
    await saveHeartbeat(store, ...said('behind', {}, 1203))
    await saveHeartbeat(store, ...said('ahead', {}, -90))
    await saveHeartbeat(store, ...said('year-2000', {}, 26 * 365 * 86_400))
    assert.deepEqual(await skewed(), ['ahead', 'behind', 'year-2000'])
  })

  test('keeps no more sources that never delivered than a bound', async (t) => {
    const { store } = await openStore(t, 'plain')
    await run(
      store,
      `insert into source_state (source_id, epoch, heard_at)
       select 'made-up-' || n, 'e', now() from generate_series(1, ${maxUndelivered}) n`,
    )
    await assert.rejects(saveHeartbeat(store, ...said('bn-07')), /never delivered an event/)
    await saveHeartbeat(store, ...said('made-up-1'))
    await ingest(store, [from('bn-07', 1)])
    await saveHeartbeat(store, ...said('bn-07'))
    assert.equal(await stateOf(store, 'bn-07'), 'reporting')
  })

  test('waits for no batch that waits, also when that is the first in a while', async (t) => {
    const { store, url } = await openStore(t, 'plain')
    const other = openOn(t, url)
    await ingest(store, [from('bn-07', 1)])
    await run(store, "update source_state set delivered_at = now() - interval '1 minute'")
    let waiting: Promise<unknown> = Promise.resolve()
    await store.begin({ operation: 'test', table: 'source' }, async (tx) => {
      await tx`select pg_advisory_xact_lock(${locks.live})`
      waiting = ingest(other, [from('bn-07', 2)])
      await until('the batch to wait', async () => {
        const [row] = await run(
          store,
          "select count(*)::int as n from pg_stat_activity where wait_event = 'advisory' and query ~ 'advisory'",
        )
        return Number(row?.n) > 0
      })
      await saveHeartbeat(store, ...said('bn-07', { waiting: 3 }))
    })
    await waiting
    const [row] = await run(
      store,
      "select delivered_at > now() - interval '30 seconds' as noted from source_state",
    )
    assert.equal(row?.noted, true)
  })

  test('of another living sidecar with the same id is refused, and shown as trouble', async (t) => {
    const { store } = await openStore(t, 'plain')
    const epoch = (name: string) => ({ source: { id: 'bn-07', epoch: name, seq: 0 } })
    const trouble = async () =>
      (await listSources(store, { trouble: true })).items.map((one) => [one.epoch, one.trouble])
    await saveHeartbeat(store, ...said('bn-07', epoch('e1')))
    await saveHeartbeat(store, ...said('bn-07', epoch('e2')))
    // What was under way when the later one started.
    await saveHeartbeat(store, ...said('bn-07', epoch('e1')))
    assert.deepEqual(await trouble(), [])
    await run(store, "update source_state set epoch_since = now() - interval '1 minute'")
    await assert.rejects(saveHeartbeat(store, ...said('bn-07', epoch('e1'))), /another sidecar/)
    await saveHeartbeat(store, ...said('bn-07', epoch('e2')))
    const [[shown, why] = []] = await trouble()
    assert.equal(shown, 'e2')
    assert.match(String(why), /another sidecar reports under this id \(epoch e1\)/)
    await run(store, "update source_state set twin_at = now() - interval '1 minute'")
    assert.deepEqual(await trouble(), [])
  })

  test('no more is followed by its openings that only deliver', async (t) => {
    const { store } = await openStore(t, 'plain')
    const deliver = (epoch: string, seq: number) =>
      ingest(store, [
        anEvent(now(), {}, { received_at: now(), source: { id: 'bn-07', epoch, seq } }),
      ])
    await saveHeartbeat(store, ...said('bn-07'))
    await run(store, "update source_state set heard_at = now() - interval '2 minutes'")
    await deliver('e2', 1)
    const { items } = await listSources(store, {})
    assert.deepEqual(
      items.map(({ epoch, state }) => [epoch, state]),
      [['e2', 'unknown']],
    )
  })

  test('waits for no batch of the same source, and no batch for it', async (t) => {
    const { store } = await openStore(t, 'plain')
    await ingest(store, [from('bn-07', 1)])
    await store.begin({ operation: 'test', table: 'source' }, async (tx) => {
      await tx`update source set lag_s = 1 where source_id = 'bn-07'`
      await saveHeartbeat(store, ...said('bn-07', { waiting: 3 }))
    })
    await store.begin({ operation: 'test', table: 'source' }, async (tx) => {
      await tx`select from source_state where source_id = 'bn-07' for update`
      await ingest(store, [from('bn-07', 2)])
    })
    assert.equal((await listSources(store, {})).items[0]?.waiting, 3)
  })
})

describe('a source retires', () => {
  const age = (store: Store, days: number) =>
    run(
      store,
      `update source_state set heard_at = heard_at - interval '${days} days',
         delivered_at = delivered_at - interval '${days} days'`,
    )

  test('a day after its goodbye, a week after its last word; never while events waited there', async (t) => {
    const { store } = await openStore(t, 'plain')
    await ingest(store, [from('older', 1)])
    await saveHeartbeat(store, ...said('gone', { goodbye: true }))
    await saveHeartbeat(store, ...said('empty'))
    await saveHeartbeat(store, ...said('full', { waiting: 500 }))
    const states = async () => {
      await retireSources(store)
      const { items: found } = await listSources(store, { states: sourceStates })
      return Object.fromEntries(found.map(({ id, state }) => [id, state]))
    }
    assert.deepEqual(await states(), {
      ...{ older: 'unknown', gone: 'gone', empty: 'reporting', full: 'reporting' },
    })
    await age(store, 2)
    assert.deepEqual(await states(), {
      ...{ older: 'unknown', gone: 'retired', empty: 'silent', full: 'silent' },
    })
    await age(store, 6)
    assert.deepEqual(await states(), {
      ...{ older: 'retired', gone: 'retired', empty: 'retired', full: 'silent' },
    })
    await ingest(store, [from('older', 2)])
    await saveHeartbeat(store, ...said('empty'))
    assert.deepEqual(await states(), {
      ...{ older: 'unknown', gone: 'retired', empty: 'reporting', full: 'silent' },
    })
  })

  test('and its gaps are still missing, until they are accepted', async (t) => {
    const { store } = await openStore(t, 'plain')
    await ingest(store, [from('bn-07', 1), from('bn-07', 4)])
    await noLag(store)
    await age(store, 8)
    await retireSources(store)
    const {
      items: [source],
    } = await listSources(store, {})
    assert.deepEqual([source?.state, source?.missing], ['retired', 2])
    const by = { actor: 'Kim', address: null }
    await assert.rejects(
      acceptSource(store, 'bn-07', { ...by, reason: 'x', expected: 3 }),
      /2 events are missing now, not 3/,
    )
    const done = await acceptSource(store, 'bn-07', { ...by, reason: 'x', expected: 2 })
    assert.deepEqual(done, { accepted: 2, retired: false })
    assert.deepEqual((await listSources(store, {})).items, [])
  })

  test('and no longer counts as trouble, whatever its last word was', async (t) => {
    const { store } = await openStore(t, 'plain')
    await saveHeartbeat(
      store,
      ...said('bn-07', { waiting: 5, oldest_at: fromMs(Date.now() - 3_600_000) }),
    )
    await age(store, 1)
    const trouble = async () => (await listSources(store, { trouble: true })).items.length
    assert.equal(await trouble(), 1)
    await acceptSource(store, 'bn-07', { actor: 'Kim', address: null, reason: 'x' })
    assert.equal(await trouble(), 0)
  })

  test('and leaves after 400 days of silence, whatever is missing of it', async (t) => {
    const { store } = await openStore(t, 'plain')
    await ingest(store, [from('bn-07', 3), from('bn-08', 3)])
    const silentFor = async (id: string, days: number) => {
      const since = `now() - interval '${days} days'`
      await run(store, `update source set last_stored_at = ${since} where source_id = '${id}'`)
      await run(store, `update source_state set delivered_at = ${since} where source_id = '${id}'`)
    }
    await silentFor('bn-07', 401)
    await silentFor('bn-08', 399)
    await trimSources(store)
    const left = await run(
      store,
      'select source_id from source union all select source_id from source_state',
    )
    assert.deepEqual(
      left.map(({ sourceId }) => sourceId),
      ['bn-08', 'bn-08'],
    )
    // The time is the trusted one, not that of the clock.
    await run(store, `update horizon set trusted_at = trusted_at + interval '2 days'`)
    await trimSources(store)
    assert.deepEqual((await listSources(store, {}, signal)).items, [])
  })

  test('numbers that came twice are accepted as well', async (t) => {
    const { store } = await openStore(t, 'plain')
    await ingest(store, [from('bn-07', 1)])
    await run(store, "update source set reused = '{[1,2)}', reused_at = now()")
    const trouble = async () => (await listSources(store, { trouble: true })).items.length
    assert.equal(await trouble(), 1)
    const by = { actor: 'Kim', address: null, reason: 'x' }
    assert.deepEqual(await acceptSource(store, 'bn-07', by), { accepted: 0, retired: false })
    assert.equal(await trouble(), 0)
    await assert.rejects(acceptSource(store, 'bn-07', by), /nothing to accept/)
  })

  test('of a state and in trouble are those that are both', async (t) => {
    const { store } = await openStore(t, 'plain')
    await ingest(store, [from('lossy', 1), from('lossy', 4)])
    await noLag(store)
    await saveHeartbeat(store, ...said('quiet'))
    await age(store, 1)
    const found = async (states: SourceState[]) =>
      (await listSources(store, { trouble: true, states })).items.map(({ id }) => id)
    assert.deepEqual(await found(['unknown']), ['lossy'])
    assert.deepEqual(await found(['silent']), ['quiet'])
  })

  test('that still delivers does not retire with its loss; the loss of each opening is told', async (t) => {
    const { store } = await openStore(t, 'plain')
    const lose = (epoch: string) =>
      ingest(
        store,
        [1, 4].map((seq) =>
          anEvent(now(), {}, { received_at: now(), source: { id: 'bn-07', epoch, seq } }),
        ),
      )
    await lose('e1')
    await lose('e2')
    await noLag(store)
    const by = { actor: 'Kim', address: null, reason: 'x' }
    await assert.rejects(
      acceptSource(store, 'bn-07', { ...by, expected: 2 }),
      /4 events are missing now, not 2 \(2 openings: 2 of e1, 2 of e2\)/,
    )
    assert.deepEqual(await acceptSource(store, 'bn-07', by), { accepted: 4, retired: false })
  })

  test('lists come in pages, in one order, each source once', async (t) => {
    const { store } = await openStore(t, 'plain')
    await run(
      store,
      `insert into source select 'a-' || n % 40, 'e' || n, '{[1,3)}', now(), now(), now(), 0, 0
       from generate_series(1, 250) n`,
    )
    await saveHeartbeat(store, ...said('Z'))
    const seen: string[] = []
    for (let after: Place | undefined; ; ) {
      const page = await listSources(store, { states: sourceStates, limit: 17 }, signal, after)
      seen.push(...page.items.map(({ id, epoch }) => `${id}\0${epoch}`))
      if (page.next === null) break
      assert.equal(page.items.length, 17)
      after = page.next
    }
    assert.equal(seen.length, 251)
    assert.deepEqual(seen, [...new Set(seen)].sort())
  })

  test('lists come in pages by their bytes as well, when gaps are many', async (t) => {
    const { store } = await openStore(t, 'plain')
    const id = 'ü'.repeat(128)
    await run(
      store,
      `insert into source select '${id}', to_char(n, 'FM0000'),
         (select range_agg(int8range(2 * i, 2 * i + 1)) from generate_series(1::int8, 100) i),
         now(), now(), now() - interval '1 hour', 0, 0
       from generate_series(1, 600) n`,
    )
    const seen: string[] = []
    let after: Place | undefined
    do {
      const page = await listSources(store, { states: sourceStates, limit: 10_000 }, signal, after)
      const bytes = Buffer.byteLength(JSON.stringify(page.items))
      assert.ok(bytes <= maxPageBytes + page.items.length + 1, `${bytes} bytes`)
      if (page.next) assert.ok(bytes > maxPageBytes * 0.95, `a page that is not full: ${bytes}`)
      seen.push(...page.items.map(({ epoch }) => epoch))
      after = page.next ?? undefined
    } while (after)
    assert.equal(new Set(seen).size, 600)
    assert.equal(seen.length, 600)
  })
})
