import assert from 'node:assert/strict'
import { describe, type TestContext, test } from 'node:test'
import { pino } from 'pino'
import type { Store } from '../../src/store/connect.ts'
import { migrate, pendingMigrations } from '../../src/store/migrate.ts'
import { readMigrationFiles } from '../../src/store/migration-files.ts'
import { emptyDatabase, migrationFolder, needsTimescale } from '../support/database.ts'
import { openOn, run } from '../support/store.ts'

/* Migrations that need TimescaleDB's Timescale licence: `.tsl.sql`. */

const log = pino({ level: 'silent' })

const files = {
  '0001_first.sql': 'create table first ();',
  '0002_second.plain.sql': 'create table second_plain ();',
  '0002_second.timescale.sql': 'create table second_timescale ();',
  '0003_licensed.tsl.sql': 'create table licensed ();',
  '0004_last.sql': 'create table last ();',
}
const folder = migrationFolder(files)

const applied = async (store: Store) =>
  (await run(store, 'select name from migration order by applied_at')).map(({ name }) => name)

async function onTimescale(t: TestContext) {
  const { url } = await emptyDatabase(t, { edition: 'timescale' })
  const store = openOn(t, url)
  await run(store, 'create extension timescaledb')
  const [row] = await run(store, `select current_setting('timescaledb.license') as licence`)
  return { url, store, isApache: row?.licence === 'apache' }
}

/** Has the database look as if the Timescale licence ran: the probe finds that a licensed function works. */
const giveLicence = (store: Store) =>
  run(
    store,
    `create function compress_chunk(regclass) returns regclass language plpgsql as
     $$ begin raise exception 'pg_class is not a chunk'; end $$`,
  )
const takeLicence = (store: Store) => run(store, 'drop function compress_chunk(regclass)')

describe('files of migrations', () => {
  test('are all that an edition has, licensed ones marked', async () => {
    const ofEdition = async (edition: 'plain' | 'timescale') =>
      (await readMigrationFiles(edition, folder)).map(({ name, licensed }) => [name, licensed])
    assert.deepEqual(await ofEdition('plain'), [
      ['0001_first', false],
      ['0002_second.plain', false],
      ['0004_last', false],
    ])
    assert.deepEqual(await ofEdition('timescale'), [
      ['0001_first', false],
      ['0002_second.timescale', false],
      ['0003_licensed.tsl', true],
      ['0004_last', false],
    ])
  })

  test('have one number each: a licensed file is not another form of another', async () => {
    const doubled = migrationFolder({ ...files, '0004_more.tsl.sql': '' })
    await assert.rejects(readMigrationFiles('timescale', doubled), /two .* are numbered 0004/)
  })
})

describe('a licensed migration', () => {
  test('is not for plain PostgreSQL', async (t) => {
    const { url } = await emptyDatabase(t)
    const { applied: names, edition } = await migrate(url, log, folder)
    assert.deepEqual(names, ['0001_first', '0002_second.plain', '0004_last'])
    assert.equal(edition.licence, null)
  })
})

describe('a licensed migration on TimescaleDB', needsTimescale, () => {
  test('is left out under the Apache licence, and keeps no role from working', async (t) => {
    const { url, store, isApache } = await onTimescale(t)
    if (!isApache) return t.skip('the server runs under the Timescale licence')
    const { applied: names, edition } = await migrate(url, log, folder)
    assert.deepEqual(names, ['0001_first', '0002_second.timescale', '0004_last'])
    assert.equal(edition.licence, 'apache')
    assert.deepEqual(await pendingMigrations(store.sql, folder), [])
  })

  test('is applied in its place under the Timescale licence', async (t) => {
    const { url, store, isApache } = await onTimescale(t)
    if (isApache) await giveLicence(store)
    const { applied: names, edition } = await migrate(url, log, folder)
    assert.deepEqual(names, [
      '0001_first',
      '0002_second.timescale',
      '0003_licensed.tsl',
      '0004_last',
    ])
    assert.equal(edition.licence, 'tsl')
  })

  test('is made up for when the licence comes later, and stays when it goes', async (t) => {
    const { url, store, isApache } = await onTimescale(t)
    if (!isApache) return t.skip('the server runs under the Timescale licence')
    await migrate(url, log, folder)
    await giveLicence(store)
    assert.deepEqual(await pendingMigrations(store.sql, folder), [])
    assert.deepEqual((await migrate(url, log, folder)).applied, ['0003_licensed.tsl'])
    assert.equal((await applied(store)).at(-1), '0003_licensed.tsl')
    await takeLicence(store)
    assert.deepEqual((await migrate(url, log, folder)).applied, [])
    const changed = migrationFolder({ ...files, '0003_licensed.tsl.sql': 'create table other ();' })
    await assert.rejects(migrate(url, log, changed), /0003_licensed.tsl differs from the one/)
  })
})
