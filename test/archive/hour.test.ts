import assert from 'node:assert/strict'
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, type TestContext, test } from 'node:test'
import { DuckDBInstance } from '@duckdb/node-api'
import { partitionOf } from '../../src/archive/folder.ts'
import { exportHour, type Manifest } from '../../src/archive/hour.ts'
import type { Event } from '../../src/core/event.ts'
import { dueHours, hourRows, noteArchived } from '../../src/store/archive.ts'
import { connect, type Store } from '../../src/store/connect.ts'
import { dropEventsBefore } from '../../src/store/horizon.ts'
import { ingest } from '../../src/store/ingest.ts'
import { freshDatabase } from '../support/database.ts'
import { freshFolder, startRole, until } from '../support/processes.ts'

const op = { operation: 'test', table: 'none' }
const hour = '2026-03-01T13:00:00.000000Z'
const next = '2026-03-01T14:00:00.000000Z'

let made = 0
function event(second: number, more: Partial<Event['event']> = {}): Event {
  const at = `2026-03-01T13:${String(Math.floor(second / 60)).padStart(2, '0')}:${String(second % 60).padStart(2, '0')}.000001Z`
  const n = String(++made).padStart(12, '0')
  return {
    idempotency_key: `d0000000-0000-4000-8000-${n}`,
    site_id: 'fab1',
    app: { app_id: 'a0000000-0000-4000-8000-000000000001', name: 'etch', version: '' },
    entity: { type: 'job', id: `b0000000-0000-4000-8000-${n}`, business_key: 'Lé😀' },
    event: {
      kind: 'finished',
      at,
      metrics: { duration_s: 1.5, cd: 38.1 },
      metadata: { tool: 'E1' },
      ...more,
    },
    received_at: at,
  }
}

/** A store with some events of one hour, which is then closed. */
async function closedHour(t: TestContext, events: number): Promise<{ store: Store; url: string }> {
  const { url } = await freshDatabase(t)
  const store = connect(url, { role: 'test', max: 2 })
  t.after(() => store.close())
  const run = (statement: string) => store.ask(op, (sql) => sql.unsafe(statement))
  await run(`update horizon set frozen_before = '2026-03-01', open_until = '2026-03-02'`)
  await run(`select make_event_partitions('2026-03-01T00:00:00Z', '2026-03-02T00:00:00Z')`)
  await ingest(
    store,
    Array.from({ length: events }, (_, i) => event(i)),
  )
  await run(`update horizon set frozen_before = '2026-03-01T14:30:00Z'`)
  return { store, url }
}

const place = { site: 'fab1', from: hour, to: next }
const exported = (store: Store, dir: string) =>
  exportHour({ dir, place, rowsOf: (kind) => hourRows(store, kind, place, 100) })

async function duck(statement: string): Promise<unknown[]> {
  const connection = await (await DuckDBInstance.create()).connect()
  return (await connection.runAndReadAll(statement)).getRowObjectsJson()
}

describe('a closed hour', () => {
  test('reads back through DuckDB as what the database holds', async (t) => {
    const { store } = await closedHour(t, 950)
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
      `select count(*)::int as n, min("at")::varchar as first, count(distinct idempotency_key)::int as keys,
         any_value(site) as site, min(business_key) as key, min(metadata->>'tool') as tool, count(status)::int as given
       from read_parquet('${dir}/event/**/*.parquet', hive_partitioning = true)`,
    )
    assert.deepEqual(row, {
      n: 950,
      first: '2026-03-01 13:00:00.000001+00',
      keys: 950,
      site: 'fab1',
      key: 'Lé😀',
      tool: 'E1',
      given: 0,
    })
    const [jobs] = await duck(
      `select sum(duration_s) as s, min(status) as status, min((metrics->>'cd')::double) as cd, typeof(any_value(ended_at)) as type
       from read_parquet('${dir}/job/**/*.parquet', hive_partitioning = true)`,
    )
    assert.deepEqual(jobs, {
      s: 1425,
      status: 'succeeded',
      cd: 38.1,
      type: 'TIMESTAMP WITH TIME ZONE',
    })
  })

  test('has a manifest of files that are there, and is not written again', async (t) => {
    const { store } = await closedHour(t, 10)
    const dir = freshFolder()
    assert.deepEqual(
      (await dueHours(store, undefined, 10)).map(({ site, from }) => [site, from]),
      [['fab1', hour]],
    )
    const files = await exported(store, dir)
    const manifest = JSON.parse(
      readFileSync(join(dir, '_manifest', `${partitionOf(place)}.json`), 'utf8'),
    ) as Manifest
    assert.deepEqual(manifest.files, files)
    await noteArchived(store, place, files)
    await noteArchived(store, place, files)
    assert.equal((await dueHours(store, undefined, 10)).length, 0)
    assert.deepEqual(await exported(store, dir), files)
  })

  test('clears away what a crash before the manifest left', async (t) => {
    const { store } = await closedHour(t, 10)
    const dir = freshFolder()
    const folder = join(dir, 'event', partitionOf(place))
    mkdirSync(folder, { recursive: true })
    writeFileSync(join(folder, '.writing-1-2'), 'torn')
    writeFileSync(join(folder, 'half-00000000.parquet'), 'PAR1')
    await exported(store, dir)
    assert.equal(readdirSync(folder).length, 1)
  })

  test('refuses a site whose name would leave the folder', () => {
    for (const site of ['..', '.', 'a/b', 'a\0b', '']) {
      assert.throws(() => partitionOf({ site, from: hour }), /is no site id/)
    }
  })
})

describe('wafermon archiver', () => {
  test('archives closed hours and says so', async (t) => {
    const { store, url } = await closedHour(t, 25)
    const dir = freshFolder()
    const archiver = await startRole(t, 'archiver', { DATABASE_URL: url, ARCHIVE_DIR: dir })
    await until('the hour', async () => (await dueHours(store, undefined, 10)).length === 0)
    const metrics = await (await fetch(`${archiver.url}/metrics`)).text()
    assert.match(metrics, /wafermon_archive_rows_total\{table="event"\} 25/)
    assert.equal((await fetch(`${archiver.url}/v1/healthz`)).status, 200)
    assert.deepEqual(await archiver.stop(), { code: 0, signal: null })
  })

  test('is not ready while its folder cannot be written', async (t) => {
    const { url } = await closedHour(t, 1)
    const file = join(freshFolder(), 'file')
    writeFileSync(file, '')
    const archiver = await startRole(t, 'archiver', { DATABASE_URL: url, ARCHIVE_DIR: file })
    await until('trouble', async () => (await fetch(`${archiver.url}/v1/healthz`)).status === 503)
  })
})

describe('dropEventsBefore', () => {
  test('drops what is wholly older, and leaves jobs as they are', async (t) => {
    const { store } = await closedHour(t, 5)
    await store.ask(op, (sql) => sql.unsafe(`update horizon set frozen_before = '2026-03-03'`))
    const dropped = await dropEventsBefore(store, '2026-03-02T00:00:00.000000Z')
    assert.equal(dropped.length, 1)
    const rows = await store.ask(op, (sql) =>
      sql.unsafe(
        'select (select count(*)::int from event) as events, (select count(*)::int from job) as jobs',
      ),
    )
    assert.deepEqual({ ...rows[0] }, { events: 0, jobs: 5 })
  })
})
