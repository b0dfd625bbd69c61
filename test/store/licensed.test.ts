import assert from 'node:assert/strict'
import { describe, type TestContext, test } from 'node:test'
import { pino } from 'pino'
import { fromMs } from '../../src/core/time.ts'
import { ingest } from '../../src/store/ingest.ts'
import { migrate } from '../../src/store/migrate.ts'
import { compressFrozen } from '../../src/store/rollups/compress.ts'
import { runRollups } from '../../src/store/rollups/run-rollups.ts'
import { findStats } from '../../src/store/stats.ts'
import { emptyDatabase, needsTimescale } from '../support/database.ts'
import { until } from '../support/processes.ts'
import { openRollups } from '../support/rollups.ts'
import { anEvent, count, openOn, openStore, run } from '../support/store.ts'
import { needsTsl, startTsl } from '../support/tsl.ts'

/* What TimescaleDB does only under its Timescale licence. */

const log = pino({ level: 'silent' })
const { signal } = new AbortController()

const levels = ['daily', 'weekly', 'monthly'] as const
const days = ['2024-02-29', '2024-03-01', '2025-12-29', '2026-01-01', '2026-03-02']
const history = days.flatMap((day, n) => [
  anEvent(`${day}T10:00:00.000000Z`, { kind: 'finished', metrics: { duration_s: n } }),
  anEvent(`${day}T23:59:59.000000Z`),
])

const kinds = `select relname as name, relkind as kind from pg_class
  where relname in ('job_stats_daily', 'job_stats_weekly', 'job_stats_monthly') and relnamespace = 'public'::regnamespace order by 1`

async function licensed(t: TestContext) {
  const { url } = await startTsl(t)
  const { edition } = await migrate(url, log)
  assert.equal(edition.licence, 'tsl')
  return { url, store: openOn(t, url) }
}

async function readLevels(t: TestContext, url: string) {
  const store = openOn(t, url)
  const rows = []
  for (const level of levels) {
    rows.push(
      await run(
        store,
        `select bucket, entity_type, site_id, app_name, status, n, timed, sum_s, min_s, max_s, histogram, failed, waits
         from job_stats_${level} order by 1, 2, 3, 4, 5`,
      ),
    )
  }
  return rows
}

describe('under the Timescale licence', needsTsl, () => {
  test('days, weeks and months are continuous aggregates, which migrate makes once', async (t) => {
    const { url, store } = await licensed(t)
    const shown = await run(store, kinds)
    assert.deepEqual(
      shown.map(({ kind }) => kind),
      ['v', 'v', 'v'],
    )
    assert.deepEqual((await migrate(url, log)).applied, [])
    assert.deepEqual(await run(store, kinds), shown)
  })

  test('they have the rows that the tables have elsewhere, and follow a change of long ago', async (t) => {
    const { url, store } = await licensed(t)
    const plain = await openStore(t, 'plain')
    const both = [
      { store, ...(await openRollups(t, url)), url },
      { ...plain, ...(await openRollups(t, plain.url)) },
    ]
    const late = anEvent('2024-02-29T10:20:00.000000Z', {
      kind: 'finished',
      metrics: { duration_s: 900 },
    })
    for (const events of [history, [late]]) {
      for (const one of both) {
        await ingest(one.store, events)
        await one.make()
      }
      const [ours, theirs] = await Promise.all(both.map((one) => readLevels(t, one.url)))
      assert.ok(ours!.every((rows) => rows.length > 0))
      assert.deepEqual(ours, theirs)
    }
    const filter = {
      from: '2024-01-01T00:00:00.000000Z',
      to: '2026-04-01T00:00:00.000000Z',
      groupBy: [],
    }
    for (const bucket of ['day', 'week', 'month'] as const) {
      const answers = await Promise.all(
        both.map((one) => findStats(one.store, { ...filter, bucket }, signal)),
      )
      assert.ok(answers[0]!.length > 2)
      assert.deepEqual(answers[0], answers[1])
    }
  })

  test('rollups of before the licence are made again in its form', async (t) => {
    const { url, store } = await licensed(t)
    for (const level of ['monthly', 'weekly', 'daily']) {
      await run(store, `drop materialized view job_stats_${level}`)
    }
    for (const level of levels) {
      await run(store, `create table job_stats_${level} (like job_stats_hourly including all)`)
    }
    const rollups = await openRollups(t, url)
    await ingest(store, history)
    await rollups.make()
    const before = await readLevels(t, url)
    await rollups.lease.close()
    const stop = new AbortController()
    const loop = runRollups(url, { log, signal: stop.signal, everyMs: 50 })
    await until('a round', () => loop.state().lastRunAt !== null)
    stop.abort()
    await loop.done
    assert.equal((await run(store, kinds))[0]?.kind, 'v')
    assert.deepEqual(await readLevels(t, url), before)
  })

  test('chunks of events are compressed once they are frozen, and found as before', async (t) => {
    const { store } = await licensed(t)
    const ago = (hours: number) => fromMs(Date.now() - hours * 3_600_000)
    const events = [50, 40, 1].map((hours) => anEvent(ago(hours)))
    await run(store, `update horizon set frozen_before = now() - interval '60 hours'`)
    await ingest(store, events)
    await run(store, `update horizon set frozen_before = now() - interval '45 hours'`)
    assert.equal(await compressFrozen(store, signal), 1)
    assert.equal(await compressFrozen(store, signal), 0)
    assert.equal(await count(store, 'event'), 3)
    // A repeat of one that lies in it.
    const { verdicts } = await ingest(store, events)
    assert.deepEqual(verdicts, ['duplicate', 'duplicate', 'duplicate'])
    assert.equal(await count(store, 'event_late'), 0)
  })
})

test(
  'a database that lost the Timescale licence is refused, with the remedy',
  needsTimescale,
  async (t) => {
    const { url } = await emptyDatabase(t, { edition: 'timescale' })
    await migrate(url, log)
    const store = openOn(t, url)
    // As a continuous aggregate shows itself.
    await run(store, 'drop table job_stats_daily')
    await run(store, 'create view job_stats_daily as select * from job_stats_hourly')
    await assert.rejects(migrate(url, log), {
      code: 'conflict',
      message: /was used under the Timescale licence.*set timescaledb\.license = 'timescale'/,
    })
  },
)
