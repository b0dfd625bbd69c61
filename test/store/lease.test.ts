import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { describe, type TestContext, test } from 'node:test'
import { pino } from 'pino'
import { exportDay } from '../../src/archive/day.ts'
import { sourceOf } from '../../src/archive/due-day.ts'
import { manifestPath } from '../../src/archive/layout.ts'
import { FolderPlace } from '../../src/archive/places/folder.ts'
import { fromMs } from '../../src/core/time.ts'
import { dropRepeats } from '../../src/store/archive/late.ts'
import { makeBaselines } from '../../src/store/baselines.ts'
import type { Store } from '../../src/store/connect.ts'
import { advanceHorizon, dropEventsBefore } from '../../src/store/horizon.ts'
import { type Lease, openLease } from '../../src/store/lease.ts'
import { locks } from '../../src/store/locks.ts'
import { trimJobs, trimLive } from '../../src/store/maintenance.ts'
import { migrate } from '../../src/store/migrate.ts'
import { dropUnarchived } from '../../src/store/retention.ts'
import { names } from '../archive/role.ts'
import { closedDay, dayAt, eventAt } from '../archive/support.ts'
import { emptyDatabase, migrationFolder } from '../support/database.ts'
import { freshFolder, until } from '../support/processes.ts'
import { count, openOn, openStore, run } from '../support/store.ts'

const op = { operation: 'test', table: 'none' }
const lost = {
  code: 'unavailable',
  message: /the lease is lost: another process may have taken over/,
}
const log = pino({ level: 'silent' })

function open(
  t: TestContext,
  url: string,
  role = 'ours',
  name: 'archive' | 'maintenance' = 'archive',
) {
  const lease = openLease(url, name, { role })
  t.after(lease.close)
  return lease
}

const sessionOf = async ({ reader }: Lease) =>
  (await reader.ask(op, (sql) => sql`select pg_backend_pid() as pid`))[0]?.pid

/** Another takes the lease over and ends; then the session has the lock again, and all but the number. */
async function overtake(t: TestContext, url: string, lease: Lease, key: number = locks.archive) {
  const name = key === locks.archive ? 'archive' : 'maintenance'
  await lease.reader.ask(op, (sql) => sql`select pg_advisory_unlock(${key})`)
  const other = open(t, url, 'other', name)
  await until('the lease', other.hold)
  await other.close()
  await lease.reader.ask(op, (sql) => sql`select pg_advisory_lock(${key})`)
}

describe('a lease', () => {
  test('has a number that grows with every holder, and stays while it is held', async (t) => {
    const { url } = await openStore(t, 'plain')
    const [one, other] = [open(t, url), open(t, url, 'other')]
    assert.equal(await one.hold(), 1)
    assert.equal(await one.hold(), 1)
    assert.equal(await other.hold(), undefined)
    await one.close()
    assert.equal(await until('the lease', other.hold), 2)
    const maintenance = open(t, url, 'maintenance', 'maintenance')
    assert.equal(await maintenance.hold(), 1, 'each lease has its own')
  })

  test('that was lost with its connection refuses work until it is held again', async (t) => {
    const { store, url } = await openStore(t, 'plain')
    const ours = open(t, url)
    const write = () => ours.store.ask(op, (sql) => sql`select 1 as n`)
    await assert.rejects(write(), lost)
    assert.equal(await ours.hold(), 1)
    await write()
    const session = await sessionOf(ours)
    await run(store, `select pg_terminate_backend(${session})`)
    await until('another connection', async () => {
      const pid = await sessionOf(ours).catch(() => undefined)
      return pid !== undefined && pid !== session
    })
    await assert.rejects(write(), lost)
    assert.equal(await ours.hold(), 2)
    await write()
  })

  test('refuses by number the holder that was overtaken, on the same connection', async (t) => {
    const { url } = await openStore(t, 'plain')
    const ours = open(t, url)
    await ours.hold()
    const session = await sessionOf(ours)
    await overtake(t, url, ours)
    assert.equal(await sessionOf(ours), session)
    await assert.rejects(ours.assertHeld(), lost)
    await assert.rejects(
      ours.store.ask(op, (sql) => sql`select 1 as n`),
      lost,
    )
    await assert.rejects(
      ours.protect(async () => assert.fail('it does not run')),
      lost,
    )
    assert.equal(await ours.hold(), 3, 'it is held again by another number')
    await ours.assertHeld()
  })

  test('is not passed on while something is written under it', async (t) => {
    const { store, url } = await openStore(t, 'plain')
    const [ours, other] = [open(t, url), open(t, url, 'other')]
    assert.equal(await ours.hold(), 1)
    const free = Promise.withResolvers<void>()
    const begun = Promise.withResolvers<void>()
    const work = ours.protect(async (number) => {
      assert.equal(number, 1)
      begun.resolve()
      await free.promise
    })
    await begun.promise
    const taking = other.reader.ask(
      op,
      (sql) => sql`update lease set number = number + 1 where name = 'archive' returning number`,
    )
    await until('it to wait', async () => {
      const waiting = await run(
        store,
        `select from pg_stat_activity where application_name = 'wafermon other'
         and datname = current_database() and wait_event_type = 'Lock'`,
      )
      return waiting.length === 1
    })
    free.resolve()
    await work
    assert.equal((await taking)[0]?.number, 2)
    await assert.rejects(ours.assertHeld(), lost)
  })
})

