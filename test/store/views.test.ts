import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { fromMs } from '../../src/core/time.ts'
import { ingest } from '../../src/store/ingest.ts'
import { type Edition, needsTimescale } from '../support/database.ts'
import { openRollups } from '../support/rollups.ts'
import { anEvent, openStore, run } from '../support/store.ts'
import { callViews } from '../support/views.ts'

/* The views and functions for people who read SQL. */

const ago = (hours: number) => fromMs(Date.now() - hours * 3_600_000)

function ended(hours: number, took: number, failed = false) {
  const error = failed ? { error: 'chamber is cold' } : {}
  return anEvent(ago(hours), {
    kind: 'finished',
    status: failed ? 'failed' : 'succeeded',
    metrics: { duration_s: took },
    metadata: { tool: 'SCN-1', recipe: 'R1', ...error },
  })
}

function suite(edition: Edition) {
  test('are each called, and count jobs', async (t) => {
    const { store, url } = await openStore(t, edition)
    const failures = [ended(1.5, 3, true), ended(1, 5, true), ended(2, 4, true)]
    const slow = ended(3, 900)
    await ingest(store, [...failures, slow, ended(1, 20), ended(50, 70), anEvent(ago(0.1))])
    await run(
      store,
      `insert into baseline (entity_type, site_id, app_name, app_version, recipe, runs, p05_s, p50_s, p95_s, p99_s, gap_s)
       values ('j', 'fab1', 'etch', '1', 'R1', 20, 1, 45, 90, 100, 10)`,
    )
    await run(store, `update app set last_seen_at = now() - interval '31 minutes'`)
    const { make } = await openRollups(t, url)
    await make()
    const rows = await callViews(store)
    const [health] = rows.system_health
    assert.deepEqual(
      [health?.ended24h, health?.failed24h, health?.failedPct24h, health?.running],
      [5, 3, '60.00', 1],
    )
    assert.deepEqual([health?.events24h, health?.lateEvents, health?.rollupsDue], [6, 1, 0])
    assert.deepEqual(
      rows.app_success_rates.map(({ appName, ended: n, failed, successPct }) => [
        ...[appName, n, failed, successPct],
      ]),
      [['etch', 6, 3, '50.00']],
    )
    assert.deepEqual(
      rows.recent_failures.map(({ jobId, lastError }) => [jobId, lastError]),
      [failures[1]!, failures[0]!, failures[2]!].map(({ entity }) => [
        entity.id,
        'chamber is cold',
      ]),
    )
    assert.deepEqual(
      rows.performance_outliers.map(({ jobId, timesUsual }) => [jobId, timesUsual]),
      [[slow.entity.id, '20.0']],
    )
    assert.ok(rows.chunk_health.length > 0)
    assert.ok(rows.chunk_health.every(({ bytes, endsAt }) => Number(bytes) > 0 && endsAt !== null))
    const sized = rows.database_size_overview.map(({ tableName }) => tableName)
    assert.ok(['job', 'event', 'job_stats_hourly'].every((name) => sized.includes(name)))
    assert.deepEqual(
      rows.get_job_stats.map(({ status, jobs, p50S, maxS }) => [status, jobs, p50S, maxS]),
      [
        ['failed', 3, 4, 5],
        ['running', 1, null, null],
        ['succeeded', 3, 70, 900],
      ],
    )
    assert.deepEqual(
      rows.get_slowest_jobs.map(({ durationS }) => durationS),
      [900, 20, 5, 4, 3],
    )
    assert.deepEqual(
      rows.get_failure_analysis.map(({ error, jobs, tools, example }) => [
        ...[error, jobs, tools, example],
      ]),
      [['chamber is cold', 3, 1, failures[1]!.entity.id]],
    )
    assert.deepEqual(rows.get_slow_queries, [])
    assert.ok(rows.get_table_bloat.every(({ deadRows }) => Number(deadRows) >= 0))
    assert.deepEqual(
      rows.check_high_failure_rate.map(({ failed, failedPct }) => [failed, failedPct]),
      [[3, '60.00']],
    )
    assert.deepEqual(
      rows.check_no_activity.map(({ siteId, silentMinutes }) => [siteId, silentMinutes]),
      [['fab1', 31]],
    )
  })
}

describe('views on plain PostgreSQL', () => suite('plain'))
describe('views on TimescaleDB', needsTimescale, () => suite('timescale'))
