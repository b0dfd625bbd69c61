import assert from 'node:assert/strict'
import { describe, type TestContext, test } from 'node:test'
import { pino } from 'pino'
import type { Store } from '../../src/store/connect.ts'
import { migrate, pendingMigrations } from '../../src/store/migrate.ts'
import { readMigrationFiles, splitStatements } from '../../src/store/migration-files.ts'
import {
  type Edition,
  emptyDatabase,
  freshDatabase,
  migrationFolder,
  needsTimescale,
} from '../support/database.ts'
import { launch, until } from '../support/processes.ts'
import { count, openOn, run } from '../support/store.ts'

const log = pino({ level: 'silent' })

async function empty(t: TestContext, edition: Edition = 'plain') {
  const { url } = await emptyDatabase(t, { edition })
  return { url, store: openOn(t, url) }
}

const applied = async (store: Store) =>
  (await run(store, 'select name from migration order by number')).map(({ name }) => name)

const exists = async (store: Store, table: string) =>
  (await run(store, `select to_regclass('${table}') is not null as there`))[0]?.there

function suite(edition: Edition) {
  test('makes everything once, in order, and nothing when it runs again', async (t) => {
    const { url, store } = await empty(t, edition)
    const pending = await pendingMigrations(store.sql)
    const first = await migrate(url, log)
    const files = (await readMigrationFiles(edition)).map(({ name }) => name)
    assert.deepEqual(first.applied, files)
    assert.equal(first.edition.kind, edition)
    assert.deepEqual(await applied(store), files)
    assert.deepEqual(await pendingMigrations(store.sql), [])
    assert.deepEqual((await migrate(url, log)).applied, [])
    // Before the first run the extension is not there.
    assert.equal(pending.length, (await readMigrationFiles('plain')).length)
  })

  test('by two at the same time is done by one, and the other finds nothing to do', async (t) => {
    const { url, store } = await empty(t, edition)
    const [one, two] = await Promise.all([migrate(url, log), migrate(url, log)])
    const lengths = [one.applied.length, two.applied.length].sort()
    assert.deepEqual(lengths, [0, (await readMigrationFiles(edition)).length])
    assert.deepEqual(await applied(store), (one.applied.length ? one : two).applied)
  })

  test('that is killed in the middle of a file leaves nothing of it, and continues later', async (t) => {
    const { url, store } = await empty(t, edition)
    const slow = migrationFolder({
      '0001_first.sql': 'create table first (n int);',
      '0002_second.sql': 'create table second (n int); select pg_sleep(60); create table third ();',
    })
    const killed = migrate(url, log, slow)
    killed.catch(() => {})
    const asleep = `select pid from pg_stat_activity where datname = current_database()
      and wait_event = 'PgSleep'`
    const [row] = await until('it to be in the middle', async () => {
      const found = await run(store, asleep)
      return found.length > 0 && found
    })
    await run(store, `select pg_terminate_backend(${row?.pid})`)
    await assert.rejects(killed, { code: 'unavailable' })
    assert.deepEqual(await applied(store), ['0001_first'])
    assert.equal(await exists(store, 'second'), false)
    const corrected = migrationFolder({
      '0001_first.sql': 'create table first (n int);',
      '0002_second.sql': 'create table second (n int); create table third ();',
    })
    assert.deepEqual((await migrate(url, log, corrected)).applied, ['0002_second'])
    assert.equal(await exists(store, 'third'), true)
  })
}

describe('a migration of plain PostgreSQL', () => suite('plain'))
describe('a migration of TimescaleDB', needsTimescale, () => suite('timescale'))

