import assert from 'node:assert/strict'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, type TestContext, test } from 'node:test'
import { isDue, sourceOf } from '../../src/archive/due-day.ts'
import { manifestPath } from '../../src/archive/layout.ts'
import { FolderPlace } from '../../src/archive/places/folder.ts'
import { dropArchived } from '../../src/archive/retention.ts'
import { type DueDay, dueDays } from '../../src/store/archive/days.ts'
import type { Store } from '../../src/store/connect.ts'
import { ingest } from '../../src/store/ingest.ts'
import { freshFolder } from '../support/processes.ts'
import {
  archived,
  closedDay,
  dayAt,
  duck,
  eventAt,
  expire,
  exported,
  run,
  wait,
} from './support.ts'

const some = (n: number) => Array.from({ length: n }, (_, i) => eventAt(i))

/** A day of ten events and jobs in the archive, in which more can only come late. */
async function archivedDay(t: TestContext) {
  const { store } = await closedDay(t, some(10))
  const dir = freshFolder()
  await archived(store, dir)
  return { store, dir }
}

const count = async (store: Store, table: string) =>
  Number((await run(store, `select count(*)::int as n from ${table}`))[0]?.n)

const archivedKeys = async (dir: string) =>
  (
    await duck(
      `select idempotency_key as k from read_parquet('${dir}/event/*/*/*.parquet') order by 1`,
    )
  ).map(({ k }) => String(k))

describe('late events of an archived day', () => {
  test('never leave event_late: they become a further part of it, and leave', async (t) => {
    const { store, dir } = await archivedDay(t)
    const late = [eventAt(50), eventAt(60)]
    await ingest(store, late)
    const { files } = await archived(store, dir)
    assert.deepEqual(
      files.map(({ kind, rows }) => [kind, rows]),
      [
        ['event', 2],
        ['job', 2],
      ],
    )
    assert.equal(await count(store, 'event_late'), 0)
    const manifest = JSON.parse(readFileSync(join(dir, manifestPath(dayAt(), 2)), 'utf8'))
    assert.deepEqual(manifest.rows, { event: 12, job: 12, subjob: 0 })
    assert.deepEqual([manifest.late_events, manifest.seq], [2, 2])
    assert.equal(new Set(await archivedKeys(dir)).size, 12)
    assert.deepEqual(await dueDays(store), [])
  })

  test('that came again are dropped, counted, and taken back from the counts of their job', async (t) => {
    const { store, dir } = await archivedDay(t)
    const error = eventAt(50, { kind: 'error', status: null })
    await ingest(store, [error])
    await archived(store, dir)
    // Its raw row is gone, and its job has forgotten it: it counts a second time.
    await run(store, 'update job set event_hashes = null')
    assert.deepEqual((await ingest(store, [error])).verdicts, ['stored'])
    const jobOf = async () => {
      const [row] = await run(
        store,
        `select event_count, error_count from job where job_id = '${error.entity.id}'`,
      )
      return { ...row }
    }
    assert.deepEqual(await jobOf(), { eventCount: 2, errorCount: 2 })
    const { repeats, files } = await archived(store, dir)
    assert.deepEqual(await jobOf(), { eventCount: 1, errorCount: 1 })
    assert.deepEqual([repeats, files.some(({ kind }) => kind === 'event')], [1, false])
    assert.equal(await count(store, 'event_late'), 0)
    assert.equal((await archivedKeys(dir)).length, 11)
    await archived(store, dir)
    const [last] = await duck(
      `select event_count::int as n from read_parquet('${dir}/job/*/*/*.parquet')
       where job_id = '${error.entity.id}' order by version desc limit 1`,
    )
    assert.equal(last?.n ?? 1, 1, 'the archive has the right count')
  })

  test('that come while a part is written stay for the next one', async (t) => {
    const { store, dir } = await archivedDay(t)
    const [first, second] = [eventAt(50), eventAt(60)]
    await ingest(store, [first])
    const source = sourceOf(store, dayAt())
    await exported(store, dir, {
      source: {
        ...source,
        read: (kind, wanted, consume) =>
          source.read(kind, wanted, async (rows) => {
            if (kind === 'event') await ingest(store, [second])
            return consume(rows)
          }),
      },
    })
    await archived(store, dir)
    assert.equal(await count(store, 'event_late'), 0)
    const keys = await archivedKeys(dir)
    assert.deepEqual([keys.length, new Set(keys).size], [12, 12])
    const [job] = await run(
      store,
      `select event_count from job where job_id = '${second.entity.id}'`,
    )
    assert.equal(job?.eventCount, 1)
  })

  test('are no repeats after a crash between the manifest and its record', async (t) => {
    const { store, dir } = await archivedDay(t)
    const late = eventAt(50)
    await ingest(store, [late])
    await exported(store, dir)
    assert.equal(await count(store, 'event_late'), 1)
    assert.equal((await archived(store, dir)).repeats, 0)
    assert.equal(await count(store, 'event_late'), 0)
    assert.equal((await archivedKeys(dir)).length, 11)
    const [job] = await run(store, `select event_count from job where job_id = '${late.entity.id}'`)
    assert.equal(job?.eventCount, 1)
  })

  test('keep nothing from being dropped that was in time', async (t) => {
    const { store, dir } = await archivedDay(t)
    await ingest(store, [eventAt(50)])
    await archived(store, dir)
    await expire(store)
    const held = await dropArchived({
      ...{ store, place: new FolderPlace(dir), retentionHours: 72, onDropped: () => {} },
      ...{ signal: new AbortController().signal, assertOurs: async () => {} },
    })
    assert.equal(held, undefined)
    assert.equal(await count(store, 'event'), 0)
  })

  test('stay when the part does not read back', async (t) => {
    const { store, dir } = await archivedDay(t)
    await ingest(store, [eventAt(50)])
    const [file] = await exported(store, dir)
    const path = join(dir, file!.path)
    const bytes = readFileSync(path)
    bytes[100]! ^= 1
    writeFileSync(path, bytes)
    await assert.rejects(archived(store, dir), /reads back differently/)
    assert.equal(await count(store, 'event_late'), 1)
  })
})

