import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { pino } from 'pino'
import { makeExtension, readEdition, recordedEdition } from '../../src/store/edition.ts'
import { migrate } from '../../src/store/migrate.ts'
import { emptyDatabase, freshDatabase, needsTimescale } from '../support/database.ts'
import { count, openOn, run } from '../support/store.ts'

const log = pino({ level: 'silent' })

describe('the edition on plain PostgreSQL', () => {
  test('is plain before and after the migrations', async (t) => {
    const { url } = await emptyDatabase(t)
    const store = openOn(t, url)
    const plain = { kind: 'plain', licence: null, version: null }
    assert.equal(await recordedEdition(store.sql), undefined)
    assert.deepEqual(await readEdition(store.sql), plain)
    assert.equal(await makeExtension(store.sql), 'plain')
    await migrate(url, log)
    assert.equal(await recordedEdition(store.sql), 'plain')
    assert.deepEqual(await readEdition(store.sql), plain)
  })

  test('of a database that was TimescaleDB and lost the extension is an error with the remedy', async (t) => {
    const { url } = await freshDatabase(t)
    const store = openOn(t, url)
    await run(store, `update migration set edition = 'timescale'`)
    await assert.rejects(readEdition(store.sql), {
      code: 'conflict',
      message: /the extension is gone; install it again \(create extension timescaledb\)/,
    })
  })
})

describe('the edition on TimescaleDB', needsTimescale, () => {
  test('is found with its version and the licence that really runs', async (t) => {
    const { url } = await freshDatabase(t, { edition: 'timescale' })
    const store = openOn(t, url)
    const found = await readEdition(store.sql)
    assert.equal(found.kind, 'timescale')
    assert.match(String(found.version), /^2\.\d+/)
    // The setting can be queried; the licence in force is another question, with the same answer.
    const [row] = await run(store, `select current_setting('timescaledb.license') as licence`)
    assert.equal(found.licence, row?.licence === 'apache' ? 'apache' : 'tsl')
  })

  test('probing the licence leaves no trace', async (t) => {
    const { url } = await freshDatabase(t, { edition: 'timescale' })
    const store = openOn(t, url)
    const before = await count(store, 'pg_class')
    await readEdition(store.sql)
    assert.equal(await count(store, 'pg_class'), before)
    assert.equal(
      await count(
        store,
        `pg_stat_activity where state like 'idle in%' and datname = current_database()`,
      ),
      0,
    )
  })

  test('stays plain when the extension comes after the migrations', async (t) => {
    const { url } = await emptyDatabase(t, { edition: 'timescale' })
    const store = openOn(t, url)
    // As a database looks that was migrated before the server had TimescaleDB.
    await run(
      store,
      `create table migration (number int primary key, name text, sha256 text,
         edition text, applied_at timestamptz default now(), took_s float8)`,
    )
    await run(store, `insert into migration values (1, '0001_core', 'x', 'plain')`)
    await run(store, 'create extension timescaledb')
    assert.equal((await readEdition(store.sql)).kind, 'plain')
  })
})
