import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { ingest } from '../../src/store/ingest.ts'
import { type Edition, emptyDatabase, needsTimescale } from '../support/database.ts'
import { freePort, launch, startRole, until } from '../support/processes.ts'
import { anEvent, count, openOn, openStore, run } from '../support/store.ts'

async function db(url: string, ...flags: string[]) {
  const tool = launch(['db', ...flags], { DATABASE_URL: url })
  const { code } = await tool.ended
  return { code, out: tool.out(), err: tool.err() }
}

function suite(edition: Edition) {
  test('ends with 0 while a local API serves the database, and shows what there is', async (t) => {
    const { store, url } = await openStore(t, edition)
    await ingest(store, [anEvent('2026-03-01T12:00:00.000000Z')])
    await startRole(t, 'local-api', { DATABASE_URL: url })
    const status = await until('all leases are held', async () => {
      const { code, out } = await db(url, 'status', '--json')
      return code === 0 && JSON.parse(out)
    })
    assert.equal(status.state, 'healthy')
    assert.deepEqual(status.faults, [])
    assert.equal(status.edition.kind, edition)
    assert.deepEqual(status.served, { maintenance: true, rollups: true, archive: false })
    assert.equal(status.rollups.first_hour, '2026-03-01T12:00:00.000000Z')
    assert.equal(status.events.late, 1)
    assert.ok(status.sizes.some(({ table }: { table: string }) => table === 'job'))
    const { out } = await db(url, 'status')
    assert.match(out, /^state {11}healthy$/m)
    assert.match(out, /^rollups {9}2026-03-01T12:00:00\.000000Z to /m)
  })

  test('ends with 1 and a sentence on each thing that is not well', async (t) => {
    const { store, url } = await openStore(t, edition)
    await run(store, `update horizon set doubt = 'the clock was set'`)
    const { code, out } = await db(url, 'status')
    assert.equal(code, 1)
    assert.match(out, /^state {11}degraded$/m)
    assert.match(out, /the time is in doubt: the clock was set; see wafermon db horizon$/m)
    assert.match(out, /nobody makes rollups; start a local API$/m)
  })

  test('maintain makes the rollups that are due, and vacuums', async (t) => {
    const { store, url } = await openStore(t, edition)
    await ingest(store, [anEvent('2026-03-01T12:00:00.000000Z')])
    const { code, out, err } = await db(url, 'maintain', '--json')
    assert.equal(code, 1, err)
    assert.equal(JSON.parse(out).rollups_made, true)
    assert.equal(await count(store, 'job_stats_monthly'), 1)
    const [row] = await run(
      store,
      `select last_vacuum is not null as yes from pg_stat_user_tables where relname = 'job'`,
    )
    assert.equal(row?.yes, true)
  })
}

describe('wafermon db status on plain PostgreSQL', () => suite('plain'))
describe('wafermon db status on TimescaleDB', needsTimescale, () => suite('timescale'))

describe('wafermon db status', () => {
  test('ends with 2 when the database lacks migrations, and when it is away', async (t) => {
    const { url } = await emptyDatabase(t)
    await openOn(t, url).sql`select 1`
    const behind = await db(url, 'status', '--json')
    assert.equal(behind.code, 2)
    assert.equal(JSON.parse(behind.out).state, 'broken')
    assert.match(JSON.parse(behind.out).faults[0], /lacks 0001_core.*; run wafermon migrate$/)
    const away = await db(`postgres://127.0.0.1:${await freePort()}/none`, 'status')
    assert.equal(away.code, 2)
    assert.match(away.out, /^state {11}broken$/m)
  })
})
