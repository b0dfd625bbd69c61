import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import type { Event } from '../../src/core/event.ts'
import { fromMs } from '../../src/core/time.ts'
import { Baselines, makeBaselines } from '../../src/store/baselines.ts'
import { ingest } from '../../src/store/ingest.ts'
import { storeReader } from '../../src/store/store-reader.ts'
import { anEvent, openStore, run } from '../support/store.ts'

const { signal } = new AbortController()
const startMs = Date.now()
const ago = (s: number) => fromMs(startMs - s * 1000)

type Of = { recipe?: unknown; type?: 'job' | 'subjob'; version?: string; status?: 'failed' }

/** Runs that took 1 to n seconds, with two events each, of which the last is n seconds in. */
const runs = (n: number, { recipe, type = 'job', version = '1', status }: Of = {}): Event[] =>
  Array.from({ length: n }, (_, i) => {
    const id = crypto.randomUUID()
    const envelope = {
      app: { app_id: crypto.randomUUID(), name: 'etch', version },
      entity: { type, id, parent_id: type === 'subjob' ? crypto.randomUUID() : null },
    }
    return [
      anEvent(ago(7200), { metadata: { recipe } }, envelope),
      anEvent(
        ago(7200 - i - 1),
        { kind: 'finished', metrics: { duration_s: i + 1 }, ...(status && { status }) },
        envelope,
      ),
    ]
  }).flat()

const running = (startedAgoS: number, metadata: Record<string, unknown> = {}, version = '1') =>
  anEvent(
    ago(startedAgoS),
    { metadata },
    { app: { app_id: crypto.randomUUID(), name: 'etch', version } },
  )

describe('baselines', () => {
  test('say how long runs take, by their kind, from those that succeeded', async (t) => {
    const { store } = await openStore(t, 'plain')
    const all = [
      ...runs(101, { recipe: 'R1' }),
      ...runs(20, { recipe: 'R1', version: '2' }),
      ...runs(40),
      ...runs(30, { recipe: 'R1', type: 'subjob' }),
      // Too few; failed; a recipe that is not text counts as none.
      ...runs(19, { recipe: 'R2' }),
      ...runs(60, { recipe: 'R1', status: 'failed' }),
      ...runs(5, { recipe: { a: 1 } }),
    ]
    await ingest(store, all)
    assert.equal(await makeBaselines(store), 4)
    const rows = await run(
      store,
      `select entity_type::text as type, app_version as version, recipe, runs, p05_s, p50_s, p95_s, p99_s
       from baseline order by 1, 2, 3`,
    )
    assert.deepEqual(
      rows.map((row) => Object.values(row)),
      [
        ['j', '1', '', 45, rows[0]?.p05S, rows[0]?.p50S, rows[0]?.p95S, rows[0]?.p99S],
        ['j', '1', 'R1', 101, 6, 51, 96, 100],
        ['j', '2', 'R1', 20, rows[2]?.p05S, 10, rows[2]?.p95S, rows[2]?.p99S],
        ['s', '1', 'R1', 30, rows[3]?.p05S, 15, rows[3]?.p95S, rows[3]?.p99S],
      ],
    )
  })

  test('stay when nothing of a kind ran lately, and follow when something did', async (t) => {
    const { store } = await openStore(t, 'plain')
    await ingest(store, runs(20))
    await makeBaselines(store)
    await run(store, `update job set ended_at = ended_at - interval '8 days'`)
    assert.equal(await makeBaselines(store), 0)
    const p50 = async () => (await run(store, 'select p50_s from baseline'))[0]?.p50S
    assert.equal(await p50(), 10)
    await ingest(store, runs(40))
    await makeBaselines(store)
    assert.equal(await p50(), 20)
  })

  test('stay in force while they cannot be read again', async (t) => {
    const { store } = await openStore(t, 'plain')
    await ingest(store, runs(20))
    await makeBaselines(store)
    const baselines = new Baselines(store, 0)
    await baselines.refresh()
    await run(store, 'alter table baseline rename to elsewhere')
    await baselines.refresh()
    const kind = { entityType: 'job', siteId: 'fab1', appName: 'etch', appVersion: '1' } as const
    assert.equal(baselines.of({ ...kind, metadata: {} })?.p50S, 10)
    assert.equal(baselines.of({ ...kind, metadata: { recipe: 'R9' } }), undefined)
    await assert.rejects(new Baselines(store).refresh(), { code: 'unavailable' })
  })
})

