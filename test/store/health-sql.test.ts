import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import type { Job } from '../../src/core/job.ts'
import { runningQuestion } from '../../src/core/questions/running.ts'
import { fromMs, type Micros } from '../../src/core/time.ts'
import type { Store } from '../../src/store/connect.ts'
import { healthSql } from '../../src/store/health-sql.ts'
import { ingest } from '../../src/store/ingest.ts'
import type { JobTable } from '../../src/store/job-rows.ts'
import { storeReader } from '../../src/store/store-reader.ts'
import { anEvent, openStore, run } from '../support/store.ts'
import { runs } from '../support/wild.ts'

/* judgeHealth of core against the SQL that judges whole tables. */

const { signal } = new AbortController()
const startMs = Date.now()
const ago = (s: number) => fromMs(startMs - s * 1000)

const seconds = fc.oneof(
  fc.constantFrom(1, 59, 60, 61, 200, 599, 600, 601, 1800, 0.000001, 1e300, 5e-324),
  fc.integer({ min: 1, max: 5000 }),
)
/** What programs send where a number of seconds is wanted. */
const number = fc.oneof(
  { weight: 3, arbitrary: seconds },
  { weight: 1, arbitrary: fc.constantFrom<unknown>(0, -5, '60', '', true, null, [60], { s: 60 }) },
  { weight: 1, arbitrary: fc.constant<unknown>(2 ** 60) },
)
/** What programs send where a time is wanted: in both directions across the start. */
const time = fc.oneof(
  fc.integer({ min: -4000, max: 4000 }).map((s) => ago(s)),
  fc
    .integer({ min: 0, max: 4000 })
    .map((s) => `${new Date(startMs - s * 1000 + 7_200_000).toISOString().slice(0, 19)}+02:00`),
  fc.constantFrom<unknown>(
    '2026-02-30T00:00:00Z',
    '2024-02-29T23:59:59.1234567-12:30',
    '2026-13-01T00:00:00Z',
    '2026-00-10T00:00:00Z',
    '2026-01-00T00:00:00Z',
    '2026-01-01T24:00:00Z',
    '2026-01-01T00:60:00Z',
    '2026-01-01T00:00:60Z',
    '2026-01-01T00:00:00',
    '2026-01-01T00:00:00+24:00',
    '2026-01-01T00:00:00+01:60',
    '2026-01-01 00:00:00z',
    '2026-01-01T00:00:00.0000009Z',
    '1969-12-31T23:59:59Z',
    '1970-01-01T00:00:00+00:01',
    '1970-01-01T00:00:00.000000Z',
    '9999-12-31T23:59:59.999999Z',
    '9999-12-31T23:59:59-00:01',
    '٢٠٢٦-01-01T00:00:00Z',
    '2026-01-01T00:00:00Z\n',
    'soon',
    '',
    1_700_000_000,
    null,
    ['2026-01-01T00:00:00Z'],
  ),
)
const recipe = fc.constantFrom<unknown>('r1', 'r2', 'x'.repeat(300), 7, '', null, { r: 1 })
const metadata = fc.record(
  { heartbeat_s: number, max_duration_s: number, due_at: time, recipe },
  { requiredKeys: [] },
)

const oneRun = fc.record({
  type: fc.constantFrom<JobTable>('job', 'subjob'),
  version: fc.constantFrom('1', '2'),
  beganS: fc.oneof(fc.integer({ min: 0, max: 5000 }), fc.constantFrom(600, 601, 3 * 86_400)),
  /** It waits at first, or for good. */
  queued: fc.constantFrom('no' as const, 'first' as const, 'still' as const),
  start: metadata,
  progress: fc.option(metadata, { nil: undefined }),
  end: fc.option(metadata, { nil: undefined }),
})

const baseline = fc.record({
  type: fc.constantFrom('j', 's'),
  version: fc.constantFrom('1', '2'),
  recipe: fc.constantFrom('r1', 'x'.repeat(200), '7', ''),
  p99: fc.constantFrom(0.5, 20, 199, 200, 201, 900),
  gap: fc.constantFrom(0.1, 19, 20, 21, 400),
})

type Judged = Record<string, string>

