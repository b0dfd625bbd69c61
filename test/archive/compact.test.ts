import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, test } from 'node:test'
import { openFiles, type StoredFile } from '../../src/archive/archive-rows.ts'
import { daysToCompact } from '../../src/archive/compact-day.ts'
import { addHold, releaseHold } from '../../src/archive/hold.ts'
import { manifestPath, toPartition } from '../../src/archive/layout.ts'
import { FolderPlace } from '../../src/archive/places/folder.ts'
import type { Problem } from '../../src/archive/problem.ts'
import { deleteReplaced } from '../../src/archive/replaced.ts'
import { dropArchived } from '../../src/archive/retention.ts'
import { proveRows } from '../../src/archive/row-proof.ts'
import { verifyArchive } from '../../src/archive/verify.ts'
import type { Event } from '../../src/core/event.ts'
import { dueDays } from '../../src/store/archive/days.ts'
import {
  type ArchivedFile,
  recordedFiles,
  recordedManifests,
} from '../../src/store/archive/files.ts'
import { connect, type Store } from '../../src/store/connect.ts'
import { ingest } from '../../src/store/ingest.ts'
import { freshDatabase } from '../support/database.ts'
import { program } from '../support/processes.ts'
import { crowdedDay } from './crowded-day.ts'
import {
  archivedAll,
  compacted,
  dayAt,
  deleted,
  duck,
  eventAt,
  expire,
  leaseOf,
  log,
  run,
} from './support.ts'

const ddl = readFileSync(new URL('../../sql/archive/duckdb.sql', import.meta.url), 'utf8')
const partition = toPartition(dayAt())

const files = (dir: string, kind: string) =>
  existsSync(join(dir, kind, partition)) ? readdirSync(join(dir, kind, partition)).sort() : []

const problems = async (dir: string, store?: Store) => {
  const recorded = store && {
    files: recordedFiles(store),
    manifests: recordedManifests(store),
  }
  const found: Problem[] = []
  const options = { deep: true, ...(recorded ? { recorded } : {}) }
  for await (const item of verifyArchive(new FolderPlace(dir), options)) {
    if ('problem' in item) found.push(item)
  }
  return found
}

/** All that the archive says, as its readers read it. */
const contents = async (dir: string) => ({
  events: await duck(ddl, `from archived_event('${dir}') order by event_at, idempotency_key`),
  jobs: await duck(ddl, `from archived_job('${dir}') order by dt, job_id`),
})

