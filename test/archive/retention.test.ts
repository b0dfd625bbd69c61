import assert from 'node:assert/strict'
import { readFileSync, renameSync, truncateSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, type TestContext, test } from 'node:test'
import { manifestPath } from '../../src/archive/layout.ts'
import { FolderPlace } from '../../src/archive/places/folder.ts'
import { dropArchived } from '../../src/archive/retention.ts'
import { connect, type Store } from '../../src/store/connect.ts'
import { ingest } from '../../src/store/ingest.ts'
import { trimJobs } from '../../src/store/maintenance.ts'
import { dropUnarchived } from '../../src/store/retention.ts'
import { type Edition, needsTimescale } from '../support/database.ts'
import { freshFolder } from '../support/processes.ts'
import { archived, closedDay, dayAt, eventAt, expire, run } from './support.ts'

const some = (n: number, day = 13) => Array.from({ length: n }, (_, i) => eventAt(i, {}, day))

/** Forty events of a day, archived, noted and long past retention. */
async function expired(t: TestContext, edition: Edition = 'plain') {
  const { store, url } = await closedDay(t, some(40), edition)
  const dir = freshFolder()
  const { files } = await archived(store, dir)
  await expire(store)
  return { store, url, dir, event: files.find(({ kind }) => kind === 'event')! }
}

/** @returns what it waits for, and how many partitions went */
async function drop(store: Store, dir: string) {
  const gone: string[] = []
  const held = await dropArchived({
    store,
    place: new FolderPlace(dir),
    retentionHours: 72,
    signal: new AbortController().signal,
    assertOurs: async () => {},
    onDropped: (names) => gone.push(...names),
  })
  return { why: held?.why, wrong: held?.wrong, gone: gone.length }
}

async function events(store: Store): Promise<unknown> {
  const [row] = await run(store, 'select count(*)::int as n from event')
  return row?.n
}

/** The end of the last partition or chunk that had events. */
const droppedBefore = { plain: '2026-03-14T00:00Z', timescale: '2026-03-13T01:00Z' }

