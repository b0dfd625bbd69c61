import assert from 'node:assert/strict'
import { mkdirSync, readdirSync, renameSync, rmSync, truncateSync } from 'node:fs'
import { join } from 'node:path'
import { describe, type TestContext, test } from 'node:test'
import fc from 'fast-check'
import { readDay } from '../../src/archive/history/read-day.ts'
import { historyReader } from '../../src/archive/history/reader.ts'
import { type Bounds, standardBounds } from '../../src/archive/history/rows.ts'
import type { DaySource } from '../../src/archive/history/source.ts'
import { FolderPlace } from '../../src/archive/places/folder.ts'
import type { Place } from '../../src/archive/places/place.ts'
import { AppError } from '../../src/core/errors.ts'
import type { Event } from '../../src/core/event.ts'
import type {
  EventFilter,
  EventPage,
  Job,
  JobFilter,
  JobPage,
  JobReader,
} from '../../src/core/job.ts'
import type { Kind } from '../../src/core/kinds.ts'
import { fromMs } from '../../src/core/time.ts'
import type { Store } from '../../src/store/connect.ts'
import { ingest } from '../../src/store/ingest.ts'
import { storeReader } from '../../src/store/store-reader.ts'
import { idOf, listedJobs, maybe } from '../support/listed-jobs.ts'
import { freshFolder } from '../support/processes.ts'
import { openStore } from '../support/store.ts'
import { runs } from '../support/wild.ts'
import { expired } from './old-days.ts'
import { archivedAll, dayAt, run, takeIn, wait } from './support.ts'

/* One question to the hot store and the archive: what is in which must not show. */

const { signal } = new AbortController()
const endMs = Date.UTC(2026, 2, 13, 20)
const now = fromMs(endMs + 3_600_000)
/** Runs of up to two days, over four. */
const { aRun, aFilter, eventsOf } = listedJobs(endMs, 8)

/** Reads in this thread. */
const sourceOf = (place: Place): DaySource => ({
  open: async () => {},
  readDay: (question, _endsAt, stop) => readDay(place, question, stop),
})

