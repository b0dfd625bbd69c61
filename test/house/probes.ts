import assert from 'node:assert/strict'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, type TestContext, test } from 'node:test'
import { pino } from 'pino'
import { openPlace } from '../../src/archive/places/index.ts'
import { must } from '../../src/core/must.ts'
import { questions } from '../../src/core/questions/index.ts'
import type { Question } from '../../src/core/questions/question.ts'
import { isPlace, readConfig, readToolConfig } from '../../src/roles/settings.ts'
import { inherited } from '../../src/roles/up/children.ts'
import { openSink, sinkKinds } from '../../src/sinks/index.ts'
import { mergedReader } from '../../src/sites/merged-reader.ts'
import { connect } from '../../src/store/connect.ts'
import { ingest } from '../../src/store/ingest.ts'
import { migrate } from '../../src/store/migrate.ts'
import { readMigrationFiles } from '../../src/store/migration-files.ts'
import { storeReader } from '../../src/store/store-reader.ts'
import { noon, readApp } from '../api/read-app.ts'
import { get, listed, put, testPlace } from '../archive/place-contract.ts'
import { aDashboard } from '../support/dashboard.ts'
import { emptyDatabase } from '../support/database.ts'
import { fillSpool, startDraining, stopAfter } from '../support/draining.ts'
import { freshFolder, until } from '../support/processes.ts'
import { settingsReference } from '../support/reference.ts'
import { sinkKindsReference, sinkSettingsReference } from '../support/sink-reference.ts'
import { anEvent, openStore } from '../support/store.ts'
import { readFound, toTaken } from '../tools/import/support.ts'

/*
 * Runs in a copy of the sources that has the additions of this folder, and proves that each works.
 * It reaches them as the program does: by a name, through the lists. The name of a suite begins
 * with the thing that it is about.
 */

const log = pino({ level: 'silent' })

describe('a sink', () => {
  const open = (config: Record<string, unknown>) =>
    openSink({ type: 'fixture', name: 'kept', config }, { log })

  test('is opened, and is delivered what the spool has', async (t) => {
    const file = join(freshFolder(), 'events.ndjson')
    const sink = await open({ file })
    const events = Array.from({ length: 10 }, (_, n) => ({ n }))
    const spool = await fillSpool(events)
    const draining = startDraining(spool, sink.deliver, sink.limits)
    stopAfter(t, spool, draining)
    await until('the spool to be empty', () => spool.count === 0)
    const lines = readFileSync(file, 'utf8').trim().split('\n')
    assert.deepEqual(
      lines.map((line) => JSON.parse(line).n),
      events.map(({ n }) => n),
    )
  })

  test('is refused with a wrong setting, by name', async () => {
    await assert.rejects(open({ file: '' }), /^ConfigError: sink kept: file: must not be empty/)
    const misspelled = { file: 'x', fiel: 'x' }
    await assert.rejects(open(misspelled), /sink kept: fiel: no such setting/)
  })

  test('is in the documentation, with its settings', () => {
    const kinds = must(sinkKindsReference(sinkKinds).get('Kinds of sinks'), 'the table')
    const row = ['`fixture`', 'A file, a line for each event.', '4', '1000000', 'no']
    assert.ok(kinds.some((kind) => String(kind) === String(row)))
    const settings = sinkSettingsReference(sinkKinds).get('Settings of fixture')
    assert.deepEqual(settings?.[0]?.[0], '`file`')
  })
})

describe('a page', () => {
  test('is answered, and is in the navigation of the others', async (t) => {
    const { get } = aDashboard(t)
    const { status, html } = await get('/fixture')
    assert.equal(status, 200)
    assert.match(html, /<title>Fixture · fab1 · wafermon<\/title>/)
    assert.match(html, /fab1 runs 0 apps/)
    assert.match((await get('/jobs')).html, /<a href="\/fixture">Fixture<\/a>/)
  })

  test('is kept current', async (t) => {
    const { get } = aDashboard(t)
    assert.match((await get('/fixture')).html, /<div id="live"/)
  })
})

describe('a question with a column', () => {
  const { signal } = new AbortController()
  const find = () =>
    must(
      questions.find(({ name }) => name === 'fixture'),
      'a question named fixture is listed',
    ) as Question<object, unknown>

  async function storeWith(t: TestContext, tools: readonly string[]) {
    const { store } = await openStore(t, 'plain')
    await ingest(
      store,
      tools.map((tool) => anEvent(noon, { metadata: { tool } })),
    )
    return storeReader(store)
  }

  test('is answered by the store, over HTTP', async (t) => {
    const reader = await storeWith(t, ['etch-1', 'etch-2', 'etch-1'])
    const { items } = await readApp({ reader }).json(find().path)
    assert.deepEqual(items, [
      { tool_name: 'etch-1', job_count: 2 },
      { tool_name: 'etch-2', job_count: 1 },
    ])
  })

  test('is answered by several sites as one', async (t) => {
    const sites = [
      { id: 'fab1', reader: await storeWith(t, ['etch-1']) },
      { id: 'fab2', reader: await storeWith(t, ['etch-1', 'etch-2']) },
    ]
    const { reader } = mergedReader({ sites, deadlineMs: 5000 })()
    assert.deepEqual(await reader.ask(find(), {}, signal), [
      { toolName: 'etch-1', jobCount: 2 },
      { toolName: 'etch-2', jobCount: 1 },
    ])
  })
})

