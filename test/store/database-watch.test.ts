import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { pino } from 'pino'
import { DatabaseWatch } from '../../src/store/database-watch.ts'
import { migrate } from '../../src/store/migrate.ts'
import { emptyDatabase, freshDatabase } from '../support/database.ts'
import { until } from '../support/processes.ts'
import { silentProxy } from '../support/proxies.ts'
import { openOn, openStore, run } from '../support/store.ts'

const log = pino({ level: 'silent' })

describe('DatabaseWatch', () => {
  test('is not ready before it looked, and ready on a migrated database', async (t) => {
    const { store } = await openStore(t, 'plain')
    const watch = new DatabaseWatch(store, log, 48)
    assert.throws(() => watch.assertReady(), { code: 'unavailable', retryAfterS: 2 })
    assert.deepEqual(await watch.look(), {
      state: 'ready',
      edition: { kind: 'plain', licence: null, version: null },
    })
    watch.assertReady()
  })

  test('refuses a database that lacks migrations, with the command to run, until it ran', async (t) => {
    const { url } = await emptyDatabase(t)
    const store = openOn(t, url)
    const watch = new DatabaseWatch(store, log, 48)
    const found = await watch.look()
    assert.equal(found.state, 'behind')
    assert.match(
      watch.now.state === 'behind' ? watch.now.why : '',
      /lacks \d+ migrations; run wafermon migrate$/,
    )
    assert.throws(() => watch.assertReady(), {
      code: 'unavailable',
      message: /run wafermon migrate/,
    })
    await migrate(url, log)
    assert.equal((await watch.look()).state, 'ready')
    await run(store, 'delete from migration where number = (select max(number) from migration)')
    assert.match(JSON.stringify(await watch.look()), /lacks a migration; run wafermon migrate/)
  })

  test('refuses a database that a newer program migrated', async (t) => {
    const { store } = await openStore(t, 'plain')
    await run(store, `insert into migration values (9000, '9000_later', 'x', 'plain', now(), 0)`)
    const found = await new DatabaseWatch(store, log, 48).look()
    assert.equal(found.state, 'behind')
    assert.match(
      JSON.stringify(found),
      /newer than this program \(it has the migration 9000_later\)/,
    )
  })

  test('opens the days ahead before it is ready, after weeks without a local API', async (t) => {
    const { store } = await openStore(t, 'plain')
    await run(
      store,
      `update horizon set frozen_before = now() - interval '30 days', open_until = now() - interval '20 days'`,
    )
    await new DatabaseWatch(store, log, 48).look()
    const [row] = await run(
      store,
      "select open_until > now() + interval '1 day' as open from horizon",
    )
    assert.equal(row?.open, true)
  })

  const within = { timeout: 60_000 }
  test('notices that the database is away, and that it is back, by itself', within, async (t) => {
    const { url } = await freshDatabase(t)
    const proxy = await silentProxy(t, url)
    const store = openOn(t, proxy.url, { max: 2 })
    const watch = new DatabaseWatch(store, log, 48, { answerWithinMs: 300 })
    const stop = new AbortController()
    await until('ready', async () => (await watch.look()).state === 'ready')
    proxy.cut()
    // Nothing is closed and nothing fails: only that no answer comes.
    const gone = await until('away', async () => {
      const now = await watch.look()
      return now.state === 'away' && now
    })
    assert.equal(gone.why, 'the database does not answer')
    assert.throws(() => watch.assertReady(), { code: 'unavailable', message: /does not answer/ })
    proxy.repair()
    const watching = watch.run(stop.signal)
    await until('ready again', () => watch.now.state === 'ready')
    stop.abort()
    await watching
  })
})
