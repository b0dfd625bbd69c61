import assert from 'node:assert/strict'
import { readFileSync, renameSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { connect, type Store } from '../../src/store/connect.ts'
import { archiver, health, some, verify } from '../archive/role.ts'
import { archived, closedDay, duck, expire, run } from '../archive/support.ts'
import { freshFolder, until } from '../support/processes.ts'

/* An archiver that is killed between its last look at what is archived and the drop of the raw events. */

/** What keeps the drop waiting, and the statement that waits. */
const places = [
  ['the last look and the drop', 'select pg_advisory_lock_shared(7002)', 'horizon.lock'],
  [
    'the mark of what is dropped and the drop itself',
    'begin; select count(*) from event',
    'horizon.dropPartition',
  ],
] as const

for (const [between, holdUp, statement] of places) {
  test(`wafermon archiver, killed between ${between}, drops nothing unproved`, async (t) => {
    const { store, url } = await closedDay(t, some(40))
    const dir = freshFolder()
    const { files } = await archived(store, dir)
    await expire(store)
    const count = async () => (await run(store, 'select from event')).length
    const blocker = connect(url, { role: 'test', max: 1, keep: true })
    t.after(() => blocker.close())
    await run(blocker, holdUp)
    const first = await archiver(t, url, dir)
    await until('the drop', () => waitsFor(store, statement))
    await first.kill9()
    await until('its end', async () => !(await waitsFor(store, statement)))
    await blocker.close()
    assert.equal(await count(), 40)
    assert.deepEqual(verify(dir).problems, [])

    // The next one looks again: what was right before the kill may not be any more.
    const event = join(dir, files.find(({ kind }) => kind === 'event')?.path ?? '')
    renameSync(event, `${event}.away`)
    const second = await archiver(t, url, dir)
    const why = await until('its word', async () => {
      const { retention_waits } = await health(second)
      return retention_waits === undefined ? undefined : String(retention_waits)
    })
    assert.match(why, /is missing, although a manifest names it/)
    assert.equal(await count(), 40)
    renameSync(`${event}.away`, event)
    await until('the drop', async () => (await count()) === 0)
    await second.stop()
    const [row] = await duck(
      readFileSync(new URL('../../sql/archive/duckdb.sql', import.meta.url), 'utf8'),
      `select count(*)::int as n from archived_event('${dir}')`,
    )
    assert.equal(row?.n, 40)
    assert.deepEqual(verify(dir).problems, [])
  })
}

/** True while an archiver's statement waits for a lock. */
async function waitsFor(store: Store, statement: string): Promise<boolean> {
  const rows = await run(
    store,
    `select from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'
     and query like '%${statement}%' and pid <> pg_backend_pid()`,
  )
  return rows.length > 0
}
