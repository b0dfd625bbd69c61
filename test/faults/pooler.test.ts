import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { pino } from 'pino'
import { fromMs } from '../../src/core/time.ts'
import { DatabaseWatch } from '../../src/store/database-watch.ts'
import { openDriver } from '../../src/store/driver.ts'
import { ingest } from '../../src/store/ingest.ts'
import { openLease } from '../../src/store/lease.ts'
import { migrate } from '../../src/store/migrate.ts'
import { refuseUnfitPooler } from '../../src/store/pooler.ts'
import { needsPgBouncer, startPgBouncer } from '../support/pgbouncer.ts'
import { until } from '../support/processes.ts'
import { anEvent, count, openOn, openStore, run } from '../support/store.ts'

const log = pino({ level: 'silent' })

/** What PgBouncer has to let pass, or it refuses our sessions. */
const ignored = 'jit, plan_cache_mode, idle_in_transaction_session_timeout, statement_timeout'

describe('behind PgBouncer', needsPgBouncer, () => {
  for (const mode of ['transaction', 'statement']) {
    test(`in ${mode} mode every role is refused in words`, async (t) => {
      const { url } = await openStore(t, 'plain')
      const pooled = await startPgBouncer(t, url, {
        pool_mode: mode,
        ignore_startup_parameters: ignored,
      })
      const words = { code: 'conflict', message: /a connection pooler .* pool_mode = session/ }
      await assert.rejects(refuseUnfitPooler(pooled), words)
      await assert.rejects(migrate(pooled, log), words)
      const store = openOn(t, pooled)
      const checkWay = () => refuseUnfitPooler(pooled)
      const found = await new DatabaseWatch(store, log, 48, { checkWay }).look()
      assert.equal(found.state, 'behind')
      assert.match(JSON.stringify(found), /connection pooler/)
    })
  }

  test('in transaction mode it is found out however busy the pooler is, and with our settings on the database', async (t) => {
    const { store, url } = await openStore(t, 'plain')
    const database = new URL(url).pathname.slice(1)
    await run(store, `alter database ${database} set idle_in_transaction_session_timeout = '2s'`)
    const pooled = await startPgBouncer(t, url, {
      pool_mode: 'transaction',
      ignore_startup_parameters: ignored,
    })
    let over = false
    const busy = Array.from({ length: 6 }, async () => {
      const sql = openDriver(pooled, { name: 'busy', max: 1 })
      while (!over) await sql.unsafe('select 1').catch(() => {})
      await sql.end({ timeout: 0 })
    })
    try {
      for (let i = 0; i < 40; i++) {
        await assert.rejects(refuseUnfitPooler(pooled), { message: /pool_mode = session/ })
      }
    } finally {
      over = true
      await Promise.all(busy)
    }
  })

  test('that rejects our settings, every role is refused in words', async (t) => {
    const { url } = await openStore(t, 'plain')
    const pooled = await startPgBouncer(t, url, { pool_mode: 'session' })
    await assert.rejects(refuseUnfitPooler(pooled), {
      code: 'conflict',
      message: /unsupported startup parameter.*docs\/deployment\.md/,
    })
  })

  test('that drops our settings, every role is refused in words', async (t) => {
    const { url } = await openStore(t, 'plain')
    const pooled = await startPgBouncer(t, url, {
      pool_mode: 'session',
      ignore_startup_parameters: ignored,
    })
    await assert.rejects(refuseUnfitPooler(pooled), {
      code: 'conflict',
      message: /does not pass on the settings/,
    })
  })

  test('in session mode, with the settings on the database, everything works', async (t) => {
    const { store, url } = await openStore(t, 'plain')
    const database = new URL(url).pathname.slice(1)
    await run(store, `alter database ${database} set idle_in_transaction_session_timeout = '2s'`)
    const pooled = await startPgBouncer(t, url, {
      pool_mode: 'session',
      ignore_startup_parameters: ignored,
    })
    await refuseUnfitPooler(pooled)
    await migrate(pooled, log)
    const through = openOn(t, pooled)
    for (let i = 0; i < 50; i++) await ingest(through, [anEvent(fromMs(Date.now()))])
    assert.equal(await count(store, 'event'), 50)
    const [one, other] = [1, 2].map(() => openLease(pooled, 'archive', { role: 'archiver' }))
    assert.deepEqual([await one?.hold(), await other?.hold()], [1, undefined])
    await one?.close()
    await until('the lease', async () => other?.hold())
    await other?.close()
  })
})

test('PostgreSQL itself is no pooler', async (t) => {
  const { url } = await openStore(t, 'plain')
  await refuseUnfitPooler(url)
})
