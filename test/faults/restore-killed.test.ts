import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { describe, test } from 'node:test'
import { FolderPlace } from '../../src/archive/places/folder.ts'
import { restore } from '../../src/archive/run-restore.ts'
import { dueDays } from '../../src/store/archive/days.ts'
import { connect, type Store } from '../../src/store/connect.ts'
import { all, count, eventsOf, goneArchive, shown, statsOf } from '../archive/gone-archive.ts'
import { run } from '../archive/support.ts'
import { program, until } from '../support/processes.ts'

/* `wafermon archive restore`, killed where it hurts, and run again. */

/** Holds a lock that stops the restore, until it is let go. */
async function held(url: string, lock: string) {
  const store = connect(url, { role: 'blocker', max: 1 })
  const release = Promise.withResolvers<void>()
  const locked = Promise.withResolvers<void>()
  const done = store.begin({ operation: 'block', table: 'none' }, async (tx) => {
    await tx.unsafe(`set local idle_in_transaction_session_timeout = 0`)
    await tx.unsafe(lock)
    locked.resolve()
    await release.promise
  })
  await Promise.race([locked.promise, done])
  return async () => {
    release.resolve()
    await done
    await store.close()
  }
}

const waitsFor = (store: Store) => async () => {
  const [row] = await run(
    store,
    `select count(*)::int as n from pg_stat_activity where application_name like '%archive restore%' and wait_event_type = 'Lock'`,
  )
  return row?.n === 1 ? true : undefined
}

const points: [string, string, Record<string, number>][] = [
  [
    'before the first event',
    'lock table event_late in exclusive mode',
    { event_late: 0, job: 0, subjob: 0 },
  ],
  [
    'in the batch of jobs, some of them in',
    'select pg_advisory_xact_lock(4711)',
    { event_late: 21, job: 0, subjob: 0 },
  ],
  [
    'before the jobs are marked',
    'lock table archived_job in exclusive mode',
    { event_late: 21, job: 0, subjob: 0 },
  ],
  ['after the jobs', 'lock table subjob in exclusive mode', { event_late: 21, job: 6, subjob: 0 }],
]

describe('a restore that is killed', () => {
  for (const [where, lock, there] of points) {
    test(`${where}: leaves whole batches, and the next one does the rest`, async (t) => {
      const { store, url, dir, rollups, before, eventsBefore, stats } = await goneArchive(t)
      await run(
        store,
        `create function wait_here() returns trigger language plpgsql as
           $$ begin perform pg_advisory_xact_lock_shared(4711); return new; end $$`,
      )
      await run(
        store,
        'create trigger wait_here after insert on job for each row execute function wait_here()',
      )
      const release = await held(url, lock)
      const args = [
        '--from',
        '2026-03-01',
        '--to',
        '2026-03-20',
        '--dir',
        dir,
        '--database-url',
        url,
      ]
      const child = spawn(process.execPath, [program, 'archive', 'restore', ...args], {
        stdio: 'inherit',
      })
      await until('the restore waits', waitsFor(store))
      child.kill('SIGKILL')
      await once(child, 'exit')
      await release()
      await until('its connection is gone', async () => {
        const [row] = await run(
          store,
          `select count(*)::int as n from pg_stat_activity where application_name like '%archive restore%'`,
        )
        return row?.n === 0 ? true : undefined
      })
      for (const [table, rows] of Object.entries(there))
        assert.equal(await count(store, table), rows, table)
      assert.deepEqual(await dueDays(store), [])
      await rollups.make()
      await restore(new FolderPlace(dir), store, all)
      assert.deepEqual(await shown(store), before)
      assert.deepEqual(await eventsOf(store), eventsBefore)
      await rollups.make()
      assert.deepEqual(await statsOf(store), stats)
    })
  }
})