describe('a day of many parts', () => {
  test('is left as it is while it is held', async (t) => {
    const { store, dir, place } = await crowdedDay(t)
    const before = [files(dir, 'event'), files(dir, 'job')]
    const scope = { site: 'fab1', from: null, to: null, key: 'Lé😀' }
    const who = { reason: 'recall', by: 'legal' }
    const { id } = await addHold(place, scope, who)
    assert.deepEqual(await compacted(store, place), [])
    assert.deepEqual([files(dir, 'event'), files(dir, 'job')], before)
    await releaseHold(place, id, who)
    assert.equal((await compacted(store, place)).length, 2)
  })

  test('is left as it is when a hold comes while it is rewritten', async (t) => {
    const { store, dir } = await crowdedDay(t)
    const before = [files(dir, 'event'), files(dir, 'job'), files(dir, '_manifest')]
    const scope = { site: 'fab1', from: null, to: null, key: null }
    const place = new (class extends FolderPlace {
      override async stage(...given: Parameters<FolderPlace['stage']>) {
        const staged = await super.stage(...given)
        if (given[0].endsWith('job-0.parquet'))
          await addHold(new FolderPlace(dir), scope, { reason: 'recall', by: 'legal' })
        return staged
      }
    })(dir)
    assert.deepEqual(await compacted(store, place), [])
    assert.deepEqual([files(dir, 'event'), files(dir, 'job'), files(dir, '_manifest')], before)
  })

  test('loses no file more once the lease is lost among them', async (t) => {
    const { store, dir, place } = await crowdedDay(t)
    const old = files(dir, 'event').length + files(dir, 'job').length
    await compacted(store, place)
    let held = 3
    const protect = <T>(work: (number: number) => Promise<T>) =>
      held-- > 0 ? work(1) : Promise.reject(new Error('the lease is lost'))
    const options = {
      ...{
        lease: { ...leaseOf(store), protect },
        place,
        log,
        signal: new AbortController().signal,
      },
      assertOurs: async () => {},
    }
    await assert.rejects(deleteReplaced(dayAt(), options), /the lease is lost/)
    assert.equal(files(dir, 'event').length + files(dir, 'job').length, old + 2 - 3)
    assert.equal(await deleted(store, place), old)
  })

  test('is rewritten as one file a kind, with every event and the last version of each job', async (t) => {
    const { store, dir, place, busy, gone, back } = await crowdedDay(t)
    const before = await contents(dir)
    const old = ['event', 'job'].flatMap((kind) =>
      files(dir, kind).map((name) => `${kind}/${partition}/${name}`),
    )
    // As if a file held five rows: 51 events need eleven.
    assert.deepEqual(await compacted(store, place, { maxRows: 5 }), [])
    assert.deepEqual(await daysToCompact(store), [dayAt()])
    const [events, jobs] = await compacted(store, place)
    assert.equal(await deleted(store, place), old.length)
    assert.deepEqual([files(dir, 'event').length, files(dir, 'job').length], [1, 1])

    assert.deepEqual(await contents(dir), before)
    assert.deepEqual([events?.before.rows, events?.after.rows], [51, 51])
    const rows = await duck(
      `select job_id, version::int as v, moved_to from read_parquet('${dir}/job/${partition}/*.parquet')`,
    )
    // 30 at first and one with each part; the one that has left needs no row here any more.
    assert.deepEqual([rows.length, jobs?.after.rows], [38, 38])
    assert.equal(new Set(rows.map(({ job_id }) => job_id)).size, 38)
    const of = ({ entity }: Event) => rows.find(({ job_id }) => job_id === entity.id)
    assert.deepEqual([of(busy)?.v, of(gone), of(back)?.v], [10, undefined, 3])

    const name = manifestPath(dayAt(), Number(files(dir, '_manifest').at(-1)?.slice(0, 5)))
    const manifest = JSON.parse(readFileSync(join(dir, name), 'utf8'))
    assert.equal(manifest.removed.reason, 'compacted')
    assert.deepEqual(
      manifest.removed.files.map(({ path }: { path: string }) => path).sort(),
      old.sort(),
    )
    assert.deepEqual(manifest.rows, { event: 51, job: 38, subjob: 0 })
    assert.equal(manifest.late_events, 21)
    assert.deepEqual(await problems(dir, store), [])
    assert.deepEqual([await dueDays(store), await daysToCompact(store)], [[], []])
    assert.deepEqual(await compacted(store, place), [])

    // What comes later becomes a part of it as always, and retention finds it whole.
    const more = { ...eventAt(400, { kind: 'error', status: null }), entity: busy.entity }
    await ingest(store, [more, eventAt(401)])
    await archivedAll(store, dir)
    const later = await contents(dir)
    assert.equal(later.events.length, 53)
    assert.equal(later.jobs.find(({ job_id }) => job_id === busy.entity.id)?.version, '11')
    await expire(store)
    const held = await dropArchived({
      ...{ store, place, retentionHours: 72, onDropped: () => {} },
      ...{ signal: new AbortController().signal, assertOurs: async () => {} },
    })
    assert.equal(held, undefined)
    assert.equal((await run(store, 'select from event')).length, 0)
    assert.deepEqual(await problems(dir, store), [])
  })
})

describe('a compaction that was cut short', () => {
  test('leaves files that verify names, and the next round deletes', async (t) => {
    const { store, dir, place } = await crowdedDay(t)
    const before = await contents(dir)
    const old = [...files(dir, 'event'), ...files(dir, 'job')]
    await compacted(store, place)
    const left = await problems(dir, store)
    assert.deepEqual(left.map(({ path }) => path.split('/').at(-1)).sort(), old.sort())
    for (const { problem } of left) {
      assert.match(problem, /^is left over: _manifest\/.*\.json has replaced it.* next round$/)
    }
    // More of the day comes first; that cleans up after crashes, and leaves these alone.
    await ingest(store, [eventAt(500)])
    await archivedAll(store, dir)
    assert.equal((await problems(dir, store)).length, old.length)
    await place.remove(left[0]?.path ?? '')
    assert.equal((await problems(dir, store)).length, old.length - 1)
    assert.deepEqual(await daysToCompact(store), [dayAt()])
    assert.equal(await deleted(store, place), old.length)
    assert.deepEqual(await problems(dir, store), [])
    assert.equal((await contents(dir)).events.length, before.events.length + 1)
    assert.deepEqual(await daysToCompact(store), [])

    // A new database learns from the files that are left what lies where.
    const { url } = await freshDatabase(t)
    const fresh = connect(url, { role: 'test', max: 2 })
    t.after(() => fresh.close())
    const closed = `frozen_before = '2026-03-14T01:00Z', dropped_before = '2026-03-14'`
    await run(fresh, `update horizon set ${closed}`)
    await archivedAll(fresh, dir)
    await compacted(fresh, place)
    await archivedAll(fresh, dir)
    const noted = (one: Store) =>
      run(one, 'select kind, id, version, day::text as day from archived_job order by 2')
    assert.deepEqual(await noted(fresh), await noted(store))
    assert.equal((await run(fresh, 'select from archive_move')).length, 0)
    assert.deepEqual(await problems(dir, fresh), [])
  })
})

