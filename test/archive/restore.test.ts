import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import { FolderPlace } from '../../src/archive/places/folder.ts'
import { restore } from '../../src/archive/run-restore.ts'
import type { Event } from '../../src/core/event.ts'
import { dueDays } from '../../src/store/archive/days.ts'
import { closeLost } from '../../src/store/close-lost.ts'
import { connect } from '../../src/store/connect.ts'
import { ingest } from '../../src/store/ingest.ts'
import { trimJobs } from '../../src/store/maintenance.ts'
import { findOrphans } from '../../src/store/orphans.ts'
import { storeReader } from '../../src/store/store-reader.ts'
import { freshDatabase } from '../support/database.ts'
import { arbitraryArrival } from '../support/histories.ts'
import { freshFolder, program } from '../support/processes.ts'
import { emptyStore } from '../support/rollups.ts'
import { runs } from '../support/wild.ts'
import {
  age,
  all,
  count,
  eventsOf,
  goneArchive,
  retention,
  shown,
  shownSql,
  statsOf,
  timeIsUp,
} from './gone-archive.ts'
import { archivedAll, closedDay, eventAt, log, run, takeIn } from './support.ts'

/* What was archived and deleted comes back, for a while, and nothing of it counts twice. */

const { signal } = new AbortController()

describe('a restore', () => {
  test('puts everything back as it was, once, and retention takes it again', async (t) => {
    const { store, dir, rollups, before, eventsBefore, stats } = await goneArchive(t)
    const place = new FolderPlace(dir)
    const first = await restore(place, store, all)
    assert.deepEqual(
      [first.job, first.subjob, first.event],
      [
        { restored: 6, kept: 0 },
        { restored: 5, kept: 0 },
        { restored: 21, kept: 0 },
      ],
    )
    assert.deepEqual(await shown(store), before)
    assert.deepEqual(await eventsOf(store), eventsBefore)

    const second = await restore(place, store, all)
    assert.deepEqual(
      [second.job, second.subjob, second.event],
      [
        { restored: 0, kept: 6 },
        { restored: 0, kept: 5 },
        { restored: 0, kept: 21 },
      ],
    )
    await rollups.make()
    await findOrphans(store)
    await archivedAll(store, dir)
    await retention(store, dir)
    assert.deepEqual(await shown(store), before, 'its time has not passed')
    assert.deepEqual(await eventsOf(store), eventsBefore)
    assert.deepEqual(await statsOf(store), stats)

    await timeIsUp(store)
    await retention(store, dir)
    await rollups.make()
    for (const table of ['job', 'subjob', 'event_late']) assert.equal(await count(store, table), 0)
    const after = await shown(store)
    assert.deepEqual(
      [after.manifests, after.archived, after.due],
      [before.manifests, before.archived, 0],
    )
    assert.deepEqual(await statsOf(store), stats)

    await restore(place, store, all)
    await rollups.make()
    assert.deepEqual(await shown(store), before, 'as often as is wanted')
    assert.deepEqual(await statsOf(store), stats)
  })

  test('while deletions still wait for the rollups counts nothing twice', async (t) => {
    const { store, dir, rollups, stats } = await goneArchive(t)
    assert.ok((await count(store, 'job_stats_gone')) > 0)
    await restore(new FolderPlace(dir), store, all)
    await rollups.make()
    assert.deepEqual(await statsOf(store), stats)
    await timeIsUp(store)
    await retention(store, dir)
    await rollups.make()
    await restore(new FolderPlace(dir), store, all)
    await rollups.make()
    assert.deepEqual(await statsOf(store), stats)
  })

  test('lets an event that is sent again be a repeat, and one that is new count', async (t) => {
    const { store, dir, events, before } = await goneArchive(t)
    await restore(new FolderPlace(dir), store, all)
    const { verdicts } = await ingest(store, events)
    assert.deepEqual(new Set(verdicts), new Set(['duplicate']))
    assert.deepEqual((await shown(store)).jobs, before.jobs)

    const [first] = events
    assert.ok(first)
    await ingest(store, [
      { ...eventAt(300, { kind: 'error', status: null }), entity: first.entity },
    ])
    await run(store, `update event_late set stored_at = now() - interval '2 days'`)
    await age(store)
    await archivedAll(store, dir)
    const versions = await run(
      store,
      `select version from archived_job where id = '${first.entity.id}'`,
    )
    assert.deepEqual(
      versions.map(({ version }) => version),
      [2],
    )
    const [job] = await run(
      store,
      `select event_count, error_count from job where job_id = '${first.entity.id}'`,
    )
    assert.deepEqual({ ...job }, { eventCount: 4, errorCount: 2 })
    await timeIsUp(store)
    await retention(store, dir)
    for (const table of ['job', 'event_late']) assert.equal(await count(store, table), 0)
  })

  test('leaves what is hot as it is, a part of a deleted job too', async (t) => {
    const { store, dir, events } = await goneArchive(t)
    const [first] = events
    assert.ok(first)
    await ingest(store, [
      { ...eventAt(300, { kind: 'error', status: null }), entity: first.entity },
    ])
    const { job } = await restore(new FolderPlace(dir), store, all)
    assert.deepEqual(job, { restored: 5, kept: 1 })
    const [part] = await run(
      store,
      `select event_count, restored_until from job where job_id = '${first.entity.id}'`,
    )
    assert.deepEqual({ ...part }, { eventCount: 1, restoredUntil: null })
  })

  test('closes no job that never ended, and shows events with their job', async (t) => {
    const { store, dir, events } = await goneArchive(t)
    await restore(new FolderPlace(dir), store, all)
    assert.equal(await closeLost(store, { lostAfterS: 1, log }), 0)
    const reader = storeReader(store, { archive: 'available' })
    const id = events[0]?.entity.id ?? ''
    const page = await reader.findEvents(id, { order: 'asc', limit: 10 }, signal)
    const sent = events.filter(({ entity }) => entity.id === id).map(({ event }) => event.at)
    assert.deepEqual(
      page.items.map((item) => (item as Event).event.at),
      sent,
    )
    const completeness = (await reader.findJobs({ time: 'ended', order: 'asc', limit: 10 }, signal))
      .completeness
    assert.deepEqual([completeness.waiting, completeness.missing], [0, 0])
  })

  test('takes only its span and its sites', async (t) => {
    const { store, dir } = await goneArchive(t)
    const place = new FolderPlace(dir)
    const other = await restore(place, store, { ...all, sites: ['fab2'] })
    assert.deepEqual([other.job.restored, other.event.restored], [0, 0])
    const some = { from: '2026-03-13T00:00:10.000000Z', to: '2026-03-13T00:00:20.000000Z' }
    const { job, event } = await restore(place, store, { ...all, ...some })
    assert.deepEqual([job.restored, event.restored], [1, 4])
  })

  test('into an empty database archives nothing again', async (t) => {
    const { dir, before, ...old } = await goneArchive(t)
    const { url } = await freshDatabase(t)
    const store = connect(url, { role: 'test', max: 2 })
    t.after(() => store.close())
    await run(store, `update horizon set frozen_before = now() - interval '2 days'`)
    await restore(new FolderPlace(dir), store, all)
    assert.deepEqual(await run(store, shownSql('job')), before.jobs)
    assert.deepEqual(await dueDays(store), [])
    await timeIsUp(store)
    await trimJobs(store, signal, 90, true)
    assert.equal(await count(store, 'job'), 0)
    assert.deepEqual(await dueDays(store), [])
    const places = 'select * from archived_job order by kind, id'
    assert.deepEqual(await run(store, places), await run(old.store, places))
  })

  test('of any history shows what was shown', async (t) => {
    const { store } = await closedDay(t, [eventAt(0)])
    await fc.assert(
      fc.asyncProperty(arbitraryArrival(3, 12), async ({ events }) => {
        await emptyStore(store)
        await run(store, 'truncate archive_file, archive_manifest, archived_job, archive_move')
        await run(store, `update horizon set dropped_before = '-infinity', jobs_from = '-infinity'`)
        const dir = freshFolder()
        await takeIn(store, events)
        await age(store)
        await archivedAll(store, dir)
        const kinds = ['job', 'subjob'] as const
        const before = await Promise.all(kinds.map((kind) => run(store, shownSql(kind))))
        await retention(store, dir)
        assert.equal(await count(store, 'job'), 0)
        await restore(new FolderPlace(dir), store, all)
        assert.deepEqual(await Promise.all(kinds.map((kind) => run(store, shownSql(kind)))), before)
      }),
      { numRuns: runs(12), endOnFailure: true },
    )
  })
})

