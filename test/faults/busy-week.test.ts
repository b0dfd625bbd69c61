import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { maxError } from '../../src/core/histogram.ts'
import type { JobFilter } from '../../src/core/job.ts'
import {
  type CauseCount,
  type CausesFilter,
  causesQuestion,
} from '../../src/core/questions/causes.ts'
import type { StatsFilter, StatsRow } from '../../src/core/questions/stats.ts'
import { fromMs } from '../../src/core/time.ts'
import type { Pool, Store } from '../../src/store/connect.ts'
import { ingest } from '../../src/store/ingest.ts'
import { findStats } from '../../src/store/stats.ts'
import { storeReader } from '../../src/store/store-reader.ts'
import { type Edition, needsTimescale } from '../support/database.ts'
import { fillStore, id } from '../support/fill-store.ts'
import { explaining } from '../support/plans.ts'
import { openRollups } from '../support/rollups.ts'
import { anEvent, openStore, run } from '../support/store.ts'

/*
 * More jobs in a week than can be looked at one by one: answers are made of hours, and are those of the jobs, also
 * where hours have changed since they were made.
 */

const { signal } = new AbortController()
const hourMs = 3_600_000
const jobs = 24_000

/** A week whose ends fall on no whole hour, in days and in pairs of hours. */
const endMs = Date.now() + 60_000
const at = (hours: number) => fromMs(endMs - hours * hourMs)
const from = at(168)
const to = at(0)
const parts = (hours: number) =>
  Array.from({ length: 168 / hours }, (_, i) => {
    const first = 168 - i * hours
    return { from: at(first), to: at(first - hours) }
  })

/** The store with its hours made, and what has changed since. */
async function changed(store: Store): Promise<void> {
  const of = (n: number) =>
    run(store, `select job_id, site_id from job order by job_id offset ${n} limit 1`)
  const ends = await Promise.all(
    [3, 400, 5000, 12_000].map(async (n) => {
      const [row] = await of(n)
      return anEvent(
        at(1),
        { kind: 'finished', status: 'failed' },
        {
          entity: { id: String(row?.jobId) },
          site_id: String(row?.siteId),
          app: { app_id: crypto.randomUUID(), name: 'late-app', version: '2' },
        },
      )
    }),
  )
  const fresh = [30, 31, 100].map((hours) =>
    anEvent(at(hours), { kind: 'finished', metadata: { tool: 'NEW-1', recipe: 'zq-recipe' } }),
  )
  await ingest(store, [...ends, ...fresh])
  await run(store, `delete from job where job_id = ${id('job', '77')}`)
}

async function busyStore(t: Parameters<typeof openStore>[0], edition: Edition): Promise<Pool> {
  const { store, url } = await openStore(t, edition)
  await fillStore(store, { jobs, days: 7 })
  const { make } = await openRollups(t, url)
  await run(
    store,
    `insert into rollup_due select 'j', array_agg(distinct date_trunc('hour', started_at)) from job`,
  )
  await make()
  await changed(store)
  return store
}

const rounded = (value: number | null) => (value === null ? null : Number(value.toPrecision(9)))
const counts = (rows: readonly StatsRow[]) =>
  rows.map((row) => ({
    ...{ bucket: row.bucket, app: row.appName, status: row.status, site: row.siteId },
    ...{ count: row.count, failed: row.failedAttempts, average: rounded(row.durationAvgS) },
    ...{ least: row.durationMinS, most: row.durationMaxS },
  }))

function suite(edition: Edition) {
  test('statistics, causes and searches are those of the jobs', async (t) => {
    const store = await busyStore(t, edition)
    const { store: explained, plans } = explaining(store)

    for (const asked of [
      { time: 'started', groupBy: ['app', 'status'] },
      { time: 'ended', groupBy: ['site', 'app'] },
      { time: 'ended', groupBy: [], site: 'fab1' },
    ] satisfies Partial<StatsFilter>[]) {
      const filter = { ...asked, bucket: 'hour' } as const
      plans.length = 0
      const week = await findStats(explained, { ...filter, from, to }, signal)
      // Half an hour of jobs at either end, and the hours that have changed.
      const read = plans.at(-1)
      assert.equal(read?.name, 'stats.rollups')
      assert.ok(read.rows < jobs, JSON.stringify(read))
      const exact: StatsRow[] = []
      for (const part of parts(24))
        exact.push(...(await findStats(store, { ...filter, ...part }, signal)))
      const whole = exact.filter(({ bucket }) => week.some((row) => row.bucket === bucket))
      assert.equal(whole.length, exact.length)
      // The hour in which two days meet is in both.
      const shared = new Set(parts(24).map((part) => `${part.from.slice(0, 13)}:00:00.000000Z`))
      const alone = (rows: readonly StatsRow[]) => rows.filter(({ bucket }) => !shared.has(bucket))
      assert.deepEqual(counts(alone(week)), counts(alone(exact)))
      for (const [i, row] of alone(week).entries()) {
        const { durationP95S: wanted } = alone(exact)[i]!
        assert.ok(
          Math.abs((row.durationP95S ?? 0) - (wanted ?? 0)) <= (wanted ?? 0) * (maxError + 1e-9),
        )
      }
    }

    const reader = storeReader(explained)
    const asked: CausesFilter = { from, to, recentFrom: at(6.5), minFailed: 3, site: 'fab1' }
    plans.length = 0
    const causes = await reader.ask(causesQuestion, asked, signal)
    // A bitmap counts a row twice, in the index and in the table.
    assert.ok(plans.at(-1)!.rows < 3 * jobs, JSON.stringify(plans.at(-1)))
    assert.ok(causes.some(({ fact, recentFailed }) => fact === 'app' && recentFailed > 0))
    const answers = []
    for (const part of parts(2)) {
      const params = { ...asked, ...part, minFailed: 0 }
      const items = await storeReader(store).ask(causesQuestion, params, signal)
      answers.push({ site: 'fab1', items })
    }
    const texts = (rows: readonly CauseCount[]) =>
      rows.map((row) => JSON.stringify(Object.entries(row).sort())).sort()
    assert.deepEqual(texts(causes), texts(causesQuestion.merge(answers, asked)))

    const search = async (filter: Partial<JobFilter>) => {
      plans.length = 0
      const list = { time: 'started', order: 'desc', limit: 100, from, to, ...filter } as const
      const { items } = await reader.findJobs(list, signal)
      const read = plans.filter(({ name }) => name === 'jobs.find')
      return { found: items.length, looked: read.reduce((sum, { rows }) => sum + rows, 0) }
    }
    const perHour = jobs / 168
    const none = await search({ q: 'nosuchthing' })
    // Those whose hours have changed.
    assert.ok(none.found === 0 && none.looked <= 10 * perHour, JSON.stringify(none))
    const fresh = await search({ q: 'ZQ-Rec' })
    assert.ok(fresh.found === 3 && fresh.looked <= 10 * perHour, JSON.stringify(fresh))
    const long = await search({ minDurationS: 80_000 })
    assert.ok(long.looked <= 10 * perHour, JSON.stringify(long))
    const usual = await search({ q: 'SCN-3' })
    assert.ok(usual.found === 100 && usual.looked < 3000, JSON.stringify(usual))
  })
}

describe('a busy week on plain PostgreSQL', () => suite('plain'))
describe('a busy week on TimescaleDB', needsTimescale, () => suite('timescale'))