describe('what the reader says of running jobs', () => {
  test('is stuck beyond three times the p99 of its kind and ten minutes, lost when silent', async (t) => {
    const { store } = await openStore(t, 'plain')
    // p99 of 1 to 401 seconds is 397: stuck beyond 1,191 s. The usual gap makes lost the same.
    await ingest(store, [...runs(401, { recipe: 'long' }), ...runs(20, { recipe: 'short' })])
    await makeBaselines(store)
    const jobs = {
      fine: running(1100, { recipe: 'long' }),
      stuck: running(1300, { recipe: 'long' }),
      // Three times its p99 is a minute: it has its ten minutes all the same.
      short: running(500, { recipe: 'short' }),
      shortStuck: running(700, { recipe: 'short' }),
      ownLimit: running(90, { recipe: 'long', max_duration_s: 60 }),
      nothingKnown: running(90_000, { recipe: 'new' }),
      beating: running(1100, { heartbeat_s: 3000, recipe: 'new' }),
      silent: running(1100, { heartbeat_s: 20, recipe: 'new' }),
      late: running(100, { due_at: ago(200) }),
      inTime: running(300, { due_at: ago(200) }),
    }
    await ingest(store, Object.values(jobs))
    const flagsAt = async (s: number) => {
      const reader = storeReader(store, { now: () => ago(-s) })
      const flags = Object.entries(jobs).map(async ([name, { entity }]) => {
        const { job } = (await reader.getJob(entity.id, signal))!
        const { stuck, lost, late } = job
        return [name, [stuck && 'stuck', lost && 'lost', late && 'late'].filter(Boolean).join()]
      })
      return Object.fromEntries(await Promise.all(flags))
    }
    const none = { fine: '', short: '', nothingKnown: '', beating: '', silent: '', inTime: '' }
    const stuck = { stuck: 'stuck', shortStuck: 'stuck', ownLimit: 'stuck', late: 'late' }
    assert.deepEqual(await flagsAt(0), { ...none, ...stuck })
    // An hour later nothing was heard: who has a usual gap or a heartbeat is lost, and not stuck.
    const later = await flagsAt(3600)
    const lost = { fine: 'lost', stuck: 'lost', short: 'lost', shortStuck: 'lost', beating: 'lost' }
    assert.deepEqual(later, {
      ...{ ...lost, silent: 'lost', ownLimit: 'lost', nothingKnown: '', late: 'late', inTime: '' },
    })
    // A job that ended is neither.
    const { entity, app } = jobs.stuck
    await ingest(store, [anEvent(ago(0), { kind: 'finished' }, { entity, app })])
    assert.equal((await flagsAt(3600)).stuck, '')
  })

  test('is the same in lists, of subjobs too', async (t) => {
    const { store } = await openStore(t, 'plain')
    await ingest(store, runs(20, { type: 'subjob', recipe: 'R1' }))
    await makeBaselines(store)
    const wafer = running(7000, { recipe: 'R1' })
    wafer.entity = { ...wafer.entity, type: 'subjob', parent_id: crypto.randomUUID() }
    await ingest(store, [wafer, running(7000, { recipe: 'R1' })])
    const reader = storeReader(store)
    const filter = { time: 'started', order: 'asc', limit: 10, status: ['running'] } as const
    const { items: subjobs } = await reader.findSubjobs(filter, signal)
    const { items: jobs } = await reader.findJobs(filter, signal)
    assert.deepEqual(
      subjobs.map(({ stuck }) => stuck),
      [true],
    )
    assert.deepEqual(
      jobs.map(({ stuck }) => stuck),
      [false],
      'there is no baseline of jobs',
    )
  })
})