describe('migrations', () => {
  const two = { '0001_a.sql': 'create table a ();', '0002_b.sql': 'create table b ();' }

  test('are refused when an applied file was changed, or is numbered below one applied', async (t) => {
    const { url, store } = await empty(t)
    await migrate(url, log, migrationFolder(two))
    const changed = migrationFolder({ ...two, '0001_a.sql': 'create table a (n int);' })
    const renamed = migrationFolder({
      '0001_c.sql': two['0001_a.sql'],
      '0002_b.sql': two['0002_b.sql'],
    })
    for (const folder of [changed, renamed]) {
      await assert.rejects(migrate(url, log, folder), {
        code: 'conflict',
        message:
          /differs from the one that was applied to this database \(0001_a\); put the applied/,
      })
      await assert.rejects(pendingMigrations(store.sql, folder), { code: 'conflict' })
    }
    await run(store, `delete from migration where number = 1`)
    await assert.rejects(migrate(url, log, migrationFolder(two)), {
      code: 'conflict',
      message: /0001_a is numbered below one that was applied; renumber it/,
    })
  })

  test('of a newer program are left alone', async (t) => {
    const { url, store } = await empty(t)
    await migrate(url, log, migrationFolder({ ...two, '0003_c.sql': 'create table c ();' }))
    await assert.rejects(migrate(url, log, migrationFolder(two)), {
      code: 'conflict',
      message:
        /newer than this program \(it has the migration 0003_c\); run the version of wafermon that/,
    })
    assert.deepEqual(await applied(store), ['0001_a', '0002_b', '0003_c'])
  })

  test('that fail name the file and keep nothing of it, and all before it', async (t) => {
    const { url, store } = await empty(t)
    const broken = migrationFolder({ ...two, '0002_b.sql': 'create table b (); select no_such();' })
    await assert.rejects(migrate(url, log, broken), {
      code: 'conflict',
      message:
        /the migration 0002_b failed: function no_such\(\) does not exist; nothing of it was kept/,
    })
    assert.deepEqual([await applied(store), await exists(store, 'b')], [['0001_a'], false])
  })

  test('outside a transaction run by statement, and again as a whole when they failed', async (t) => {
    const { url, store } = await empty(t)
    const text = (last: string) =>
      `-- no transaction\ncreate table if not exists a (n int);\n-- a; comment\ninsert into a values (1);\n${last};\n`
    const broken = migrationFolder({ '0001_a.sql': text('select no_such()') })
    await assert.rejects(migrate(url, log, broken), {
      message: /0001_a failed: .*; its statements before the failure were kept/,
    })
    assert.deepEqual([await applied(store), await count(store, 'a')], [[], 1])
    // For example: create index concurrently refuses to run in a transaction.
    const corrected = migrationFolder({
      '0001_a.sql': text('create index concurrently a_n on a (n)'),
    })
    await migrate(url, log, corrected)
    assert.deepEqual([await applied(store), await count(store, 'a')], [['0001_a'], 2])
  })

  test('say what an operator has to do when the database is away or refuses', async (t) => {
    await assert.rejects(migrate('postgres://u:p@127.0.0.1:1/x', log), {
      code: 'unavailable',
      message: /cannot be reached/,
    })
    const { url, store } = await empty(t)
    const name = `guest_${process.pid}`
    await run(store, `create role ${name} login password 'x'`)
    const guest = new URL(url)
    guest.username = name
    guest.password = 'x'
    const refused = await migrate(guest.href, log).catch((error: Error) => error)
    await run(store, `drop role ${name}`)
    assert.match(String(refused), /lacks a right; run as the owner of the database/)
  })

  test('have files with names that are read, in order, one of each number and edition', async () => {
    const ok = migrationFolder({
      '0002_b.plain.sql': 'p',
      '0002_b.timescale.sql': 't',
      '0001_a.sql': '-- no transaction\n',
      'readme.md': '',
    })
    const plain = await readMigrationFiles('plain', ok)
    assert.deepEqual(
      plain.map(({ number, name, inTransaction }) => [number, name, inTransaction]),
      [
        [1, '0001_a', false],
        [2, '0002_b.plain', true],
      ],
    )
    assert.equal((await readMigrationFiles('timescale', ok))[1]?.name, '0002_b.timescale')
    await assert.rejects(
      readMigrationFiles('plain', migrationFolder({ 'b.sql': '' })),
      /not named NNNN/,
    )
    await assert.rejects(
      readMigrationFiles('plain', migrationFolder({ '0001_a.sql': '', '0001_b.sql': '' })),
      /two migrations are numbered 0001/,
    )
    const functions = { ...plain[0]!, text: 'create function f() as $$ ; $$' }
    assert.throws(() => splitStatements(functions), /cannot define functions; split it/)
  })
})

describe('wafermon local-api', () => {
  test('refuses a database without the migrations, with the command to run', async (t) => {
    const { url, store } = await empty(t)
    const env = { DATABASE_URL: url, PORT: '0', HOST: '127.0.0.1' }
    const refused = launch(['local-api'], env)
    t.after(() => void refused.child.kill('SIGKILL'))
    const { code } = await refused.ended
    assert.notEqual(code, 0)
    assert.match(refused.logs(), /the database lacks \d+ migrations; run wafermon migrate/)
    assert.doesNotMatch(refused.logs(), / at .*\.js:\d+/)
    const migrated = launch(['migrate'], env)
    assert.equal((await migrated.ended).code, 0)
    const files = await readMigrationFiles('plain')
    assert.deepEqual(
      await applied(store),
      files.map(({ name }) => name),
    )
  })

  test('refuses a database that a newer program migrated', async (t) => {
    const { url } = await freshDatabase(t)
    await run(
      openOn(t, url),
      `insert into migration values (9000, '9000_x', 'x', 'plain', now(), 0)`,
    )
    const refused = launch(['local-api'], { DATABASE_URL: url, PORT: '0', HOST: '127.0.0.1' })
    t.after(() => void refused.child.kill('SIGKILL'))
    assert.notEqual((await refused.ended).code, 0)
    assert.match(refused.logs(), /newer than this program/)
  })
})
