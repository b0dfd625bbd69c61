import assert from 'node:assert/strict'
import { describe, type TestContext, test } from 'node:test'
import fc from 'fast-check'
import type { Event } from '../../src/core/event.ts'
import type { Pool, Store } from '../../src/store/connect.ts'
import { ingest } from '../../src/store/ingest.ts'
import { trimJobs } from '../../src/store/maintenance.ts'
import { findStats } from '../../src/store/stats.ts'
import { type Edition, needsTimescale } from '../support/database.ts'
import { arbitraryArrival } from '../support/histories.ts'
import { emptyStore, openRollups } from '../support/rollups.ts'
import { anEvent, count, openStore, run } from '../support/store.ts'

/* Rollups against what a count from scratch of all jobs that ever were gives. */

const { signal } = new AbortController()

async function open(t: TestContext, edition: Edition) {
  const { store, url } = await openStore(t, edition)
  await run(
    store,
    'create table ever as select job_id, started_at, site_id, app_name, status, duration_s, 0 as failed from job where false',
  )
  return { store, ...(await openRollups(t, url)) }
}

/** What is compared. Least and greatest durations only where no job was deleted: they never shrink again. */
const columns = 'n, timed, round(sum_s::numeric, 6) as sum_s, histogram, failed'
const failed = `((end_status is not distinct from 'failed')::int + case when attempts is null then 0 else count_failed(attempts) end)`

const rolled = (store: Store, table: string, kind: 'j' | 's', more = '') =>
  run(
    store,
    `select bucket, site_id, app_name, status, ${columns} ${more} from ${table} where entity_type = '${kind}'
     order by 1, 2, 3, 4`,
  )

/** By an expression for the start of the bucket. */
const fromScratch = (store: Store, table: 'job' | 'subjob', bucket: string, more = '') =>
  run(
    store,
    `select ${bucket} as bucket, site_id, app_name, status, count(*) as n, count(duration_s) as timed,
       round(coalesce(sum(duration_s), 0)::numeric, 6) as sum_s,
       histogram_of(array_agg(histogram_bin(duration_s)) filter (where duration_s is not null)) as histogram,
       sum(failed) as failed ${more}
     from (select started_at, site_id, app_name, status, duration_s, ${failed} as failed from ${table}
       union all select started_at, site_id, app_name, status, duration_s, failed from ever where '${table}' = 'job') jobs
     group by 1, 2, 3, 4 order by 1, 2, 3, 4`,
  )

const hour = `date_trunc('hour', started_at)`

/** What is made of the jobs that are there; text by code point. */
const summaries = async (store: Store) => [
  await run(
    store,
    `select * from job_ends_hourly order by ended, bucket, app_name collate "C", status`,
  ),
  await run(
    store,
    `select * from job_facets_hourly order by ended, bucket, fact, of collate "C", value collate "C"`,
  ),
  await run(store, 'select * from job_texts_hourly order by bucket, texts'),
]
const everyHourIsDue = `insert into rollup_due select 'j', array_agg(distinct ${hour}) from job having count(*) > 0`

const eventColumns = 'entity_type, site_id, app_name, kind'
const eventsRolled = (store: Store) =>
  run(store, `select bucket, ${eventColumns}, n from event_stats_hourly order by 1, 2, 3, 4, 5`)
const eventsFromScratch = (store: Store) =>
  run(
    store,
    `select date_trunc('hour', at) as bucket, ${eventColumns}, count(*) as n
     from (select at, ${eventColumns} from event union all select at, ${eventColumns} from event_late) events group by 1, 2, 3, 4, 5 order by 1, 2, 3, 4, 5`,
  )

/** Deletes a job as maintenance does, and keeps what it was. */
async function remove(store: Store, id: string): Promise<void> {
  const of = `from job where job_id = '${id}'`
  await run(
    store,
    `insert into ever select job_id, started_at, site_id, app_name, status, duration_s, ${failed} ${of}`,
  )
  await run(store, `delete ${of}`)
}

const clear = async (store: Store) => {
  await emptyStore(store)
  await run(store, 'truncate ever')
}

