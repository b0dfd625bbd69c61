import assert from 'node:assert/strict'
import { fork } from 'node:child_process'
import type net from 'node:net'
import { describe, type TestContext, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { pino } from 'pino'
import { fromMs } from '../../src/core/time.ts'
import { openDriver } from '../../src/store/driver.ts'
import { endStalledBlockers } from '../../src/store/end-stalled.ts'
import { ingest } from '../../src/store/ingest.ts'
import { openLease } from '../../src/store/lease.ts'
import { runMaintenance } from '../../src/store/maintenance.ts'
import { until } from '../support/processes.ts'
import { anEvent, count, openOn, openStore, run } from '../support/store.ts'

/*
 * How long others wait for it is a setting of its sessions, held by test/store/sessions.test.ts.
 *
 * What a process that is stopped (SIGSTOP), not dead, holds in the database: its connections stay open,
 * and nothing tells the server.
 */

const program = fileURLToPath(new URL('../support/stoppable.ts', import.meta.url))

type Said = {
  held?: boolean
  refused?: string
  number?: number
  session?: number
  lastRunAt?: string | null
}

/** Starts the program, and resolves once it holds what it was told to. */
async function startHolder(t: TestContext, url: string, what: string) {
  const child = fork(program, [url, what])
  const said: Said[] = []
  child.on('message', (message: Said) => said.push(message))
  t.after(() => child.kill('SIGKILL'))
  await until('the process to hold it', () => said.at(-1)?.held)
  return { child, said }
}

const written = async (url: string, t: TestContext) =>
  (await run(openOn(t, url), `select to_regclass('written_after_the_stop') as name`))[0]?.name

describe('a stopped process', () => {
  test('in an ingest transaction is ended by the server, and writes nothing when it runs on', async (t) => {
    const { store, url } = await openStore(t, 'plain')
    const { child, said } = await startHolder(t, url, 'ingest')
    child.kill('SIGSTOP')
    const post = ingest(store, [anEvent(fromMs(Date.now()))])
    let done = false
    void post.then(() => {
      done = true
    })
    await until('the post', () => done)
    assert.equal(await count(store, 'event'), 1)
    child.send('go on')
    child.kill('SIGCONT')
    await until('its refusal', () => said.some(({ refused }) => refused))
    assert.equal(await written(url, t), null)
  })

  test('passes maintenance on, and leaves it to the other when it runs on', async (t) => {
    const { url } = await openStore(t, 'plain')
    const { child, said } = await startHolder(t, url, 'maintenance')
    const stop = new AbortController()
    const other = runMaintenance(url, {
      ...{ log: pino({ level: 'silent' }), signal: stop.signal, silentMs: 1000, everyMs: 200 },
      ...{ freezeAfterHours: 48, liveKeepHours: 24, archive: true, retentionHours: 72 },
    })
    t.after(() => {
      stop.abort()
      return other.done
    })
    child.kill('SIGSTOP')
    await until('the other replica to take over', () => other.state().here)
    said.length = 0
    child.kill('SIGCONT')
    await until('it to notice', () => said.at(-1)?.held === false)
    assert.equal(other.state().here, true)
  })

  for (const what of ['archive', 'migrate'] as const) {
    test(`passes on the lease "${what}", and writes nothing when it runs on`, async (t) => {
      const { url } = await openStore(t, 'plain')
      const { child, said } = await startHolder(t, url, what)
      const other = openLease(url, what, { role: 'other', silentMs: 1000 })
      t.after(other.close)
      assert.equal(await other.hold(), undefined)
      child.kill('SIGSTOP')
      await until('the lease', other.hold)
      child.send('go on')
      child.kill('SIGCONT')
      const { refused } = await until('its refusal', () => said.find((one) => one.refused))
      assert.match(refused ?? '', /the lease is lost: another process may have taken over/)
      assert.equal(await written(url, t), null)
      await other.assertHeld()
    })
  }

  test('whose session stays open and has the lock again is refused by its number', async (t) => {
    const { url } = await openStore(t, 'plain')
    const { child, said } = await startHolder(t, url, 'unlocked')
    child.kill('SIGSTOP')
    const other = openLease(url, 'archive', { role: 'other' })
    const number = await until('the lease', other.hold)
    assert.equal(number, Number(said[0]?.number) + 1)
    await other.close()
    child.send('go on')
    child.kill('SIGCONT')
    const { refused, session } = await until('its refusal', () => said.find((one) => one.refused))
    assert.match(refused ?? '', /the lease is lost/)
    assert.equal(session, said[0]?.session)
    assert.equal(await written(url, t), null)
  })

  test('in the middle of a message is ended by those that wait for its locks', async (t) => {
    const { store, url } = await openStore(t, 'plain')
    await stopInMessage(t, url)
    const post = ingest(store, [anEvent(fromMs(Date.now()))])
    const ended = await until('its end', async () => {
      const names = await endStalledBlockers(store, 100)
      return names.length > 0 && names
    })
    assert.deepEqual(ended, ['wafermon stopped'])
    await post
  })

  test('in the middle of a message loses its lease to the process that asks for it', async (t) => {
    const { url } = await openStore(t, 'plain')
    await stopInMessage(t, url, 'select pg_advisory_lock(7005)')
    const other = openLease(url, 'archive', { role: 'other', silentMs: 200 })
    t.after(other.close)
    await until('the lease', other.hold)
  })
})

describe('a lease', () => {
  test('stays with a process that runs, however long its work is silent', async (t) => {
    const { store, url } = await openStore(t, 'plain')
    const ours = openLease(url, 'archive', { role: 'ours', silentMs: 500 })
    t.after(ours.close)
    assert.ok(await ours.hold())
    // As many beats as make several leases, and no other statement.
    const beats = new Set<string>()
    await until('its beats', async () => {
      const [session] = await run(
        store,
        `select state_change::text as at from pg_stat_activity
         where application_name = 'wafermon ours' and query like '%lease.beat%'`,
      )
      if (session) beats.add(String(session.at))
      return beats.size >= 15
    })
    await ours.assertHeld()
  })
})

/**
 * A session that waits for the rest of what its process began to say, in a transaction that holds the
 * lock of live positions: the server's clocks for idle sessions do not run.
 */
async function stopInMessage(t: TestContext, url: string, first = 'select 1') {
  let socket: net.Socket | undefined
  const sql = openDriver(url, {
    name: 'stopped',
    max: 1,
    onSocket: (made) => {
      socket = made
    },
  })
  t.after(() => sql.end({ timeout: 0 }))
  const held = new Promise<void>((done) => {
    sql
      .begin(async (tx) => {
        await tx.unsafe(first)
        await tx`select pg_advisory_xact_lock(7001)`
        // The first half of a statement goes out; its answer is not read, so the other never does.
        socket?.pause()
        void tx`select ${1}::int as n`.catch(() => {})
        done()
        await new Promise<never>(() => {})
      })
      .catch(() => {})
  })
  await held
  await until('the server to wait for the rest', async () => {
    const found = await run(
      openOn(t, url),
      `select from pg_stat_activity where application_name = 'wafermon stopped'
       and datname = current_database() and state = 'active' and wait_event = 'ClientRead'`,
    )
    return found.length === 1
  })
}