describe('raw events past retention', () => {
  for (const edition of ['plain', 'timescale'] as const) {
    const options = edition === 'plain' ? {} : needsTimescale
    test(`go once they are archived, and nothing else does (${edition})`, options, async (t) => {
      const { store, dir } = await expired(t, edition)
      await ingest(store, [eventAt(50)])
      assert.deepEqual(await drop(store, dir), { why: undefined, wrong: undefined, gone: 1 })
      const [left] = await run(
        store,
        `select (select count(*)::int from event) as events, (select count(*)::int from job) as jobs,
           (select count(*)::int from event_late) as late,
           (select dropped_before from horizon) >= '${droppedBefore[edition]}' as moved`,
      )
      assert.deepEqual({ ...left }, { events: 0, jobs: 41, late: 1, moved: true })
    })
  }

  test('stay when a count on record is not that of the database', async (t) => {
    const { store, dir } = await expired(t)
    await run(store, `update archive_file set rows = 39 where kind = 'event'`)
    assert.deepEqual(await drop(store, dir), {
      why: 'fab1 2026-03-13: the archive has 39 events, the database 40',
      wrong: true,
      gone: 0,
    })
    assert.equal(await events(store), 40)
  })

  test('stay when the day of one site is not archived', async (t) => {
    const { store, dir } = await expired(t)
    await run(store, `update event set site_id = 'fab2' where at < '2026-03-13T00:00:01Z'`)
    const { why, wrong, gone } = await drop(store, dir)
    assert.match(why ?? '', /^fab1 .*has 40 events, the database 39$/)
    assert.deepEqual([wrong, gone], [true, 0])
    await run(store, `update event set site_id = 'fab2'`)
    assert.match((await drop(store, dir)).why ?? '', /^fab1 .*has 40 events, the database 0$/)
    await run(store, 'delete from archive_file')
    assert.match((await drop(store, dir)).why ?? '', /^fab2 .*has 0 events, the database 40$/)
    assert.equal(await events(store), 40)
  })

  test('stay while a file or a manifest is not as it was noted', async (t) => {
    const { store, dir, event } = await expired(t)
    const file = join(dir, event.path)
    const manifest = join(dir, manifestPath(dayAt(), 1))
    const whole = new Map([file, manifest].map((path) => [path, readFileSync(path)]))
    const flipped = Buffer.from(whole.get(file)!)
    flipped[1000]! ^= 1
    const edited = (from: string, to: string) =>
      writeFileSync(manifest, String(whole.get(manifest)).replaceAll(from, to))
    const spoilt: [() => void, RegExp][] = [
      [() => writeFileSync(file, flipped), /reads back differently: its SHA-256/],
      [() => truncateSync(file, 100), /has 100 bytes, not/],
      [() => renameSync(file, `${file}.away`), /\.parquet is missing/],
      [() => renameSync(manifest, `${manifest}.away`), /lacks a manifest that it had/],
      [() => writeFileSync(manifest, '{'), /is not JSON/],
      [() => edited(event.sha256, '0'.repeat(64)), /is not the manifest that was written/],
      [() => edited('"event": 40', '"event": 41'), /lists files with 40 rows of event, not 41/],
    ]
    for (const [spoil, why] of spoilt) {
      spoil()
      const held = await drop(store, dir)
      assert.match(held.why ?? '', why)
      assert.deepEqual([held.wrong, held.gone, await events(store)], [true, 0, 40])
      for (const [path, bytes] of whole) writeFileSync(path, bytes)
    }
    assert.equal((await drop(store, dir)).gone, 1)
  })

  test('stay while some were stored recently, whatever their own times say', async (t) => {
    const { store, dir } = await expired(t)
    await run(store, `update event set stored_at = now() where at < '2026-03-13T00:00:01Z'`)
    const { why, wrong, gone } = await drop(store, dir)
    assert.match(why ?? '', /^some of the events were taken in at 20/)
    assert.deepEqual([wrong, gone], [false, 0])
  })

  test('stay while a job of theirs is running, but not for one that fell silent', async (t) => {
    const { store, dir } = await expired(t)
    const [job] = await run(
      store,
      `update job set end_status = null, ended_at = null, updated_at = now()
       where job_id = (select min(job_id::text)::uuid from job) returning job_id::text as id`,
    )
    assert.deepEqual(await drop(store, dir), {
      why: `${job?.id} has not ended`,
      wrong: false,
      gone: 0,
    })
    await run(store, `update job set updated_at = now() - interval '73 hours'`)
    assert.equal((await drop(store, dir)).gone, 1)
  })

  test('stay above the freeze horizon, however short retention is', async (t) => {
    const { store, dir } = await expired(t)
    await run(store, `update horizon set frozen_before = '2026-03-13T00:30Z'`)
    assert.deepEqual(await drop(store, dir), { why: undefined, wrong: undefined, gone: 0 })
    assert.equal(await events(store), 40)
  })

  test('go oldest first; what has to wait holds up those after it', async (t) => {
    const { store, dir } = await expired(t)
    await run(store, `select make_event_partitions('2026-02-27T00:00Z', '2026-03-01T00:00Z')`)
    await run(
      store,
      `insert into event select (jsonb_populate_record(e, jsonb_build_object('at', day + interval '13 hours'))).*
       from event e, unnest(array['2026-02-27T00:00Z', '2026-02-28T00:00Z']::timestamptz[]) day
       where at < '2026-03-13T00:00:01Z'`,
    )
    assert.deepEqual(await drop(store, dir), {
      why: 'fab1 2026-02-27: the archive has 0 events, the database 1',
      wrong: true,
      gone: 0,
    })
    await run(store, `delete from event where at < '2026-02-28'`)
    const { why, gone } = await drop(store, dir)
    assert.match(why ?? '', /^fab1 2026-02-28: /)
    assert.deepEqual([gone, await events(store)], [1, 41])
  })

  test('go when a crash came between the mark of what is dropped and the drop', async (t) => {
    const { store, dir, event } = await expired(t)
    await run(store, `update horizon set dropped_before = '2026-03-14T00:00Z'`)
    const path = join(dir, event.path)
    renameSync(path, `${path}.away`)
    const held = await drop(store, dir)
    assert.match(held.why ?? '', /is missing, although a manifest names it/)
    renameSync(`${path}.away`, path)
    assert.deepEqual(await drop(store, dir), { why: undefined, wrong: undefined, gone: 1 })
  })

  test('wait for the next round when the database is busy', async (t) => {
    const { store, url, dir } = await expired(t)
    const other = connect(url, { role: 'test', max: 1 })
    t.after(() => other.close())
    const op = { operation: 'test', table: 'none' }
    await other.begin(op, async (tx) => {
      await tx`select pg_advisory_xact_lock_shared(7002)`
      assert.deepEqual(await drop(store, dir), {
        why: 'the database is busy',
        wrong: false,
        gone: 0,
      })
    })
    assert.equal((await drop(store, dir)).gone, 1)
  })
})

