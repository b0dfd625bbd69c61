import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import type { Job, JobFilter } from '../../src/core/job.ts'
import { matchesFilter, sortTime } from '../../src/core/job-filter.ts'
import { fromMs } from '../../src/core/time.ts'
import { ingest } from '../../src/store/ingest.ts'
import { storeReader } from '../../src/store/store-reader.ts'
import { listedJobs } from '../support/listed-jobs.ts'
import { emptyStore, openRollups } from '../support/rollups.ts'
import { openStore, run } from '../support/store.ts'
import { runs } from '../support/wild.ts'

/* The rules of core/job-filter.ts against the walks of store/job-walks.ts, page by page. */

const { signal } = new AbortController()
const startMs = Date.now()
const { aRun, aFilter, eventsOf } = listedJobs(startMs)
type Value<A> = A extends fc.Arbitrary<infer V> ? V : never
/** Failed in the window, and began hours before it. */
const forHours: Value<typeof aRun> = {
  ...{ type: 'job', began: 480, took: 400, end: 'failed', attempt: 1, key: undefined },
  ...{ parent: 0, app: 'etch', site: 'fab1', metadata: {} },
}
const lastHours = {
  ...{ time: 'active', order: 'desc', from: fromMs(startMs - 2 * 3_600_000), limit: 7 },
} as Value<typeof aFilter>

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
    { numRuns: runs(8), endOnFailure: true, examples: [[[forHours], [lastHours], 0]] },
  )
  assert.ok(rows > 50, `${rows} rows were compared`)
})