function suite(edition: Edition) {
  test('of hours are what a count from scratch gives, after any history in any batches', async (t) => {
    const { store, make } = await open(t, edition)
    const property = fc.asyncProperty(
      arbitraryArrival(),
      fc.array(fc.boolean()),
      async ({ batches }, rounds) => {
        await clear(store)
        for (const [i, batch] of batches.entries()) {
          await ingest(store, batch)
          if (rounds[i]) await make()
        }
        await make()
        for (const [table, kind] of [
          ['job', 'j'],
          ['subjob', 's'],
        ] as const) {
          assert.deepEqual(
            await rolled(store, 'job_stats_hourly', kind, ', min_s, max_s'),
            await fromScratch(
              store,
              table,
              hour,
              ', min(duration_s) as min_s, max(duration_s) as max_s',
            ),
          )
        }
        assert.equal(await count(store, 'rollup_due'), 0)
        assert.equal(await count(store, 'rollup_stale'), 0)
        assert.deepEqual(await eventsRolled(store), await eventsFromScratch(store))
        const summed = await summaries(store)
        await run(store, everyHourIsDue)
        await make()
        assert.deepEqual(await summaries(store), summed)
      },
    )
    await fc.assert(property, { numRuns: edition === 'plain' ? 30 : 10 })
  })

  test('keep jobs that are deleted, and follow those that are still there', async (t) => {
    const { store, make } = await open(t, edition)
    const property = fc.asyncProperty(steps, async (list) => {
      await clear(store)
      const gone = new Set<string>()
      for (const step of list) {
        if (step === 'round') await make()
        else if (typeof step === 'string') {
          await remove(store, step)
          gone.add(step)
        } else if (!gone.has(step.entity.id)) {
          await ingest(store, [{ ...step, idempotency_key: crypto.randomUUID() }])
        }
      }
      await make()
      assert.deepEqual(
        await rolled(store, 'job_stats_hourly', 'j'),
        await fromScratch(store, 'job', hour),
      )
      assert.equal(await count(store, 'job_stats_gone'), 0)
    })
    await fc.assert(property, { numRuns: edition === 'plain' ? 30 : 10 })
  })

  test('of an hour whose jobs were deleted are not made anew from those that are left', async (t) => {
    const { store, make } = await open(t, edition)
    const jobs = [ended(1, 10), ended(2, 20), started(3)]
    await ingest(store, jobs)
    await make()
    await run(store, `delete from job where status = 'succeeded'`)
    await make()
    const counted = async () => [
      ...(await run(store, 'select status, n, sum_s, histogram from job_stats_hourly order by 1')),
    ]
    const done = { status: 'succeeded', n: 2, sumS: 30, histogram: '26:1 34:1' }
    assert.deepEqual(await counted(), [{ status: 'running', n: 1, sumS: 0, histogram: null }, done])
    // A hundred days later the third one ends.
    await ingest(store, [ended(3, 8_640_000)])
    await make()
    assert.deepEqual(await counted(), [
      { ...done, n: 3, sumS: 8_640_030, histogram: '26:1 34:1 184:1' },
    ])
  })

  test('count a job that reports again after it was deleted once, where the archive tells', async (t) => {
    const { store, make } = await open(t, edition)
    await ingest(store, [ended(1, 10), ended(2, 20)])
    await run(
      store,
      `insert into archived_job (kind, id, site_id, day, version, updated_at)
       select 'job', job_id, site_id, '2026-03-01', 1, updated_at from job`,
    )
    const total = async () =>
      (await run(store, 'select sum(n)::int as n, max(bucket) as last from job_stats_hourly'))[0]
    const both = { n: 2, last: noon }
    await run(store, `update horizon set trusted_at = '2026-12-01'`)
    for (const _ of ['deleted', 'and again after it came back']) {
      const silent = `updated_at = '2026-07-01' where`
      await run(store, `update job set ${silent} job_id = '${jobId(1)}'`)
      await run(store, `update archived_job set ${silent} id = '${jobId(1)}'`)
      assert.equal(await trimJobs(store, signal, 90, true), 1)
      await make()
      assert.deepEqual({ ...(await total()) }, both)
      await ingest(store, [anEvent('2026-06-20T09:00:00.000000Z', { kind: 'progress' }, job(1))])
      await make()
      assert.equal(await count(store, 'job'), 2)
      assert.deepEqual({ ...(await total()) }, both)
    }
    assert.equal(await count(store, 'archived_job where deleted'), 1)
  })

  test('of days, weeks and months follow a change of long ago', async (t) => {
    const { store, make } = await open(t, edition)
    const days = ['2024-02-28', '2024-02-29', '2024-03-01', '2024-03-04', '2025-12-31']
    const at = (day: string, n: number) =>
      anEvent(`${day}T23:59:59.999999Z`, {}, { entity: { id: jobId(n) } })
    await ingest(
      store,
      days.map((day, n) => at(day, n)),
    )
    await make()
    const check = async () => {
      for (const [table, width] of [
        ['daily', 'day'],
        ['weekly', 'week'],
        ['monthly', 'month'],
      ] as const) {
        assert.deepEqual(
          await rolled(store, `job_stats_${table}`, 'j', ', min_s, max_s'),
          await fromScratch(
            store,
            'job',
            `date_trunc('${width}', started_at)`,
            ', min(duration_s) as min_s, max(duration_s) as max_s',
          ),
        )
      }
    }
    await check()
    const end = { kind: 'finished', metrics: { duration_s: 1.5 } } as const
    await ingest(store, [anEvent('2025-12-31T23:59:59.999999Z', end, { entity: { id: jobId(1) } })])
    await make()
    await check()
    assert.equal(await count(store, `job_stats_monthly where timed > 0`), 1)
  })

  test('of progress are not made again: most events change nothing that they count', async (t) => {
    const { store, make } = await open(t, edition)
    await ingest(store, [started(1), ended(2, 5)])
    await make()
    const progress = anEvent(
      '2026-03-01T14:00:00.000000Z',
      { kind: 'progress', metadata: { progress: 0.5 } },
      job(1),
    )
    await ingest(store, [progress])
    assert.equal(await count(store, 'rollup_due'), 0)
    await ingest(store, [ended(1, 5)])
    assert.equal(await count(store, 'rollup_due'), 1)
  })
}