describe('a day', () => {
  const day: DueDay = {
    ...dayAt(),
    ...{ archived: true, events: 0, late: 0, lateS: 0, changed: 0, changedS: 0, quietS: 7200 },
    ...{ moves: 0, frozenS: 0 },
  }
  const cases: [string, Partial<DueDay>, boolean][] = [
    ['not with young late events', { late: 9999, lateS: 23 * 3600 }, false],
    ['with late events that have waited', { late: 1, lateS: 24 * 3600 }, true],
    ['with 10,000 late events', { late: 10_000, lateS: 1 }, true],
    ['with changed jobs that have waited', { changed: 1, changedS: 24 * 3600 }, true],
    ['not with young changes', { changed: 1, changedS: 3600 }, false],
    ['with a job that has left it', { moves: 1 }, true],
    ['for the first time once its jobs have settled', { archived: false, events: 1 }, true],
    ['not while its jobs change', { archived: false, events: 1, changed: 1, quietS: 60 }, false],
    [
      'half a day after it froze, if it holds raw events',
      { archived: false, events: 1, changed: 1, quietS: 60, frozenS: 12 * 3600 },
      true,
    ],
    ['not with late events alone that are young', { archived: false, late: 1, lateS: 60 }, false],
  ]
  for (const [what, more, due] of cases) {
    test(`is due ${what}`, () => assert.equal(isDue({ ...day, ...more }, 24), due))
  }

  test('tells what waits: no gauge is 0 by what is not looked at', async (t) => {
    const { store } = await archivedDay(t)
    await ingest(store, [eventAt(50)])
    await wait(store, 25)
    const [due, ...more] = await dueDays(store)
    assert.deepEqual(more, [])
    assert.deepEqual([due?.archived, due?.late, due?.changed], [true, 1, 1])
    assert.ok(due && isDue(due, 24) && !isDue(due, 26))
  })
})