const readerOf = (store: Store, source: DaySource, bounds?: Bounds) => {
  const hot = storeReader(store, { now: () => now, maxAgeMs: { completeness: 0, baselines: 0 } })
  return historyReader({ hot, store, source, now: () => now, ...(bounds && { bounds }) })
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
        fc.array(aRun, { minLength: 20, maxLength: 40 }),
        fc.array(fc.tuple(aFilter, maybe(fc.integer({ min: 0, max: 9 }), 5)), {
          ...{ minLength: 20, maxLength: 20 },
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
      { numRuns: runs(2), endOnFailure: true },
    )
    assert.ok(rows > 10, `${rows} rows were compared`)
  })

  test('events: 2 of 4 events, nothing said: the answer names the days, and with the archive has all', async (t) => {
    const { store, dir, reader } = await archivedStore(t, [
      eventOf(1, 9, 'started'),
      eventOf(1, 10, 'progress'),
      eventOf(1, 12, 'progress'),
      eventOf(1, 13, 'finished'),
    ])
    await dropEvents(store, 11)
    const list = (more: Partial<EventFilter> = {}) =>
      reader.findEvents(idOf(1), { order: 'desc', limit: 10, ...more }, signal)
    const timesOf = ({ items }: EventPage) => items.map(({ event }) => dayOf(event))
    const hot = await list()
    assert.deepEqual(timesOf(hot), [13, 12])
    assert.deepEqual(
      [hot.completeness?.archive, hot.completeness?.hotFrom],
      ['available', dayAt(11).from],
    )
    assert.deepEqual(hot.completeness?.archiveMissing, [
      {
        from: atDay(9),
        to: dayAt(11).from,
        why: 'its events of 2 days are in the archive; add archive=true',
      },
    ])
    const all = await list({ archive: true })
    assert.deepEqual(timesOf(all), [13, 12, 10, 9])
    assert.deepEqual([all.completeness?.archive, all.completeness?.archiveMissing], ['used', []])
    for (const order of ['asc', 'desc'] as const) {
      const days: number[] = []
      for (let after: EventFilter['after']; ; ) {
        const page: EventPage = await list({ archive: true, order, limit: 1, after })
        days.push(...timesOf(page))
        if (page.next === null) break
        after = page.next
      }
      assert.deepEqual(days, order === 'asc' ? [9, 10, 12, 13] : [13, 12, 10, 9])
    }
    assert.deepEqual(timesOf(await list({ archive: true, kinds: ['progress'] })), [12, 10])
    assert.deepEqual(timesOf(await list({ archive: true, status: ['succeeded'] })), [13])
    // The same events, with everything that they had.
    const [, , , first] = all.items
    assert.deepEqual(first, eventOf(1, 9, 'started'))
    rmSync(join(dir, 'event/site=fab1/dt=2026-03-10'), { recursive: true })
    const torn = await list({ archive: true })
    assert.deepEqual(timesOf(torn), [13, 12, 9])
    assert.match(torn.completeness?.archiveMissing[0]?.why ?? '', /dt=2026-03-10.* is missing/)
  })

  test('a late event that only the archive has is listed, though its day is hot', async (t) => {
    const { store, dir, reader } = await archivedStore(t, [
      eventOf(1, 12, 'started'),
      eventOf(1, 13, 'finished'),
    ])
    await ingest(store, [eventOf(1, 12, 'progress', 5)])
    await wait(store)
    await archivedAll(store, dir)
    assert.equal((await run(store, 'select from event_late')).length, 0)
    const { items, completeness } = await reader.findEvents(
      idOf(1),
      { order: 'asc', limit: 10 },
      signal,
    )
    assert.equal(items.length, 2)
    assert.equal(completeness?.archiveMissing.length, 1)
    const all = await reader.findEvents(idOf(1), { order: 'asc', limit: 10, archive: true }, signal)
    assert.deepEqual(
      all.items.map(({ event }) => (event as { kind: string }).kind),
      ['started', 'progress', 'finished'],
    )
  })

  test('events that were deleted for their age are named, not none', async (t) => {
    const { store, dir, reader } = await archivedStore(t, [
      ...[eventOf(1, 9, 'queued'), eventOf(1, 10, 'started'), eventOf(1, 11, 'finished')],
    ])
    await dropEvents(store, 14)
    await forget(store, [idOf(1)])
    const find = async () => {
      const page = await reader.findEvents(
        idOf(1),
        { order: 'asc', limit: 10, archive: true },
        signal,
      )
      const missing = page.completeness?.archiveMissing.map(({ from, to }) => [from, to])
      return { days: page.items.map(({ event }) => dayOf(event)), missing }
    }
    assert.deepEqual(await find(), { days: [9, 10, 11], missing: [] })
    const years = (n: number) => [{ site: null, kind: 'event' as const, years: n }]
    const gone = async (until: string) => {
      await run(store, `update horizon set trusted_at = '${until}'`)
      await expired(store, dir, years(0))
    }
    await gone('2026-03-10T00:00:00Z')
    const first = dayAt(9).from.slice(0, 10)
    const { days, missing } = await find()
    assert.deepEqual(days, [10, 11])
    assert.deepEqual(
      missing?.map(([from, to]) => [from?.slice(0, 10), to]),
      [[first, dayAt(10).from]],
    )
    await gone('2026-03-13T00:00:00Z')
    const none = await find()
    assert.deepEqual([none.days, none.missing?.length], [[], 1])
    const reading = readDay(
      new FolderPlace(dir),
      {
        kind: 'event',
        day: first,
        site: 'fab1',
        ids: [idOf(1)],
        filter: { order: 'asc', limit: 1 },
      },
      signal,
    )
    const said: string[] = []
    for await (const batch of reading) said.push(...batch.missing.map(({ why }) => why))
    assert.match(said.join(), /^its events were deleted for their age at 20.* by ops$/)
  })

  test('subjobs that a running job has lost are found without being asked for', async (t) => {
    const { store, reader } = await archivedStore(t, [
      ...[eventOf(1, 9, 'started'), eventOf(1, 13, 'progress')],
      ...(['started', 'finished'] as const).map((kind) => ({
        ...eventOf(2, 10, kind, kind === 'started' ? 0 : 5),
        entity: { type: 'subjob' as const, id: idOf(2), parent_id: idOf(1) },
      })),
    ])
    await forget(store, [idOf(2)])
    const { items, completeness } = await reader.findSubjobs(
      { time: 'started', order: 'desc', limit: 10, jobId: idOf(1) },
      signal,
    )
    assert.deepEqual([items.map(({ id }) => id), completeness.archive], [[idOf(2)], 'used'])
  })

  test('a job by its id, with its subjobs and events, is read from one file and its own days', async (t) => {
    const subjob = (n: number, kind: string, day: number) => ({
      ...eventOf(n, day, kind),
      entity: { type: 'subjob' as const, id: idOf(n), parent_id: idOf(1) },
    })
    const { store, reader, asked } = await archivedStore(t, [
      ...[eventOf(1, 9, 'queued'), eventOf(1, 10, 'started'), eventOf(1, 13, 'finished')],
      ...[subjob(2, 'started', 10), subjob(2, 'finished', 11)],
      ...[subjob(3, 'started', 11), subjob(3, 'canceled', 12)],
      ...[eventOf(9, 8, 'started'), eventOf(9, 8, 'finished', 5)],
    ])
    const hot = await reader.getJob(idOf(1), signal)
    await dropEvents(store, 14)
    await forget(store, [idOf(1), idOf(2), idOf(3), idOf(9)])
    asked.length = 0
    const found = await reader.getJob(idOf(1), signal)
    assert.deepEqual({ ...found, completeness: 0 }, { ...hot, completeness: 0 })
    assert.equal(found?.completeness?.archive, 'used')
    assert.deepEqual(asked, ['job 2026-03-13', 'subjob 2026-03-11', 'subjob 2026-03-12'])
    asked.length = 0
    const { items } = await reader.findEvents(idOf(1), { order: 'desc', limit: 10 }, signal)
    assert.deepEqual(
      items.map(({ event }) => dayOf(event)),
      [13, 10, 9],
    )
    assert.ok(!asked.includes('event 2026-03-08'), asked.join())
    const subjobs = await reader.findSubjobs(
      { time: 'started', order: 'desc', limit: 10, jobId: idOf(1) },
      signal,
    )
    assert.deepEqual(
      subjobs.items.map(({ id }) => id),
      [idOf(3), idOf(2)],
    )
    assert.equal(await reader.getJob(idOf(1), signal, false), undefined)
    assert.equal(await reader.getJob(idOf(77), signal), undefined)
    const byKey = await reader.findSubjobs(
      { time: 'ended', order: 'asc', limit: 10, businessKey: 'L1', archive: true },
      signal,
    )
    assert.deepEqual(
      byKey.items.map(({ id, jobKey }) => [id, jobKey]),
      [
        [idOf(2), 'L1'],
        [idOf(3), 'L1'],
      ],
    )
  })

  test('a lot that ran for days stands in its place of the list, though its file is of another day', async (t) => {
    const { store, reader, asked } = await archivedStore(t, [
      ...[eventOf(1, 3, 'started'), eventOf(1, 12, 'finished')],
      ...lives([2, 4, 5, 13]),
    ])
    await forget(store, [1, 2, 4, 5, 13].map(idOf))
    for (const order of ['asc', 'desc'] as const) {
      const list = { time: 'started', order, limit: 1, archive: true } as const
      const pages = await findAll(reader, 'job', list)
      const found = pages.flatMap(({ items }) => items.map(({ id }) => id))
      const all = [2, 1, 4, 5, 13].map(idOf)
      assert.deepEqual(found, order === 'asc' ? all : all.reverse())
    }
    asked.length = 0
    const list = { time: 'started', order: 'desc', limit: 2, archive: true } as const
    const page = await reader.findJobs(list, signal)
    assert.deepEqual(
      page.items.map(({ id }) => id),
      [13, 5].map(idOf),
    )
    assert.ok(!asked.includes('job 2026-03-04'), `the page is full before: ${asked.join()}`)
  })

  test('the hot store wins: a job that is in both is shown as it is there, once', async (t) => {
    const between = [eventOf(10, 9, 'started', 15), eventOf(10, 9, 'finished', 20)]
    const { store, reader } = await archivedStore(t, [...lives([9, 11]), ...between])
    await forget(store, [idOf(9)])
    // An event of it comes, so it is there again; and the other one changes.
    await ingest(store, [eventOf(9, 9, 'progress', 30), eventOf(11, 11, 'error', 40)])
    const list = { time: 'started', order: 'desc', limit: 1 } as const
    const itemsOf = async (archive: boolean) =>
      (await findAll(reader, 'job', { ...list, archive })).flatMap(({ items }) => items)
    const both = await itemsOf(true)
    assert.deepEqual(both, await itemsOf(false))
    assert.deepEqual(
      both.map(({ id, errorCount }) => [id, errorCount]),
      [
        [idOf(11), 1],
        [idOf(9), 0],
        [idOf(10), 0],
      ],
    )
  })

  test('a window that begins before the hot store searches the archive by itself', async (t) => {
    const { store, reader } = await archivedStore(t, lives([9, 11, 13]))
    await forget(store, [idOf(9)])
    await run(store, `update horizon set jobs_from = '2026-03-10'`)
    const find = async (more: Partial<JobFilter>) => {
      const page = await reader.findJobs(
        { time: 'ended', order: 'desc', limit: 10, ...more },
        signal,
      )
      return { ids: page.items.map(({ id }) => id), archive: page.completeness.archive }
    }
    const hot = [idOf(13), idOf(11)]
    assert.deepEqual(await find({ from: dayAt(10).from }), { ids: hot, archive: 'available' })
    assert.deepEqual(await find({ from: dayAt(9).from }), {
      ids: [...hot, idOf(9)],
      archive: 'used',
    })
    assert.deepEqual(await find({ from: dayAt(9).from, archive: false }), {
      ids: hot,
      archive: 'available',
    })
    assert.deepEqual(await find({}), { ids: hot, archive: 'available' })
    assert.deepEqual(await find({ archive: true }), { ids: [...hot, idOf(9)], archive: 'used' })
  })

  test('a torn file costs its day alone, and is named', async (t) => {
    const { store, dir, reader } = await archivedStore(t, lives([9, 10, 11]))
    await forget(store, [9, 10, 11].map(idOf))
    const folder = join(dir, 'job/site=fab1/dt=2026-03-10')
    const [file = ''] = readdirSync(folder)
    truncateSync(join(folder, file), 100)
    const { items, completeness } = await reader.findJobs(
      { time: 'started', order: 'asc', limit: 10, archive: true },
      signal,
    )
    assert.deepEqual(
      items.map(({ id }) => id),
      [idOf(9), idOf(11)],
    )
    const [gap, ...others] = completeness.archiveMissing
    assert.deepEqual([gap?.from, gap?.to, others], [dayAt(10).from, dayAt(11).from, []])
    assert.match(gap?.why ?? '', /dt=2026-03-10.*has 100 bytes, not the \d+ of its manifest/)
    await assert.rejects(reader.getJob(idOf(10), signal), {
      code: 'unavailable',
      message: /is in the archive, and cannot be read: .*dt=2026-03-10/,
    })
  })

  test('an archive that cannot be read is told, and the hot store answers as always', async (t) => {
    const { store, dir, reader } = await archivedStore(t, lives([9, 13]))
    await dropEvents(store, 14)
    await forget(store, [idOf(9)])
    renameSync(dir, `${dir}-away`)
    const list = { time: 'ended', order: 'desc', limit: 10, archive: true } as const
    const { items, completeness, nextCursor } = await reader.findJobs(list, signal)
    assert.deepEqual([items.map(({ id }) => id), nextCursor], [[idOf(13)], null])
    assert.equal(completeness.archive, 'unreachable')
    const [gap] = completeness.archiveMissing
    assert.deepEqual(gap?.from, '1970-01-01T00:00:00.000000Z')
    assert.match(gap?.why ?? '', /ARCHIVE_DIR: there is no folder/)
    const events = await reader.findEvents(
      idOf(13),
      { order: 'asc', limit: 10, archive: true },
      signal,
    )
    assert.equal(events.completeness?.archive, 'unreachable')
    assert.equal(events.completeness?.archiveMissing.length, 1)
    await assert.rejects(reader.getJob(idOf(9), signal), {
      code: 'unavailable',
      message: /is in the archive, and cannot be read: ARCHIVE_DIR: there is no folder/,
    })
  })

  test('200 files and the time bound a page, which leads on to the end: each job once', async (t) => {
    const days = [2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13]
    const { store, dir } = await archivedStore(t, lives(days))
    await forget(store, days.map(idOf))
    const place = new FolderPlace(dir)
    for (const [what, files, bounds] of [
      ['files', 67, standardBounds],
      // Each day takes longer than that.
      ['time', 1, { files: 200, ms: 1, lastMs: 60_000 }],
    ] as const) {
      const source: DaySource = {
        open: async () => {},
        async *readDay(question, _, stop) {
          await new Promise((resolve) => setTimeout(resolve, 2))
          for await (const batch of readDay(place, question, stop)) yield { ...batch, files }
        },
      }
      const reader = readerOf(store, source, bounds)
      for (const order of ['asc', 'desc'] as const) {
        for (const status of [undefined, ['failed'] as const]) {
          const list = { time: 'started', order, limit: 100, archive: true, status } as const
          const pages = await findAll(reader, 'job', list)
          const found = pages.flatMap(({ items }) => items.map(({ id }) => id))
          const all = status ? [] : days.map(idOf)
          assert.deepEqual(found, order === 'asc' ? all : all.reverse(), what)
          assert.ok(pages.length >= 3, `${what}: ${pages.length} pages`)
          assert.ok(pages.every(({ completeness }) => completeness.archive === 'used'))
        }
      }
    }
  })
})