describe('rollups on plain PostgreSQL', () => suite('plain'))
describe('rollups on TimescaleDB', needsTimescale, () => suite('timescale'))

test('statistics of a year count an hour that lost its jobs as a whole, also where the window begins', async (t) => {
  const { store, make } = await open(t, 'plain')
  await ingest(store, [ended(1, 10), ended(2, 20)])
  await run(store, `delete from job where job_id = '${jobId(1)}'`)
  await make()
  const ask = (from: string) =>
    findStats(
      store,
      { from, to: '2026-12-01T00:00:00.000000Z', bucket: 'month', groupBy: [] },
      signal,
    )
  const counts = async (from: string) => (await ask(from)).map((row) => row.count)
  assert.deepEqual(await counts('2026-01-01T00:00:00.000000Z'), [2])
  assert.deepEqual(await counts('2026-03-01T12:30:00.000000Z'), [2])
  assert.deepEqual(await counts('2026-03-01T13:00:00.000000Z'), [])
})

test('statistics read rollups beyond seven days and the jobs up to that', async (t) => {
  const { store } = await openStore(t, 'plain')
  const asked: string[] = []
  const listening: Pool = {
    ...store,
    ask: (op, question, aborted) => {
      asked.push(op.table)
      return store.ask(op, question, aborted)
    },
  }
  const source = async (filter: Partial<Parameters<typeof findStats>[1]>) => {
    asked.length = 0
    const to = '2026-03-09T00:00:00.000000Z'
    await findStats(
      listening,
      { from: '2026-03-01T00:00:00.000000Z', to, bucket: 'day', groupBy: [], ...filter },
      signal,
    )
    return asked.at(-1)
  }
  assert.equal(await source({}), 'job_stats')
  assert.equal(await source({ from: '2026-03-02T00:00:00.000000Z' }), 'job')
  // What rollups do not know.
  assert.equal(await source({ time: 'ended' }), 'job')
  assert.equal(await source({ facts: { tool: 'SCN-1' } }), 'job')
  assert.equal(await source({ facts: { tool: undefined } as never }), 'job_stats')
  assert.equal(await source({ status: ['queued', 'running'] }), 'job')
  assert.equal(await source({ status: ['queued', 'failed'] }), 'job_stats')
})

const jobId = (n: number) => `b0000000-0000-4000-8000-${String(n).padStart(12, '0')}`
const job = (n: number) => ({ entity: { id: jobId(n) } })
const noon = '2026-03-01T12:00:00.000000Z'
const started = (n: number) => anEvent(noon, {}, job(n))
const ended = (n: number, took: number): Event =>
  anEvent(noon, { kind: 'finished', started_at: noon, metrics: { duration_s: took } }, job(n))

/** `round` makes what is due; another text is the id of a job that is deleted. */
type Step = Event | string

/** Events of four jobs in few hours, rounds, and jobs that are deleted. */
const steps: fc.Arbitrary<Step[]> = fc.array(
  fc.oneof(
    {
      weight: 6,
      arbitrary: fc
        .record({
          n: fc.integer({ min: 1, max: 4 }),
          kind: fc.constantFrom('started', 'progress', 'finished', 'error', 'canceled'),
          startHour: fc.integer({ min: 8, max: 11 }),
          tookS: fc.constantFrom(0, 1, 90, 4000),
          app: fc.constantFrom('etch', 'litho'),
        })
        .map(({ n, kind, startHour, tookS, app }): Event => {
          const at = `2026-03-01T${String(startHour).padStart(2, '0')}:30:00.000000Z`
          return anEvent(
            '2026-03-01T12:00:00.000000Z',
            { kind: kind as 'started', started_at: at, metrics: { duration_s: tookS } },
            { ...job(n), app: { app_id: jobId(9), name: app, version: '' } },
          )
        }),
    },
    { weight: 2, arbitrary: fc.constant('round') },
    { weight: 2, arbitrary: fc.integer({ min: 1, max: 4 }).map(jobId) },
  ),
  { minLength: 4, maxLength: 24 },
)
