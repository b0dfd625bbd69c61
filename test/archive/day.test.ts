import assert from 'node:assert/strict'
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, test } from 'node:test'
import type { DaySource } from '../../src/archive/day.ts'
import { sourceOf } from '../../src/archive/due-day.ts'
import { manifestPath, toPartition } from '../../src/archive/layout.ts'
import { verifyArchive } from '../../src/archive/verify.ts'
import type { Event } from '../../src/core/event.ts'
import { archiveColumns } from '../../src/store/archive/columns.ts'
import { ingest } from '../../src/store/ingest.ts'
import { freshFolder } from '../support/processes.ts'
import { MemoryDisk, MemoryPlace } from './memory-place.ts'
import { archived, closedDay, dayAt, duck, eventAt, exported, parquet, run } from './support.ts'

const some = (n: number) => Array.from({ length: n }, (_, i) => eventAt(i))
const partition = toPartition(dayAt())
const manifestOf = (dir: string, number = 1) => join(dir, manifestPath(dayAt(), number))
/** Names in a folder; none when it is not there. */
const names = (path: string) => (existsSync(path) ? readdirSync(path) : [])

describe('a closed day', () => {
  test('reads back through DuckDB as what the database holds', async (t) => {
    const { store } = await closedDay(t, some(950))
    const dir = freshFolder()
    const files = await exported(store, dir)
    assert.deepEqual(
      files.map(({ kind, rows }) => [kind, rows]),
      [
        ['event', 950],
        ['job', 950],
      ],
    )
    const [row] = await duck(
      `select count(*)::int as n, min(event_at)::varchar as first, max(event_at)::varchar as last,
         count(distinct idempotency_key)::int as keys, any_value(site) as site,
         min(business_key) as key, min(metadata->>'tool') as tool, count(status)::int as given,
         sum(duration_s) as s, sum((metrics->>'cd')::double) as cd
       from ${parquet(dir, 'event')}`,
    )
    assert.deepEqual(row, {
      n: 950,
      first: '2026-03-13 00:00:00.000001+00',
      last: '2026-03-13 00:15:49.000001+00',
      keys: 950,
      site: 'fab1',
      key: 'Lé😀',
      tool: 'E1',
      given: 0,
      s: 1425,
      cd: row?.cd,
    })
    assert.ok(Math.abs(Number(row?.cd) - 950 * 38.1) < 1e-6)
  })

  test('has every column, in its order and with its type', async (t) => {
    const subjob = eventAt(5)
    subjob.entity = { ...subjob.entity, type: 'subjob', parent_id: eventAt(0).entity.id }
    const { store } = await closedDay(t, [...some(2), subjob])
    const dir = freshFolder()
    await exported(store, dir)
    const duckTypes = {
      time: 'TIMESTAMP WITH TIME ZONE',
      id: 'VARCHAR',
      text: 'VARCHAR',
      json: 'VARCHAR',
      int: 'BIGINT',
      float: 'DOUBLE',
      bool: 'BOOLEAN',
    }
    for (const kind of ['event', 'job', 'subjob'] as const) {
      const columns = await duck(
        `describe select * from read_parquet('${dir}/${kind}/*/*/*.parquet', hive_partitioning = false)`,
      )
      assert.deepEqual(
        columns.map((column) => [column.column_name, column.column_type]),
        archiveColumns[kind].map(({ name, type }) => [name, duckTypes[type]]),
      )
    }
  })

  test('says in each file which schema, table, site and day it is', async (t) => {
    const { store } = await closedDay(t, some(1))
    const dir = freshFolder()
    const [file] = await exported(store, dir)
    const [row] = await duck(
      `select decode(value) as about from parquet_kv_metadata('${join(dir, file!.path)}')
       where decode(key) = 'wafermon'`,
    )
    assert.deepEqual(JSON.parse(String(row?.about)), {
      schema: '2',
      table: 'event',
      site: 'fab1',
      day: '2026-03-13',
    })
  })

  test('keeps nulls, every script, and 64 metrics', async (t) => {
    const metrics = Object.fromEntries(Array.from({ length: 64 }, (_, i) => [`µ${i}😀`, i / 7]))
    const rich: Event = eventAt(1, {
      metrics,
      metadata: { 'ключ "\n\\': ['日本', null, { deep: 1e300 }], '': true },
      started_at: '1970-01-01T00:00:00.000001Z',
      ended_at: '9999-12-31T23:59:59.999999Z',
    })
    const bare: Event = eventAt(2, { kind: 'started', metrics: null, metadata: null })
    delete bare.entity.business_key
    const { store } = await closedDay(t, [rich, bare])
    const dir = freshFolder()
    await exported(store, dir)
    const [one, two] = await duck(
      `select metrics, metadata, started_at::varchar as s, epoch_us(ended_at)::varchar as e,
         business_key, duration_s from ${parquet(dir, 'event')} order by event_at`,
    )
    assert.deepEqual(JSON.parse(String(one?.metrics)), metrics)
    assert.deepEqual(JSON.parse(String(one?.metadata)), rich.event.metadata)
    assert.equal(one?.s, '1970-01-01 00:00:00.000001+00')
    assert.equal(one?.e, '253402300799999999')
    assert.deepEqual(
      { ...two },
      { metrics: null, metadata: null, s: null, e: null, business_key: null, duration_s: null },
    )
  })

  test('takes the rows of its site and its day only', async (t) => {
    const before = eventAt(-1)
    const last = eventAt(86_399)
    const after = eventAt(86_400)
    const elsewhere = { ...eventAt(10), site_id: 'fab2' }
    const { store } = await closedDay(t, [before, last, after, elsewhere])
    const dir = freshFolder()
    await exported(store, dir)
    const rows = await duck(`select idempotency_key as key from ${parquet(dir, 'event')}`)
    assert.deepEqual(rows, [{ key: last.idempotency_key }])
  })

  test('has a manifest of files that are there', async (t) => {
    const { store } = await closedDay(t, some(10))
    const dir = freshFolder()
    const files = await exported(store, dir)
    const text = readFileSync(manifestOf(dir), 'utf8')
    const manifest = JSON.parse(text)
    assert.deepEqual(manifest.rows, { event: 10, job: 10, subjob: 0 })
    for (const { path, bytes } of manifest.files) {
      assert.equal(readFileSync(join(dir, path)).byteLength, bytes)
    }
    assert.deepEqual(
      manifest.files.map(({ path }: { path: string }) => path),
      files.map(({ path }) => path),
    )
    assert.deepEqual([manifest.number, manifest.seq, manifest.previous], [1, 1, null])
    assert.equal(readFileSync(manifestOf(dir), 'utf8'), text)
    assert.deepEqual(names(join(dir, '_tmp/site=fab1')), [])
  })

  test('is the same in every kind of place', async (t) => {
    const { store } = await closedDay(t, some(10))
    const place = new MemoryPlace(new MemoryDisk())
    const files = await exported(store, '', { place })
    assert.deepEqual(files, await exported(store, freshFolder()))
    const found = []
    for await (const item of verifyArchive(place, { deep: true })) found.push(item)
    assert.equal(found.length, 1)
    assert.ok(found[0] && 'files' in found[0] && found[0].files === 2)
  })

  test('is one file of each kind, however many hours it has: the hour is too small', async (t) => {
    const hourly = Array.from({ length: 24 }, (_, hour) => eventAt(hour * 3600))
    const { store } = await closedDay(t, hourly)
    const dir = freshFolder()
    const files = await exported(store, dir)
    assert.deepEqual(
      files.map(({ kind, rows }) => [kind, rows]),
      [
        ['event', 24],
        ['job', 24],
      ],
    )
  })

  test('is cut into files that are not too large', async (t) => {
    const { store } = await closedDay(t, some(1700))
    const dir = freshFolder()
    const files = await exported(store, dir, { maxRows: 600 })
    const events = files.filter(({ kind }) => kind === 'event')
    assert.deepEqual(
      events.map(({ rows }) => rows),
      [500, 1000, 200],
    )
    const [row] = await duck(
      `select count(*)::int as n, count(distinct idempotency_key)::int as keys from ${parquet(dir, 'event')}`,
    )
    assert.deepEqual(row, { n: 1700, keys: 1700 })
  })

  test('takes the events that came too late into its first file', async (t) => {
    const { store } = await closedDay(t, some(3))
    await ingest(store, [eventAt(50)])
    const dir = freshFolder()
    await archived(store, dir)
    const manifest = JSON.parse(readFileSync(manifestOf(dir), 'utf8'))
    assert.deepEqual([manifest.late_events, manifest.rows.event, manifest.rows.job], [1, 4, 4])
    const [late] = await run(store, 'select count(*)::int as n from event_late')
    assert.equal(late?.n, 0)
  })

  test('does not claim raw events that were dropped before', async (t) => {
    const { store } = await closedDay(t, some(3))
    await run(store, `delete from event`)
    await run(store, `update horizon set dropped_before = '2026-03-14T00:00Z'`)
    const dir = freshFolder()
    await exported(store, dir)
    const { rows, events_dropped } = JSON.parse(readFileSync(manifestOf(dir), 'utf8'))
    assert.deepEqual(rows, { event: 0, job: 3, subjob: 0 })
    assert.equal(events_dropped, true)
  })
})