describe('a setting', () => {
  const read = (env: Record<string, string>) =>
    readConfig('sidecar', { env }).config as Record<string, unknown>

  test('has its default, and is read', () => {
    assert.deepEqual([read({}).FIXTURE_EVERY_S, read({}).FIXTURE_DIR], [7, '/var/lib/fixture'])
    assert.equal(read({ FIXTURE_EVERY_S: '9' }).FIXTURE_EVERY_S, 9)
  })

  test('is refused by name when it is wrong', () => {
    const message = /FIXTURE_EVERY_S: must be a number from 1 to 60 s; got "61"/
    assert.throws(() => read({ FIXTURE_EVERY_S: '61' }), message)
  })

  test('is in the documentation', () => {
    const rows = settingsReference().get('sidecar') ?? []
    const row = ['`FIXTURE_EVERY_S`', '`7`', 's', '1 to 60', 'How often the fixture runs.']
    assert.ok(rows.some((one) => String(one) === String(row)))
  })

  test('is passed on by up, unless it says where something is', () => {
    assert.deepEqual(inherited({ FIXTURE_EVERY_S: '9', FIXTURE_DIR: '/x' }), {
      FIXTURE_EVERY_S: '9',
    })
    assert.equal(isPlace('FIXTURE_DIR'), true)
  })
})

describe('a migration', () => {
  test('is the last one of every edition', async () => {
    for (const edition of ['plain', 'timescale'] as const) {
      assert.equal((await readMigrationFiles(edition)).at(-1)?.name, '9999_fixture')
    }
  })

  test('is applied', async (t) => {
    const { url } = await emptyDatabase(t)
    const { applied } = await migrate(url, log)
    assert.equal(applied.at(-1), '9999_fixture')
    const store = connect(url, { role: 'test', max: 1 })
    t.after(() => store.close())
    const rows = await store.sql`insert into fixture values (1) returning n`
    assert.deepEqual([...rows], [{ n: 1 }])
  })
})

describe('an import format', () => {
  const read = (text: string, zone?: string) => {
    const file = join(freshFolder(), 'fixture.txt')
    writeFileSync(file, text)
    return readFound('fixture', file, { zone: zone ?? 'UTC' })
  }

  test('gives events that a sidecar takes, in the zone that is given', async () => {
    const [event] = toTaken(await read('L1 2026-03-01T12:00:00\n', 'Europe/Berlin'))
    const { entity, event: fact, app } = must(event, 'there is a line')
    assert.deepEqual([entity.business_key, app.name], ['L1', 'fixture'])
    assert.deepEqual([fact.kind, fact.at], ['finished', '2026-03-01T11:00:00.000000Z'])
  })

  test('has broken lines named', async () => {
    const found = await read('L1 2026-03-01T12:00:00\nL2\nL1 2026-03-01T12:00:00\n')
    const bad = found.flatMap((one) => ('why' in one ? [`${one.line} ${one.why}`] : []))
    assert.deepEqual([bad, toTaken(found).length], [['2 has no time'], 2])
  })
})

/** Opens the place as a tool does; never another kind, which could be a real folder. */
function openFixture(name: string) {
  const env = { FIXTURE_PLACE: name, ARCHIVE_DIR: freshFolder() }
  const place = openPlace(readToolConfig('archive', { env }))
  assert.equal(place.setting, 'FIXTURE_PLACE')
  return place
}

describe('an archive place', () => {
  test('is opened by its setting, and keeps what is put', async () => {
    await put(openFixture('probe'), 'event/a', 'x')
    assert.equal(await get(openFixture('probe'), 'event/a'), 'x')
    assert.deepEqual(await listed(openFixture('probe')), ['event/a'])
  })

  test('leaves the others alone while its setting is not given', () => {
    const dir = freshFolder()
    const { address } = openPlace(readToolConfig('archive', { env: { ARCHIVE_DIR: dir } }))
    assert.equal(address, dir)
  })

  test('is known to the archiver, and says where something is', () => {
    const env = { DATABASE_URL: 'postgres://db/x', FIXTURE_PLACE: 'probe' }
    assert.equal(openPlace(readConfig('archiver', { env }).config).setting, 'FIXTURE_PLACE')
    assert.equal(isPlace('FIXTURE_PLACE'), true)
  })
})

let stands = 0
testPlace('an archive place', () => {
  const name = `stand ${++stands}`
  return {
    open: () => openFixture(name),
    cut: (file, bytes) => {
      const named = must(disks.get(name), 'it was opened').named
      named.set(file, must(named.get(file), 'it was put').subarray(0, bytes))
    },
    unusable: () => openFixture('gone'),
  }
})

/** The module exists in the copy alone. */
const fixtureFile: string = '../../src/archive/places/fixture.ts'
type Disks = Map<string, { named: Map<string, Buffer> }>
const { disks } = (await import(fixtureFile)) as { disks: Disks }