describe('before a replaced file is deleted', () => {
  test('every row of it is found in the new files, which read back', async (t) => {
    const { store, dir, place } = await crowdedDay(t)
    const old = await recorded(store)
    await compacted(store, place)
    const open = (kind: string, some: ArchivedFile[]) =>
      openFiles(
        place,
        some.filter((file) => file.kind === kind),
      )
    const [events, jobs] = [await open('event', old), await open('job', old)]
    const fresh = (await recorded(store)).filter(
      ({ path }) => !old.some((one) => one.path === path),
    )
    const [newEvents, newJobs] = [await open('event', fresh), await open('job', fresh)]
    await proveRows('event', events, newEvents, false)
    await proveRows('job', jobs, newJobs, false)

    const [one, other] = events.slice(-2) as [StoredFile, StoredFile]
    const rest = events.slice(0, -2)
    const refused: [StoredFile[], StoredFile[], RegExp][] = [
      [events, [...rest, one], /the 51 events of 10 files are not the 49 of the 9/],
      [events, [...rest, other, other], /the 51 events of 10 files are not the 51 of the 10/],
      [[one, other], newEvents, /the 4 events of 2 files are not the 51/],
    ]
    for (const [before, after, message] of refused) {
      await assert.rejects(proveRows('event', before, after, false), message)
    }
    const ofJobs: [StoredFile[], StoredFile[], boolean, RegExp][] = [
      [jobs, jobs.slice(0, 1), false, /job .* has version \d+, and the new files have 1/],
      [jobs, [], false, /job .* is not in the new files/],
      [jobs, [...newJobs, ...newJobs], false, /job .* has two rows in the new files/],
      [jobs.slice(0, 1), newJobs, false, /is in the new files alone/],
      [jobs, newJobs, true, /job .* is not in the new files/],
    ]
    for (const [before, after, keepsMoves, message] of ofJobs) {
      await assert.rejects(proveRows('job', before, after, keepsMoves), message)
    }

    const path = join(dir, fresh.find(({ kind }) => kind === 'event')?.path ?? '')
    const bytes = readFileSync(path)
    bytes[200]! ^= 1
    writeFileSync(path, bytes)
    await assert.rejects(deleted(store, place), /reads back differently: its SHA-256/)
    for (const file of old) assert.ok(await place.stat(file.path), file.path)
  })
})

/** The files of the day on record, as the archive's manifest has them. */
async function recorded(store: Store): Promise<ArchivedFile[]> {
  const rows = await run(
    store,
    `select kind, path, rows, bytes, sha256, at_min, at_max from archive_file
     where starts_at = '2026-03-13' order by rows desc, path`,
  )
  return rows as unknown as ArchivedFile[]
}

describe('wafermon archive compact', () => {
  const wafermon = (...args: string[]) =>
    spawnSync(process.execPath, [program, 'archive', 'compact', ...args], { encoding: 'utf8' })

  test('does it now, says what it did, and what it needs', async (t) => {
    const { url, dir, store } = await crowdedDay(t)
    const alone = wafermon('--dir', dir)
    assert.equal(alone.status, 2)
    assert.match(alone.stderr, /DATABASE_URL: compaction needs the database .* --database-url/)
    const other = connect(url, { role: 'test', max: 1, keep: true })
    await run(other, 'select pg_advisory_lock(7005)')
    const busy = wafermon('--dir', dir, '--database-url', url)
    assert.equal(busy.status, 1)
    assert.match(busy.stderr, /an archiver is at work on this database/)
    await other.close()

    const { status, stdout, stderr } = wafermon('--dir', dir, '--database-url', url)
    assert.equal(status, 0, stderr)
    assert.match(stderr, /^compacting fab1 2026-03-13 \(1 of 1\)$/m)
    assert.match(
      stdout,
      /^fab1 {2}2026-03-13 {2}10 files of event are 1 now, 51 of 51 rows, 0\.\d\d to 0\.\d\d MB$/m,
    )
    assert.match(stdout, /^fab1 {2}2026-03-13 {2}\d+ replaced files deleted$/m)
    assert.deepEqual(await problems(dir, store), [])
    const again = wafermon('--json', '--dir', dir, '--database-url', url)
    assert.deepEqual(JSON.parse(again.stdout), { days: [], problems: [] })
  })
})
