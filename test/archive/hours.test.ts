import assert from 'node:assert/strict'
import { cpSync, readFileSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { describe, type TestContext, test } from 'node:test'
import { addHold, releaseHold } from '../../src/archive/hold.ts'
import { hourManifestPath, manifestPath } from '../../src/archive/layout.ts'
import { FolderPlace } from '../../src/archive/places/folder.ts'
import { dropArchived } from '../../src/archive/retention.ts'
import { verifyArchive } from '../../src/archive/verify.ts'
import type { Store } from '../../src/store/connect.ts'
import { ingest } from '../../src/store/ingest.ts'
import { freshFolder } from '../support/processes.ts'
import { hourEvents } from './hours-fixture.ts'
import { expired, shortly } from './old-days.ts'
import {
  archived,
  archivedAll,
  closedDay,
  compacted,
  dayAt,
  deleted,
  duck,
  eventAt,
  expire,
  freeze,
  run,
  settle,
  takeIn,
} from './support.ts'

/* An archive that the version before days has written, by the hour. */

const ddl = readFileSync(new URL('../../sql/archive/duckdb.sql', import.meta.url), 'utf8')

function hoursArchive(): string {
  const dir = freshFolder()
  cpSync(new URL('hours', import.meta.url), dir, { recursive: true })
  return dir
}

async function verified(dir: string) {
  const found = []
  for await (const item of verifyArchive(new FolderPlace(dir), { deep: true })) found.push(item)
  return found
}

/** Its hours, on record as that version had them; `event` has them and more of the day. */
async function upgraded(t: TestContext, more = [eventAt(9 * 3600, {}, 1)]) {
  const dir = hoursArchive()
  const { store } = await closedDay(t, [])
  await takeIn(store, [...hourEvents(), ...more], 2)
  await onRecord(store, dir)
  return { store, dir }
}

/** Puts its hours on record as that version had them. */
async function onRecord(store: Store, dir: string): Promise<void> {
  for (const hour of [13, 14]) {
    const path = join(
      dir,
      hourManifestPath({ site: 'fab1', from: `2026-03-01T${hour}:00:00.000000Z` }),
    )
    for (const file of JSON.parse(readFileSync(path, 'utf8')).files) {
      await run(
        store,
        `insert into archive_file (kind, site_id, starts_at, ends_at, path, rows, bytes, sha256, at_min, at_max) values (
           '${file.table}', 'fab1', '2026-03-01T${hour}:00Z', '2026-03-01T${hour + 1}:00Z', '${file.path}',
           ${file.rows}, ${file.bytes}, '${file.sha256}', '${file.at_min}', '${file.at_max}')`,
      )
    }
  }
}

describe('hours that an earlier version archived', () => {
  test('are read and verified', async () => {
    const found = await verified(hoursArchive())
    assert.deepEqual(
      found.map((item) => ('problem' in item ? item : [item.day, item.hour, item.rows])),
      [13, 14].map((hour) => ['2026-03-01', hour, { event: 5, job: 4, subjob: 1 }]),
    )
    const dir = hoursArchive()
    const [row] = await duck(
      ddl,
      `select (select count(*)::int from archived_hours_event('${dir}') where event_at >= '2026-03-01') as events,
         (select count(*)::int from archived_hours_job('${dir}')) as jobs,
         (select count(*)::int from archived_hours_subjob('${dir}')) as subjobs`,
    )
    assert.deepEqual(row, { events: 10, jobs: 8, subjobs: 2 })
  })

  test('are deleted for their age as a day, and held by a key in them', async (t) => {
    const dir = hoursArchive()
    const { store } = await closedDay(t, [])
    await onRecord(store, dir)
    const rules = [{ site: null, kind: 'event' as const, years: 0 }]
    const scope = { site: null, from: null, to: null, key: 'lot 140000000003' }
    const who = { reason: 'recall', by: 'legal' }
    const { id } = await addHold(new FolderPlace(dir), scope, who)
    assert.deepEqual(shortly(await expired(store, dir, rules)), ['fab1 2026-03-01 event: held'])
    await releaseHold(new FolderPlace(dir), id, who)
    assert.deepEqual(shortly(await expired(store, dir, rules)), ['fab1 2026-03-01 event: deleted'])
    const [day, ...others] = await verified(dir)
    assert.ok(day && !('problem' in day) && others.length === 0)
    assert.deepEqual([day.rows, day.expired?.event?.rows], [{ event: 0, job: 8, subjob: 2 }, 10])
    const kinds = await run(store, 'select distinct kind from archive_file order by 1')
    assert.deepEqual(
      kinds.map(({ kind }) => kind),
      ['job', 'subjob'],
    )
  })

  test('become part of their day, whose first manifest has the rest', async (t) => {
    const { store, dir } = await upgraded(t)
    await archived(store, dir, dayAt(1))
    const manifest = JSON.parse(readFileSync(join(dir, manifestPath(dayAt(1), 1)), 'utf8'))
    assert.deepEqual(manifest.rows, { event: 11, job: 8 + 9, subjob: 2 + 2 })
    assert.deepEqual(
      (await verified(dir)).map((item) => 'problem' in item && item),
      [false],
    )
    const [row] = await duck(
      ddl,
      `select (select count(*)::int from archived_hours_event('${dir}')) as hours,
         (select count(*)::int from archived_event('${dir}')) as days,
         (select count(*)::int from archived_job('${dir}')) as jobs,
         (select count(*)::int from archived_subjob('${dir}')) as subjobs`,
    )
    assert.deepEqual(row, { hours: 10, days: 1, jobs: 9, subjobs: 2 })
    // A late event that one of the hours has already, and one that it has not.
    await freeze(store, 2)
    await run(store, 'update horizon set dropped_before = frozen_before')
    await run(store, 'truncate event')
    await run(store, 'update job set event_hashes = null')
    const [again] = hourEvents()
    await ingest(store, [again!, eventAt(13 * 3600 + 7, {}, 1)])
    const { repeats, files } = await archived(store, dir, dayAt(1))
    assert.equal(repeats, 1)
    assert.equal(files.find(({ kind }) => kind === 'event')?.rows, 1)
    assert.equal((await run(store, 'select from event_late')).length, 0)
  })

  test('stay as they are when their day is compacted, and so do rows that hide theirs', async (t) => {
    const { store, dir } = await upgraded(t)
    const day = dayAt(1)
    await archived(store, dir, day)
    await freeze(store, 2)
    const [moving] = hourEvents()
    for (let part = 1; part <= 9; part++) {
      const second = 20 * 3600 + part
      const left = { ...eventAt(second, { ended_at: dayAt(2).from }, 1), entity: moving!.entity }
      await ingest(store, [eventAt(second + 20, {}, 1), ...(part === 5 ? [left] : [])])
      // The day after is closed for what moves there.
      await freeze(store, 3)
      await archivedAll(store, dir)
    }
    const place = new FolderPlace(dir)
    const kinds = await compacted(store, place, { day })
    assert.deepEqual(
      kinds.map(({ kind, after }) => [kind, after.files]),
      [
        ['event', 1],
        ['job', 1],
      ],
    )
    await deleted(store, place, day)
    assert.deepEqual(
      (await verified(dir)).filter((item) => 'problem' in item),
      [],
    )
    const [row] = await duck(
      ddl,
      `select (select count(*)::int from archived_hours_event('${dir}')) as hours,
         (select count(*)::int from archived_event('${dir}')) as days,
         (select count(*)::int from read_parquet('${dir}/job/site=fab1/dt=2026-03-01/*.parquet')
            where moved_to is not null and job_id = '${moving!.entity.id}') as moved`,
    )
    assert.deepEqual(row, { hours: 10, days: 11, moved: 1 })
  })

  test('let raw events go once the day is whole, and keep them until then', async (t) => {
    const { store, dir } = await upgraded(t)
    await expire(store)
    await settle(store)
    const options = { store, place: new FolderPlace(dir), retentionHours: 72 }
    const drop = () =>
      dropArchived({
        ...options,
        signal: new AbortController().signal,
        assertOurs: async () => {},
        onDropped: () => {},
      })
    assert.match((await drop())?.why ?? '', /the archive has 10 events, the database 11/)
    await archived(store, dir, dayAt(1))
    assert.equal(await drop(), undefined)
    assert.equal((await run(store, 'select from event')).length, 0)
  })

  test('are not written again when their manifest was lost', async (t) => {
    const { store, dir } = await upgraded(t)
    rmSync(join(dir, hourManifestPath({ site: 'fab1', from: '2026-03-01T13:00:00.000000Z' })))
    await assert.rejects(
      archived(store, dir, dayAt(1)),
      /lacks the manifest of an hour that was archived/,
    )
  })
})