/** A job that begins and ends on each of these days; its number is that of the day. */
const lives = (days: readonly number[]) =>
  days.flatMap((day) => [eventOf(day, day, 'started'), eventOf(day, day, 'finished', 60)])

const atDay = (day: number, second = 0) => fromMs(Date.UTC(2026, 2, day, 12, 0, second))

/** What a program says of job `n` at noon of a day. */
function eventOf(n: number, day: number, kind: string, second = 0): Event {
  const at = atDay(day, second)
  const metadata = kind === 'started' ? { tool: 'E1' } : {}
  return {
    idempotency_key: `d0000000-0000-4000-8000-${String(n * 10_000 + day * 100 + second).padStart(12, '0')}`,
    site_id: 'fab1',
    app: { app_id: idOf(900), name: 'etch', version: '1' },
    entity: { type: 'job', id: idOf(n), business_key: `L${n}` },
    event: { kind: kind as Kind, at, ...(kind === 'started' ? { metadata } : {}) },
    received_at: at,
  } as Event
}

const dayOf = (event: unknown) => Number((event as { at: string }).at.slice(8, 10))

/** A database with these events, all of whose days are archived, and what was asked of the archive. */
async function archivedStore(t: TestContext, events: readonly Event[]) {
  const { store } = await openStore(t, 'plain')
  await takeIn(store, events)
  const dir = join(freshFolder(), 'archive')
  mkdirSync(dir)
  await archivedAll(store, dir)
  const asked: string[] = []
  const inner = sourceOf(new FolderPlace(dir))
  const reader = readerOf(store, {
    open: async () => {},
    readDay(question, endsAt, stop) {
      asked.push(`${question.kind} ${question.day}`)
      return translated(inner.readDay(question, endsAt, stop))
    },
  })
  return { store, dir, reader, asked }
}

/** As the host tells it. */
async function* translated<T>(batches: AsyncIterable<T>): AsyncGenerator<T> {
  try {
    yield* batches
  } catch (error) {
    if (!(error instanceof AppError)) throw error
    throw new AppError('unreachable', error.message)
  }
}

/** Raw events before a day of March leave the hot store. */
async function dropEvents(store: Store, day: number) {
  await run(store, `delete from event where at < '${dayAt(day).from}'`)
  await run(store, `update horizon set dropped_before = '${dayAt(day).from}'`)
}

/** The archive tells of one that never ended that it was active until its last event, and no longer. */
function isForgotten(job: Job, { time, from, q }: JobFilter): boolean {
  if (time !== 'active' || from === undefined || job.endedAt !== null) return false
  if (q !== undefined && (job.jobKey === q || job.id === q)) return false
  return job.startedAt < from && job.lastEventAt < from
}
