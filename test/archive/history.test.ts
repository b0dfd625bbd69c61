import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import { readDay } from '../../src/archive/history/read-day.ts'
import { historyReader } from '../../src/archive/history/reader.ts'
import type { DaySource } from '../../src/archive/history/source.ts'
import { FolderPlace } from '../../src/archive/places/folder.ts'
import type { Place } from '../../src/archive/places/place.ts'
import type { Job, JobFilter, JobPage, JobReader } from '../../src/core/job.ts'
import { fromMs } from '../../src/core/time.ts'
import type { Store } from '../../src/store/connect.ts'
import { storeReader } from '../../src/store/store-reader.ts'
import { idOf, listedJobs, maybe } from '../support/listed-jobs.ts'
import { freshFolder } from '../support/processes.ts'
import { openStore } from '../support/store.ts'
import { runs } from '../support/wild.ts'
import { archivedAll, run, takeIn } from './support.ts'

/* One question to the hot store and the archive: what is in which must not show. */

const { signal } = new AbortController()
const endMs = Date.UTC(2026, 2, 13, 20)
const now = fromMs(endMs + 3_600_000)
/** Runs of up to two days, over four. */
const { aRun, aFilter, eventsOf } = listedJobs(endMs, 8)

/** Reads in this thread. */
const sourceOf = (place: Place): DaySource => ({
  readDay: (question, _endsAt, stop) => readDay(place, question, stop),
})

const readerOf = (store: Store, source: DaySource) => {
  const hot = storeReader(store, { now: () => now, maxAgeMs: { completeness: 0, baselines: 0 } })
  return historyReader({ hot, store, source, now: () => now })
}

const findAll = async (reader: JobReader, type: Job['entityType'], filter: JobFilter) => {
  const find = type === 'job' ? reader.findJobs : reader.findSubjobs
  const pages: JobPage[] = []
  for (let cursor: JobFilter['cursor']; ; ) {
    const page = await find({ ...filter, cursor }, signal)
    pages.push(page)
    assert.ok(page.items.length <= filter.limit)
    if (page.nextCursor === null) return pages
    cursor = page.nextCursor
  }
}

/** The jobs and subjobs that hang together, by the least number among them. */
function familiesOf(parents: readonly (number | undefined)[]): number[] {
  const family = parents.map((_, i) => i)
  const rootOf = (i: number): number => (family[i] === i ? i : rootOf(family[i] as number))
  for (const [i, parent] of parents.entries()) {
    if (parent === undefined || parent >= parents.length) continue
    const [a, b] = [rootOf(i), rootOf(parent)]
    family[Math.max(a, b)] = Math.min(a, b)
  }
  return parents.map((_, i) => rootOf(i))
}

const forget = async (store: Store, ids: readonly string[]) => {
  const list = ids.map((id) => `'${id}'`).join(', ') || `'${idOf(999)}'`
  for (const table of ['job', 'subjob'])
    await run(store, `delete from ${table} where ${table}_id in (${list})`)
  await run(store, `update archived_job set deleted = true where id in (${list})`)
}

const tables = ['job', 'subjob'] as const

describe('hot store and archive together', () => {
  test('answer every list as if all were hot: rows, order, cursors and filters', async (t) => {
    const { store } = await openStore(t, 'plain')
    let rows = 0
    await fc.assert(
      fc.asyncProperty(
        fc.array(aRun, { minLength: 10, maxLength: 40 }),
        fc.array(fc.tuple(aFilter, maybe(fc.integer({ min: 0, max: 9 }), 5)), {
          ...{ minLength: 15, maxLength: 15 },
        }),
        async (all, asked) => {
          await run(
            store,
            'truncate job, subjob, event, event_late, archive_file, archive_manifest, archived_job, archive_move',
          )
          await takeIn(store, all.flatMap(eventsOf))
          for (const table of tables)
            await run(store, `update ${table} set updated_at = '2026-04-01'`)
          const dir = freshFolder()
          const reader = readerOf(store, sourceOf(new FolderPlace(dir)))
          const lists = asked.flatMap(([given, jobId]) =>
            tables.map((type) => {
              const { flags: _, from, to, ...rest } = given
              const isEmpty = from !== undefined && to !== undefined && to <= from
              const own = type === 'subjob' && jobId !== undefined ? { jobId: idOf(jobId) } : {}
              const filter: JobFilter = { ...rest, from, to: isEmpty ? undefined : to, ...own }
              return { type, filter }
            }),
          )
          const before: JobPage[][] = []
          for (const { type, filter } of lists)
            before.push(await findAll(reader, type, { ...filter, archive: false }))
          await archivedAll(store, dir)
          const families = familiesOf(
            all.map(({ type, parent }) => (type === 'subjob' ? parent : undefined)),
          )
          await forget(
            store,
            families.flatMap((family, n) => (family % 2 === 0 ? [idOf(n)] : [])),
          )
          for (const [i, { type, filter }] of lists.entries()) {
            const after = await findAll(reader, type, { ...filter, archive: true })
            const told = JSON.stringify(filter)
            for (const { completeness } of after) {
              assert.deepEqual(completeness.archiveMissing, [], told)
              assert.equal(completeness.archive, 'used', told)
            }
            const itemsOf = (pages: readonly JobPage[]) =>
              pages.flatMap(({ items }) => items).filter((job) => !isForgotten(job, filter))
            const [found, expected] = [itemsOf(after), itemsOf(before[i] ?? [])]
            assert.deepEqual(
              found.map(({ id }) => id),
              expected.map(({ id }) => id),
              told,
            )
            assert.deepEqual(found, expected)
            rows += found.length
          }
        },
      ),
      { numRuns: runs(4), endOnFailure: true },
    )
    assert.ok(rows > 50, `${rows} rows were compared`)
  })
})

/** The archive tells of one that never ended that it was active until its last event, and no longer. */
function isForgotten(job: Job, { time, from, q }: JobFilter): boolean {
  if (time !== 'active' || from === undefined || job.endedAt !== null) return false
  if (q !== undefined && (job.jobKey === q || job.id === q)) return false
  return job.startedAt < from && job.lastEventAt < from
}
