import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { isUnreachable } from '../../src/store/database-error.ts'
import { patchDriver } from '../../src/store/driver-patch.mjs'
import { freshDatabase } from '../support/database.ts'
import { until } from '../support/processes.ts'
import { cuttingProxy } from '../support/proxies.ts'
import { openOn, run } from '../support/store.ts'

const op = { operation: 'test', table: 'none' }

/** An error in a timer of the driver's would end this process, and with it the whole file. */
describe('a connection that dies', () => {
  for (const how of ['closed', 'reset'] as const) {
    test(`in the middle of a transaction, ${how}, fails that alone, and its place is filled again`, async (t) => {
      const { url } = await freshDatabase(t)
      const proxy = await cuttingProxy(t, url)
      const store = openOn(t, proxy.url, { max: 2 })
      for (let turn = 0; turn < 10; turn++) {
        const work = Array.from({ length: 2 }, () =>
          store.begin(op, async (tx) => {
            await tx`select 1`
            proxy.cut(how)
            await tx`select pg_sleep(0.01)`
            await tx`select 2`
          }),
        )
        for (const done of await Promise.allSettled(work)) {
          assert.equal(done.status, 'rejected')
          assert.ok(isUnreachable(done.reason), String(done.reason))
        }
        await until('both places', async () => {
          const both = [1, 2].map(() => run(store, 'select 1 as n, pg_sleep(0.001)'))
          const answers = await Promise.allSettled(both)
          return answers.every(({ status }) => status === 'fulfilled')
        })
      }
      assert.deepEqual(store.pool(), { size: 2, available: 2 })
    })
  }

  test('between two statements of a transaction fails it at the next one', async (t) => {
    const { url } = await freshDatabase(t)
    const proxy = await cuttingProxy(t, url)
    const store = openOn(t, proxy.url, { max: 1 })
    const work = store.begin(op, async (tx) => {
      await tx`select 1`
      proxy.cut('closed')
      await until('the driver to see it', () => proxy.open() === 0)
      await new Promise((done) => setImmediate(() => setImmediate(done)))
      await tx`select 2`
    })
    await assert.rejects(work, (error) => isUnreachable(error))
    const again = () => run(store, 'select 3 as n').catch(() => undefined)
    assert.equal((await until('an answer', again))[0]?.n, 3)
  })

  test('because its database is gone is not waited for: every question is answered', async (t) => {
    const { url } = await freshDatabase(t)
    const store = openOn(t, url, { max: 1 })
    const other = new URL(url)
    other.pathname = '/postgres'
    const admin = openOn(t, other.href, { max: 1 })
    const name = new URL(url).pathname.slice(1)
    const work = store.begin(op, async (tx) => {
      await tx`select 1`
      await admin.sql.unsafe(`alter database ${name} allow_connections false`)
      await admin.sql.unsafe(
        `select pg_terminate_backend(pid) from pg_stat_activity where datname = '${name}'`,
      )
      await tx`select 2`
      await tx`select 3`
    })
    await assert.rejects(work, (error) => isUnreachable(error))
    for (let i = 0; i < 3; i++) await assert.rejects(run(store, 'select 1'))
    await admin.sql.unsafe(`alter database ${name} allow_connections true`)
    const again = () => run(store, 'select 3 as n').catch(() => undefined)
    assert.equal((await until('an answer', again))[0]?.n, 3)
  })

  test('is patched in the driver that is installed, and in no other', () => {
    assert.throws(
      () => patchDriver('/x/postgres/src/index.js', 'another text'),
      /look at src\/store\/driver-patch\.mjs again/,
    )
  })
})