describe('a day that cannot be finished', () => {
  /** As the database's, but the rows of one kind pass through `change`. */
  const changed = (
    source: DaySource,
    change: (rows: AsyncGenerator<unknown[]>) => AsyncGenerator<unknown[]>,
  ): DaySource => ({
    ...source,
    read: (kind, wanted, consume) =>
      source.read(kind, wanted, ({ batches, ...rest }) =>
        consume({ ...rest, batches: change(batches) as typeof batches }),
      ),
  })

  test('leaves nothing when the rows break off with an error', async (t) => {
    const { store } = await closedDay(t, some(1200))
    const dir = freshFolder()
    const source = changed(sourceOf(store, dayAt()), async function* (rows) {
      yield (await rows.next()).value
      throw new Error('connection lost')
    })
    await assert.rejects(exported(store, dir, { source }), /connection lost/)
    assert.deepEqual(names(join(dir, 'event')), [])
    assert.deepEqual(names(join(dir, '_manifest')), [])
    // The wasm is as good as before.
    assert.equal((await exported(store, dir))[0]?.rows, 1200)
  })

  test('leaves nothing when there are fewer rows than the database counts', async (t) => {
    const { store } = await closedDay(t, some(1200))
    const dir = freshFolder()
    const source = changed(sourceOf(store, dayAt()), async function* (rows) {
      yield (await rows.next()).value
    })
    await assert.rejects(exported(store, dir, { source }), /has 1200 rows of event, but 500 were/)
    assert.deepEqual(names(join(dir, '_manifest')), [])
  })

  test('leaves nothing when the server ends the connection between two batches', async (t) => {
    const { store } = await closedDay(t, some(1200))
    const dir = freshFolder()
    const source = changed(sourceOf(store, dayAt()), async function* (rows) {
      yield (await rows.next()).value
      await run(
        store,
        `select pg_terminate_backend(pid) from pg_stat_activity
         where datname = current_database() and pid <> pg_backend_pid()`,
      )
      yield* rows
    })
    await assert.rejects(exported(store, dir, { source }))
    assert.deepEqual(names(join(dir, '_manifest')), [])
    assert.equal((await exported(store, dir))[0]?.rows, 1200)
  })

  test('stops in the middle when it is aborted', async (t) => {
    const { store } = await closedDay(t, some(1200))
    const dir = freshFolder()
    const stop = new AbortController()
    const source = changed(sourceOf(store, dayAt()), async function* (rows) {
      for await (const batch of rows) {
        yield batch
        stop.abort(new Error('stopping'))
      }
    })
    await assert.rejects(exported(store, dir, { source, signal: stop.signal }), /stopping/)
    assert.deepEqual(names(join(dir, '_tmp/site=fab1')), [])
    assert.deepEqual(names(dir).sort(), ['_tmp'])
  })

  test('leaves nothing visible when another archiver has taken over', async (t) => {
    const { store } = await closedDay(t, some(3))
    const dir = freshFolder()
    const assertOurs = () => Promise.reject(new Error('not ours any more'))
    await assert.rejects(exported(store, dir, { assertOurs }), /not ours/)
    assert.deepEqual(names(dir), ['_tmp'])
  })

  test('never gives a name to what another archiver is still writing', async (t) => {
    const { store } = await closedDay(t, some(1200))
    const dir = freshFolder()
    const reached = Promise.withResolvers<void>()
    const release = Promise.withResolvers<void>()
    const slow = changed(sourceOf(store, dayAt()), async function* (rows) {
      const first = await rows.next()
      if (!first.done) yield first.value
      reached.resolve()
      await release.promise
      yield* rows
    })
    let other: ReturnType<typeof exported> | undefined
    const assertOurs = () => {
      other = exported(store, dir, { source: slow })
      return reached.promise
    }
    await assert.rejects(exported(store, dir, { assertOurs }), /another archiver removed/)
    assert.deepEqual(names(join(dir, 'event', partition)), [])
    release.resolve()
    assert.equal((await other)?.[0]?.rows, 1200)
  })
})

