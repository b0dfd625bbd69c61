import assert from 'node:assert/strict'
import { describe, type TestContext, test } from 'node:test'
import { pino } from 'pino'
import { fromMs } from '../../src/core/time.ts'
import type { Store } from '../../src/store/connect.ts'
import { ingest } from '../../src/store/ingest.ts'
import { runMaintenance, trimJobs, trimLive } from '../../src/store/maintenance.ts'
import { type Edition, needsTimescale } from '../support/database.ts'
import { until } from '../support/processes.ts'
import { anEvent, count, openStore, run } from '../support/store.ts'

const log = pino({ level: 'silent' })
const { signal } = new AbortController()

function start(t: TestContext, url: string) {
  const stop = new AbortController()
  const maintenance = runMaintenance(url, {
    ...{ log, signal: stop.signal, freezeAfterHours: 48, liveKeepHours: 24, everyMs: 30 },
    // Jobs of an archive wait for it: test/archive/jobs.test.ts.
    ...{ archive: false, retentionHours: 72 },
  })
  const end = async () => {
    stop.abort()
    await maintenance.done
  }
  t.after(end)
  return { ...maintenance, end }
}

const idle = (sql: string, n: number, age: string) => `
  insert into ${sql} (${sql}_id, first_event_at, last_event_at, last_event_key, app_id, app_name,
    app_version, site_id, event_count, error_count, updated_at)
  select gen_random_uuid(), t, t, gen_random_uuid(), gen_random_uuid(), 'etch', '', 'fab1', 1, 0, t
  from (select now() - interval '${age}' - n * interval '1 s' as t from generate_series(1, ${n}) n) x`

/** As a round does: ages are measured from the time of the last one. */
const passTime = (store: Store) => run(store, 'update horizon set trusted_at = now()')

function suite(edition: Edition) {
  test('moves the horizon, trims and measures on one replica only', async (t) => {
    const { store, url } = await openStore(t, edition)
    await run(store, `update horizon set frozen_before = '2026-01-01', open_until = '2026-01-02'`)
    await run(store, idle('job', 3, '91 days'))
    await run(
      store,
      `insert into clock_correction values (gen_random_uuid(), now(), now(), now() - interval '91 days')`,
    )
    await run(
      store,
      `insert into sender_clock values ('gone', gen_random_uuid(), '{}', now() - interval '3 hours')`,
    )
    // Of a sidecar that is gone the newest epoch stays, and one of which events are missing.
    await run(
      store,
      `insert into source (source_id, epoch, received, last_at, last_received_at, last_stored_at, lag_s, clock_offset_s)
       select 'gone', epoch, received::int8multirange, now(), now(), now() - days * interval '1 day', 0, 0
       from (values ('a', '{[1,3)}', 93), ('b', '{[1,3),[4,5)}', 92), ('c', '{[1,3)}', 91))
         as old (epoch, received, days)`,
    )
    await run(
      store,
      `insert into app values ('fab1', 'old', gen_random_uuid(), '', now(), now() - interval '91 days')`,
    )
    const replicas = [start(t, url), start(t, url)]
    await until('a round', () => replicas.some(({ state }) => state().lastRunAt !== null))
    await until(
      'the other to have asked',
      () => replicas.filter(({ state }) => state().here).length === 1,
    )
    const [row] = await run(
      store,
      `select frozen_before > now() - interval '49 hours' as frozen, open_until > now() as open from horizon`,
    )
    assert.deepEqual(row, { frozen: true, open: true })
    await ingest(store, [anEvent(fromMs(Date.now()))])
    assert.equal(await count(store, 'event'), 1, 'there is a place for what happens now')
    for (const table of ['clock_correction', 'sender_clock', `app where name = 'old'`]) {
      assert.equal(await count(store, table), 0, table)
    }
    assert.deepEqual(
      [...(await run(store, 'select epoch from source order by 1'))],
      [{ epoch: 'b' }, { epoch: 'c' }],
    )
    assert.equal(await count(store, 'job'), 1)
  })

  test('passes to another replica when the one that did it is gone', async (t) => {
    const { store, url } = await openStore(t, edition)
    const first = start(t, url)
    await until('the first', () => first.state().here)
    const second = start(t, url)
    await first.end()
    await until('the second', () => second.state().here)
    // And when the connection that holds the lock is lost, one of them takes it again.
    await run(
      store,
      `select pg_terminate_backend(pid) from pg_stat_activity
       where application_name = 'wafermon maintenance' and datname = current_database()`,
    )
    const before = second.state().lastRunAt
    await until('another round', () => second.state().here && second.state().lastRunAt !== before)
  })
}