async function judgeInSql(store: Store, table: JobTable, now: Micros): Promise<Judged> {
  const rows = await store.ask<Record<string, unknown>[]>({ operation: 'test', table }, (sql) => {
    const health = healthSql(sql, table, now)
    return sql`
      select ${sql(`${table}_id`)} as id, ${health.stuck} as stuck, ${health.lost} as lost,
        ${health.late} as late
      from ${sql(table)} ${health.join}`
  })
  return toWords(rows)
}

const toWords = (rows: readonly (Record<string, unknown> | Job)[]): Judged =>
  Object.fromEntries(
    rows.map(({ id, stuck, lost, late }) => [String(id), JSON.stringify({ stuck, lost, late })]),
  )

/** Silence counts from the receipt, too: each run was last received when it was last heard of. */
const oldReceipt = (table: JobTable) =>
  `update ${table} set updated_at = last_event_at - interval '1 second'`

function eventsOf({ type, version, beganS, queued, start, progress, end }: RunOf) {
  const parent = type === 'subjob' ? crypto.randomUUID() : null
  const envelope = {
    app: { app_id: crypto.randomUUID(), name: 'etch', version },
    entity: { type, id: crypto.randomUUID(), parent_id: parent },
  }
  const at = (share: number) => ago(beganS * share)
  const waits = anEvent(at(1), { kind: 'queued', metadata: start }, envelope)
  if (queued === 'still') return [waits]
  return [
    ...(queued === 'first' ? [waits] : []),
    anEvent(at(queued === 'first' ? 0.9 : 1), { kind: 'started', metadata: start }, envelope),
    ...(progress ? [anEvent(at(0.5), { kind: 'progress', metadata: progress }, envelope)] : []),
    ...(end ? [anEvent(at(0.25), { kind: 'finished', metadata: end }, envelope)] : []),
  ]
}
type RunOf = typeof oneRun extends fc.Arbitrary<infer R> ? R : never

test('SQL judges stuck, lost and late as core does, whatever metadata says', async (t) => {
  const { store } = await openStore(t, 'plain')
  const now = fromMs(startMs + 123)
  const reader = storeReader(store, { now: () => now, maxAgeMs: { baselines: 0 } })
  const seen = new Set<string>()
  await fc.assert(
    fc.asyncProperty(
      fc.array(oneRun, { minLength: 30, maxLength: 60 }),
      fc.uniqueArray(baseline, {
        selector: ({ type, version, recipe: name }) => [type, version, name].join(),
        maxLength: 12,
      }),
      async (all, baselines) => {
        await run(store, 'truncate job, subjob, event, event_late, baseline')
        await ingest(store, all.flatMap(eventsOf))
        for (const { type, version, recipe: name, p99, gap } of baselines) {
          await run(
            store,
            `insert into baseline (entity_type, site_id, app_name, app_version, recipe, runs, p05_s, p50_s,
               p95_s, p99_s, gap_s)
             values ('${type}', 'fab1', 'etch', '${version}', '${name}', 20, 1, 1, 1, ${p99}, ${gap})`,
          )
        }
        for (const table of ['job', 'subjob'] as const) {
          await run(store, oldReceipt(table))
          const filter = { time: 'started', order: 'desc', limit: 1000 } as const
          const page = await (table === 'job'
            ? reader.findJobs(filter, signal)
            : reader.findSubjobs(filter, signal))
          const expected = toWords(page.items)
          assert.deepEqual(await judgeInSql(store, table, now), expected)
          for (const words of Object.values(expected)) seen.add(words)
        }
      },
    ),
    { numRuns: runs(25) },
  )
  // Every combination that is possible: a lost run is not stuck.
  assert.equal(seen.size, 6, [...seen].join())
})

test('a lost job is not among those of which it is not known whether they are lost or stuck', async (t) => {
  const { store } = await openStore(t, 'plain')
  const began = (metadata: Record<string, unknown>) =>
    anEvent(
      ago(60),
      { kind: 'started', metadata },
      { entity: { type: 'job', id: crypto.randomUUID() } },
    )
  await ingest(store, [{ heartbeat_s: 1 }, { max_duration_s: 9000 }, {}].map(began))
  await run(store, oldReceipt('job'))
  const [counts] = await storeReader(store).ask(runningQuestion, {}, signal)
  assert.deepEqual(
    [counts?.running, counts?.lost, counts?.lostNotJudged, counts?.stuckNotJudged],
    [3, 1, 2, 1],
  )
})