describe('what is in the archive already', () => {
  test('is cleared of what a crash left before the manifest', async (t) => {
    const { store } = await closedDay(t, some(10))
    const dir = freshFolder()
    const folder = join(dir, 'event', partition)
    mkdirSync(folder, { recursive: true })
    const left = '20260313T000000000001Z-20260313T000001000001Z-0123abcd.parquet'
    writeFileSync(join(folder, left), 'PAR1')
    writeFileSync(join(folder, 'notes.txt'), 'not ours')
    mkdirSync(join(dir, '_tmp/site=fab1'), { recursive: true })
    writeFileSync(join(dir, '_tmp/site=fab1/event-0.parquet'), 'torn')
    const removed: string[] = []
    const files = await exported(store, dir, { onLeftovers: (some) => removed.push(...some) })
    assert.deepEqual(removed, [`event/${partition}/${left}`])
    const kept = files.filter(({ kind }) => kind === 'event').map(({ path }) => path)
    assert.deepEqual(
      names(folder).filter((name) => name !== 'notes.txt'),
      kept.map((path) => path.split('/').at(-1)),
    )
    assert.ok(existsSync(join(folder, 'notes.txt')))
  })

  test('is never written over with other content', async (t) => {
    const { store } = await closedDay(t, some(10))
    const dir = freshFolder()
    const [first] = await exported(store, dir)
    rmSync(manifestOf(dir))
    writeFileSync(join(dir, first!.path), 'something else')
    await assert.rejects(exported(store, dir), /exists with different content; move it away/)
    assert.equal(readFileSync(join(dir, first!.path), 'utf8'), 'something else')
    assert.ok(!existsSync(manifestOf(dir)))
  })

  test('is used when a crash left it whole', async (t) => {
    const { store } = await closedDay(t, some(10))
    const dir = freshFolder()
    const files = await exported(store, dir)
    rmSync(manifestOf(dir))
    assert.deepEqual(await exported(store, dir), files)
  })

  test('is cleared of what no manifest names, but not of what is on record', async (t) => {
    const { store } = await closedDay(t, some(10))
    const dir = freshFolder()
    await exported(store, dir)
    const stray = (sha8: string) =>
      `event/${partition}/20260313T000000000001Z-20260313T000001000001Z-${sha8}.parquet`
    for (const sha8 of ['0123abcd', 'abcd0123']) writeFileSync(join(dir, stray(sha8)), 'PAR1')
    const removed: string[] = []
    const noted = new Set([stray('abcd0123')])
    await exported(store, dir, { noted, onLeftovers: (paths) => removed.push(...paths) })
    assert.deepEqual(removed, [stray('0123abcd')])
    assert.ok(existsSync(join(dir, stray('abcd0123'))))
  })

  test('is read back again before it is noted', async (t) => {
    const { store } = await closedDay(t, some(10))
    const dir = freshFolder()
    const files = await exported(store, dir)
    const path = join(dir, files[0]!.path)
    const bytes = readFileSync(path)
    bytes[100]! ^= 1
    writeFileSync(path, bytes)
    await assert.rejects(archived(store, dir), /reads back differently: its SHA-256/)
    assert.equal((await run(store, 'select from archive_file')).length, 0)
    bytes[100]! ^= 1
    writeFileSync(path, bytes)
    await archived(store, dir)
    assert.equal((await run(store, 'select from archive_file')).length, files.length)
  })

  test('is not taken for the day when its manifest is wrong', async (t) => {
    const { store } = await closedDay(t, some(10))
    const dir = freshFolder()
    await exported(store, dir)
    const manifest = JSON.parse(readFileSync(manifestOf(dir), 'utf8'))
    const [file, ...rest] = manifest.files
    const rows = { ...manifest.rows, event: 9 }
    const elsewhere = file.path.replace('dt=2026-03-13', 'dt=2026-03-12')
    const lies: [object, RegExp][] = [
      [{ rows }, /lists files with 10 rows of event, not 9/],
      [{ rows, files: [{ ...file, rows: 9 }, ...rest] }, /has 9 events, the database has 10/],
      [{ rows: { event: 0, job: 0, subjob: 0 }, files: [] }, /has 0 events, the database has 10/],
      [{ files: [{ ...file, path: elsewhere }, ...rest] }, /dt=2026-03-12.*not belong to this day/],
      [
        { files: [{ ...file, at_max: '2026-03-14T00:00:00.000000Z' }, ...rest] },
        /times outside of the day/,
      ],
      [{ site: 'fab2' }, /belongs to fab2/],
    ]
    for (const [lie, message] of lies) {
      writeFileSync(manifestOf(dir), JSON.stringify({ ...manifest, ...lie }))
      await assert.rejects(archived(store, dir), message)
      assert.ok(existsSync(join(dir, file.path)))
    }
  })

  test('is left to the archiver whose manifest came first', async (t) => {
    const { store } = await closedDay(t, some(10))
    const dir = freshFolder()
    // While one sleeps after its last look at the lock, the other finishes with a changed job.
    const other: { files?: Awaited<ReturnType<typeof exported>> } = {}
    const assertOurs = async () => {
      await run(store, `update job set error_count = 7`)
      other.files = await exported(store, dir)
    }
    // The other clears _tmp as it begins, so the first has nothing left to give a name to.
    await assert.rejects(exported(store, dir, { assertOurs }), /another archiver removed/)
    await archived(store, dir)
    const noted = await run(store, 'select path from archive_file order by path')
    assert.deepEqual(
      noted.map(({ path }) => path),
      other.files?.map(({ path }) => path),
    )
    assert.equal(names(join(dir, 'job', partition)).length, 1)
    assert.deepEqual(names(join(dir, '_tmp/site=fab1')), [])
  })

  test('keeps its manifest when another of the same number comes', async (t) => {
    const { store } = await closedDay(t, some(10))
    const dir = freshFolder()
    await exported(store, dir)
    const text = readFileSync(manifestOf(dir), 'utf8')
    await run(store, 'update job set error_count = 7')
    const again = exported(store, dir, { previous: undefined, number: 1 })
    await assert.rejects(again, /00001.json exists with different content/)
    assert.equal(readFileSync(manifestOf(dir), 'utf8'), text)
  })

  test('is reported missing when the manifest names it', async (t) => {
    const { store } = await closedDay(t, some(10))
    const dir = freshFolder()
    const [first] = await exported(store, dir)
    rmSync(join(dir, first!.path))
    await assert.rejects(exported(store, dir), /is missing, although a manifest names it/)
  })

  test('is left alone when its manifest cannot be read', async (t) => {
    const { store } = await closedDay(t, some(10))
    const dir = freshFolder()
    await exported(store, dir)
    for (const text of ['{', '{}', '[]']) {
      writeFileSync(manifestOf(dir), text)
      await assert.rejects(exported(store, dir), /00001.json is n/)
      assert.equal(readFileSync(manifestOf(dir), 'utf8'), text)
    }
  })
})

describe('a site', () => {
  test('is refused when its name would leave the folder', () => {
    for (const site of ['..', '.', 'a/b', '../x', 'a\0b', 'a\\b', '', 'x'.repeat(65), 'é']) {
      assert.throws(() => toPartition({ ...dayAt(), site }), /is not a site id/)
    }
    assert.equal(toPartition(dayAt(9, '..a')), 'site=..a/dt=2026-03-09')
  })
})