describe('wafermon archive restore', () => {
  const wafermon = (...args: string[]) => {
    const { DATABASE_URL: _, ...env } = process.env
    return spawnSync(process.execPath, [program, 'archive', 'restore', ...args], {
      env,
      encoding: 'utf8',
    })
  }

  test('restores, says how much, and names what cannot be read', async (t) => {
    const { dir, url, store } = await goneArchive(t)
    const span = ['--from', '2026-03-13', '--to', '2026-03-14', '--site', 'fab1', '--keep', '30']
    const at = ['--dir', dir, '--database-url', url]
    const { status, stdout } = wafermon(...span, ...at, '--json')
    assert.equal(status, 0)
    const { jobs, subjobs, events, missing } = JSON.parse(stdout)
    assert.deepEqual(
      { jobs, subjobs, events, missing },
      {
        ...{ jobs: { restored: 6, kept: 0 }, subjobs: { restored: 5, kept: 0 } },
        ...{ events: { restored: 21, kept: 0 }, missing: [] },
      },
    )
    const [kept] = await run(
      store,
      `select min(restored_until) > now() + interval '29 days' as long from job`,
    )
    assert.deepEqual({ ...kept }, { long: true })
    const again = wafermon(...span, ...at).stdout
    assert.match(again, /^0 jobs restored, 6 were there already$/m)
    assert.doesNotMatch(again, /stays? until/)
  })

  const wrong: [string, string[], RegExp][] = [
    [
      'no database',
      ['--from', '2026-03-13', '--to', '2026-03-14'],
      /DATABASE_URL: is the database to restore into/,
    ],
    ['no span', ['--to', '2026-03-14'], /--from <time>/],
    [
      'a day that does not exist',
      ['--from', '2026-02-30', '--to', '2026-03-14'],
      /--from.*day such as 2026-03-01/,
    ],
    [
      'nothing between',
      ['--from', '2026-03-14', '--to', '2026-03-13'],
      /--to: .* is not after --from/,
    ],
    [
      'a site of a path',
      ['--from', '2026-03-13', '--to', '2026-03-14', '--site', '../x'],
      /--site/,
    ],
    [
      'no days',
      ['--from', '2026-03-13', '--to', '2026-03-14', '--keep', '0'],
      /--keep.*from 1 to 366/,
    ],
  ]
  for (const [what, args, message] of wrong) {
    test(`refuses ${what} in a sentence`, () => {
      const { status, stderr } = wafermon(...args, '--dir', freshFolder())
      assert.equal(status, 2)
      assert.match(stderr, message)
    })
  }

  test('refuses a folder that is no archive', async (t) => {
    const { url } = await freshDatabase(t)
    const { status, stderr } = wafermon(
      ...[
        '--from',
        '2026-03-13',
        '--to',
        '2026-03-14',
        '--dir',
        freshFolder(),
        '--database-url',
        url,
      ],
    )
    assert.equal(status, 2)
    assert.match(stderr, /there is no archive in/)
  })
})
