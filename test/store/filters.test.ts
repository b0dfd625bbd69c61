import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { factNames } from '../../src/core/facts.ts'
import { flags, type Job, type JobFilter, statuses, timeFields } from '../../src/core/job.ts'
import { matchesFilter, sortTime } from '../../src/core/job-filter.ts'
import { fromMs } from '../../src/core/time.ts'
import { ingest } from '../../src/store/ingest.ts'
import { storeReader } from '../../src/store/store-reader.ts'
import { emptyStore, openRollups } from '../support/rollups.ts'
import { anEvent, openStore, run } from '../support/store.ts'
import { runs } from '../support/wild.ts'

/* The rules of core/job-filter.ts against the walks of store/job-walks.ts, page by page. */

const { signal } = new AbortController()
const startMs = Date.now()
const ago = (minutes: number) => fromMs(startMs - minutes * 60_000)
/** One in `every` has it. */
const maybe = <T>(some: fc.Arbitrary<T>, every = 2) =>
  fc.oneof({ weight: every - 1, arbitrary: fc.constant(undefined) }, { weight: 1, arbitrary: some })

/** Minutes on a coarse grid, so that times meet the bounds of windows. */
const minutes = fc.integer({ min: 0, max: 24 }).map((n) => n * 30)
const words = ['A', 'scn-05', 'SCN-05', 'Ä', '50%', '7'] as const
const word = fc.constantFrom(...words)

const aRun = fc.record({
  type: fc.constantFrom('job' as const, 'job' as const, 'subjob' as const),
  began: minutes,
  took: fc.constantFrom(0, 1, 30, 59, 60, 61, 120, 400),
  end: fc.constantFrom('queued', 'running', 'succeeded', 'failed', 'canceled', 'unknown'),
  attempt: fc.constantFrom(1, 1, 1, 2, 5),
  key: maybe(fc.constantFrom('L1', 'L12', 'l1'), 2),
  /** Of a subjob: any job or subjob, itself and one that never reports included. */
  parent: fc.oneof(fc.integer({ min: 0, max: 9 }), fc.integer({ min: 0, max: 50 })),
  app: fc.constantFrom('etch', 'apc'),
  site: fc.constantFrom('fab1', 'fab2'),
  metadata: fc.dictionary(
    fc.constantFrom(...factNames, 'heartbeat_s', 'due_at', 'max_duration_s'),
    fc.oneof(word, fc.integer({ min: 1, max: 9000 }), fc.constantFrom(ago(100), null, true, 1.5)),
    { maxKeys: 4 },
  ),
})
type Run = typeof aRun extends fc.Arbitrary<infer R> ? R : never

const idOf = (n: number) => `b0000000-0000-4000-8000-${String(n).padStart(12, '0')}`
const fact = fc.tuple(fc.constantFrom(...factNames), word)
const list = <T>(...of: T[]) => maybe(fc.subarray(of, { minLength: 1 }), 6)

const aFilter = fc.record({
  time: fc.constantFrom(...timeFields),
  order: fc.constantFrom('desc' as const, 'asc' as const),
  from: maybe(minutes.map(ago)),
  to: maybe(minutes.map(ago), 3),
  status: list(...statuses),
  flags: list(...flags),
  appName: maybe(fc.constantFrom('e', 'ETCH', 'zzz'), 8),
  exactApp: maybe(fc.constantFrom('etch', 'ETCH', 'etc'), 8),
  appVersion: maybe(fc.constantFrom('1', '2'), 10),
  site: maybe(fc.constantFrom('fab1', 'fab9'), 8),
  businessKey: maybe(fc.constantFrom('L1', 'none'), 5),
  q: maybe(fc.oneof(word, fc.constantFrom('L1', 'l', 'etc', 'zzz', 'timeout', '_', idOf(3))), 3),
  facts: maybe(
    fact.map(([name, value]) => ({ [name]: value })),
    3,
  ),
  minAttempts: maybe(fc.constantFrom(1, 2, 3), 6),
  minDurationS: maybe(fc.constantFrom(60, 3600), 8),
  maxDurationS: maybe(fc.constantFrom(60, 3600), 8),
  limit: fc.constantFrom(1, 3, 7, 50),
})