describe('a holder that was overtaken', () => {
  const { signal } = new AbortController()
  const soon = fromMs(Date.now())
  const doubtful = { at: soon, doubt: 'a clock', stepped: true, confirmed: 0 }
  const writes: [string, (store: Store) => Promise<unknown>][] = [
    ['moves no horizon', (store) => advanceHorizon(store, 1, { ...doubtful, doubt: undefined })],
    ['notes no doubt', (store) => advanceHorizon(store, 1, { ...doubtful, at: undefined })],
    ['trims no live positions', (store) => trimLive(store, 0, signal)],
    ['deletes no jobs', (store) => trimJobs(store, signal, 0)],
    ['makes no baselines', makeBaselines],
    ['drops no events', (store) => dropEventsBefore(store, '2026-03-14T00:00:00.000000Z')],
    ['drops no events without an archive', (store) => dropUnarchived(store, 1, signal)],
    [
      'drops no late events',
      (store) => dropRepeats(store, [{ at: soon, key: crypto.randomUUID() }]),
    ],
  ]
  for (const [what, write] of writes) {
    test(what, async (t) => {
      const { store, url } = await closedDay(t, [eventAt(1), eventAt(2)])
      await run(store, `update horizon set frozen_before = '2026-03-14'`)
      const ours = open(t, url, 'ours', 'maintenance')
      await ours.hold()
      await overtake(t, url, ours, locks.maintenance)
      const before = await everything(store)
      await assert.rejects(write(ours.store), lost)
      assert.deepEqual(await everything(store), before)
      await ours.hold()
      await write(ours.store)
    })
  }

  test('writes no manifest', async (t) => {
    const { store, url } = await closedDay(t, [eventAt(1), eventAt(2)])
    const [ours, dir] = [open(t, url), freshFolder()]
    await ours.hold()
    // It had looked, and was stopped right after.
    const assertOurs = async () => {
      await ours.assertHeld()
      await overtake(t, url, ours)
    }
    const day = dayAt()
    const exporting = (more = {}) =>
      exportDay({
        ...{ place: new FolderPlace(dir), day, source: sourceOf(store, day), previous: undefined },
        ...{ hours: [], end: undefined, number: 1 },
        ...{ noted: new Set<string>(), signal, protect: ours.protect },
        ...{ assertOurs: ours.assertHeld, intend: async () => {} },
        ...more,
      })
    await assert.rejects(exporting({ assertOurs }), lost)
    assert.deepEqual(names(join(dir, dirname(manifestPath(day, 1)))), [])
    const number = await ours.hold()
    await exporting()
    const manifest = JSON.parse(readFileSync(join(dir, manifestPath(day, 1)), 'utf8'))
    assert.equal(manifest.lease, number)
  })

  for (const inTransaction of [true, false]) {
    test(`applies no migration ${inTransaction ? '' : 'without a transaction'}`, async (t) => {
      const { url } = await emptyDatabase(t)
      const store = openOn(t, url)
      // Another overtakes with the second file; the third must not be applied.
      const folder = migrationFolder({
        '0001_first.sql': 'create table first ()',
        '0002_overtaken.sql': 'update lease set number = number + 1',
        '0003_after.sql': `${inTransaction ? '' : '-- no transaction\n'}create table after ()`,
      })
      await assert.rejects(migrate(url, log, folder), lost)
      const tables = `to_regclass('first') is not null as first, to_regclass('after') is not null as after`
      const [found] = await run(store, `select ${tables}`)
      assert.deepEqual(found, { first: true, after: false })
      assert.equal(await count(store, 'migration'), 2)
    })
  }
})

/** What maintenance and the archive change. */
async function everything(store: Store) {
  const tables = ['event', 'event_late', 'job', 'live_batch', 'baseline', 'archive_file', 'lease']
  const rows = await Promise.all(tables.map((table) => count(store, table)))
  const partitions = await run(
    store,
    `select count(*) from pg_inherits where inhparent = 'event'::regclass`,
  )
  return { rows, partitions, horizon: await run(store, 'select * from horizon') }
}