describe('maintenance on plain PostgreSQL', () => suite('plain'))
describe('maintenance on TimescaleDB', needsTimescale, () => suite('timescale'))

describe('a task of maintenance', () => {
  test('that fails is reported, the others continue, and it is forgotten once it works', async (t) => {
    const { store, url } = await openStore(t, 'plain')
    await run(store, 'alter table live_batch rename to elsewhere')
    await run(store, idle('job', 1, '91 days'))
    const { state } = start(t, url)
    const failed = await until('a failure', () => state().failed[0])
    assert.equal(failed.task, 'live')
    assert.match(failed.why, /lacks a table; run wafermon migrate/)
    await until('the jobs all the same', async () => (await count(store, 'job')) === 0)
    await run(store, 'alter table elsewhere rename to live_batch')
    await until('no failure', () => state().failed.length === 0)
  })

  test('keeps live positions for as long as a reader may resume, and always the newest', async (t) => {
    const { store } = await openStore(t, 'plain')
    await run(
      store,
      `insert into live_batch (pos, batch, n, at_min, at_max, stored_at)
       select i, i, 1, now(), now(), now() - (12000.5 - i) * interval '30 s' from generate_series(1, 12000) i`,
    )
    await passTime(store)
    assert.equal(await trimLive(store, 24, signal), 12_000 - 2880)
    assert.deepEqual((await run(store, 'select min(pos) as a, max(pos) as z from live_batch'))[0], {
      a: 9121,
      z: 12_000,
    })
    assert.equal(await trimLive(store, 24, signal), 0)
    await run(store, `update live_batch set stored_at = now() - interval '9 days'`)
    assert.equal(await trimLive(store, 24, signal), 2879)
    assert.deepEqual([...(await run(store, 'select pos from live_batch'))], [{ pos: 12_000 }])
  })

  test('deletes jobs without an event for 90 days by either clock, in batches', async (t) => {
    const { store } = await openStore(t, 'plain')
    await run(store, idle('job', 6000, '90 days'))
    await run(store, idle('subjob', 2, '100 days'))
    await run(store, idle('job', 1, '89 days'))
    // History that was replayed today stays: it was heard of.
    await ingest(store, [anEvent('2017-01-01T00:00:00.000000Z', {}, { historical: true })])
    const newest = (
      await run(
        store,
        `select max(last_event_at) as at from job where last_event_at < now() - interval '90 days' and updated_at < now() - interval '90 days'`,
      )
    )[0]?.at
    await passTime(store)
    assert.equal(await trimJobs(store, signal), 6002)
    assert.deepEqual([await count(store, 'job'), await count(store, 'subjob')], [2, 0])
    assert.equal((await run(store, 'select jobs_from as at from horizon'))[0]?.at, newest)
    assert.equal(await trimJobs(store, signal), 0)
  })

  test('stops between batches on a signal', async (t) => {
    const { store } = await openStore(t, 'plain')
    await run(store, idle('job', 5001, '91 days'))
    assert.equal(await trimJobs(store, AbortSignal.abort()), 0)
    assert.equal(await count(store, 'job'), 5001)
  })
})