function eventsOf(one: Run, n: number) {
  const { type, began, took, end, attempt, key, parent, app, site, metadata } = one
  const envelope = {
    site_id: site,
    app: { app_id: idOf(900), name: app, version: '1' },
    entity: {
      type,
      id: idOf(n),
      parent_id: type === 'subjob' ? idOf(parent) : null,
      business_key: key ?? null,
      attempt,
    },
  }
  const started = anEvent(ago(began), { kind: 'started', metadata }, envelope)
  if (end === 'queued') return [anEvent(ago(began), { kind: 'queued', metadata }, envelope)]
  if (end === 'running' || took > began) return [started]
  // biome-ignore format: as one table
  const kind = {
    succeeded: 'finished', failed: 'error', canceled: 'canceled', unknown: 'finished',
  } as const
  const error =
    end === 'failed'
      ? { status: 'failed' as const, metadata: { error: 'T3 timeout' } }
      : end === 'unknown'
        ? { status: 'unknown' as const }
        : {}
  return [
    started,
    anEvent(ago(began - took), { kind: kind[end as keyof typeof kind], ...error }, envelope),
  ]
}

test('pages list exactly what core says belongs to the list, in its order, each once', async (t) => {
  const { store, url } = await openStore(t, 'plain')
  const { make } = await openRollups(t, url)
  const now = fromMs(startMs + 1000)
  const reader = storeReader(store, { now: () => now })
  const find = (filter: JobFilter, type: Job['entityType']) =>
    type === 'job' ? reader.findJobs(filter, signal) : reader.findSubjobs(filter, signal)
  let rows = 0
  await fc.assert(
    fc.asyncProperty(
      fc.array(aRun, { minLength: 10, maxLength: 50 }),
      fc.array(aFilter, { minLength: 20, maxLength: 20 }),
      // Of what is made of hours some is there, and out of date since.
      fc.double({ min: 0, max: 1, noNaN: true }),
      async (all, filters, share) => {
        await emptyStore(store)
        const events = all.flatMap(eventsOf)
        const made = Math.floor(share * events.length)
        if (made > 0) await ingest(store, events.slice(0, made))
        await make()
        if (made < events.length) await ingest(store, events.slice(made))
        if (made % 2 === 0) await make()
        for (const table of ['job', 'subjob'] as const) {
          await run(store, `update ${table} set updated_at = last_event_at`)
        }
        for (const type of ['job', 'subjob'] as const) {
          const every = (await find({ time: 'started', order: 'asc', limit: 1000 }, type)).items
          for (const { to, ...given } of filters) {
            // An empty window is refused at the door.
            const isEmpty = to !== undefined && given.from !== undefined && to <= given.from
            const filter = { ...given, to: isEmpty ? undefined : to }
            const sign = filter.order === 'desc' ? -1 : 1
            const keyOf = (job: Job) => `${sortTime(job, filter.time)} ${job.id}`
            const expected = every
              .filter((job) => matchesFilter(job, filter))
              .sort((a, b) => sign * (keyOf(a) < keyOf(b) ? -1 : 1))
            const found: Job[] = []
            let page = await find(filter, type)
            found.push(...page.items)
            for (; page.nextCursor; found.push(...page.items)) {
              assert.equal(page.items.length, filter.limit)
              page = await find({ ...filter, cursor: page.nextCursor }, type)
            }
            const idsOf = (jobs: readonly Job[]) => jobs.map(({ id }) => id)
            assert.deepEqual(idsOf(found), idsOf(expected), JSON.stringify(filter))
            assert.deepEqual(found, expected)
            const total = filter.flags && { count: expected.length, complete: true }
            assert.deepEqual(page.total, total)
            rows += found.length
          }
        }
      },
    ),
    { numRuns: runs(8), endOnFailure: true },
  )
  assert.ok(rows > 50, `${rows} rows were compared`)
})