describe('jobs without an event for 90 days', () => {
  const trim = (store: Store, archive: boolean) =>
    trimJobs(store, new AbortController().signal, 90, archive)

  test('go only as the archive has them, unless there is none', async (t) => {
    const { store } = await expired(t)
    const ago = (days: number) => `now() - interval '${days} days'`
    await run(store, `update job set last_event_at = ${ago(100)}`)
    // As it was archived, but for one that changed since, one that was never archived, and one that left a day which does
    // not say so yet.
    await run(store, `update job set updated_at = ${ago(95)}`)
    await run(store, `update archived_job set updated_at = (select max(updated_at) from job)`)
    const nth = (n: number) => `(select job_id from job order by job_id offset ${n} limit 1)`
    await run(store, `update job set updated_at = ${ago(94)} where job_id = ${nth(0)}`)
    await run(store, `delete from archived_job where id = ${nth(1)}`)
    await run(
      store,
      `insert into archive_move values ('job', ${nth(2)}, 'fab1', '2026-03-12', 2, 'site=fab1/dt=2026-03-13')`,
    )
    assert.equal(await trim(store, true), 37)
    const [row] = await run(
      store,
      `select count(*)::int as n from archived_job a where deleted
         and not exists (select from job where job_id = a.id)`,
    )
    assert.equal(row?.n, 37)
    assert.equal(await trim(store, false), 3)
  })
})

describe('raw events without an archive', () => {
  const never = new AbortController().signal
  /** Of two days, the older one long past retention. */
  async function old(t: TestContext) {
    const { store } = await closedDay(t, some(5))
    await expire(store)
    return store
  }

  test('go by age, the late ones too, and a repeat is still known by its source', async (t) => {
    const source = { id: 'node-1', epoch: 'first', seq: 1 }
    const store = await old(t)
    const late = { ...eventAt(50), source }
    await ingest(store, [late])
    await run(store, `update event_late set stored_at = now() - interval '30 days'`)
    assert.equal((await dropUnarchived(store, 72, never)).length, 1)
    assert.equal(await events(store), 0)
    assert.equal((await run(store, 'select from event_late')).length, 0)
    assert.deepEqual((await ingest(store, [late])).verdicts, ['duplicate'])
  })

  test('that were restored stay for the time that was asked for', async (t) => {
    const store = await old(t)
    await ingest(store, [eventAt(50)])
    await run(
      store,
      `update event_late set stored_at = now() - interval '30 days', restored_until = now() + interval '7 days'`,
    )
    await dropUnarchived(store, 72, never)
    assert.equal((await run(store, 'select from event_late')).length, 1)
  })

  test('stay while they are young, whatever their own time says', async (t) => {
    const store = await old(t)
    await run(store, `update event set stored_at = now() - interval '71 hours'`)
    await ingest(store, [eventAt(50)])
    assert.deepEqual(await dropUnarchived(store, 72, never), [])
    assert.equal(await events(store), 5)
    assert.equal((await run(store, 'select from event_late')).length, 1)
  })
})
