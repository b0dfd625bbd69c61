import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import type net from 'node:net'
import { describe, type TestContext, test } from 'node:test'
import { openDriver } from '../../src/store/driver.ts'
import { hadRound } from '../archive/role.ts'
import { closedDay, eventAt } from '../archive/support.ts'
import { freshFolder, program, startRole, until } from '../support/processes.ts'
import { openOn, openStore, run } from '../support/store.ts'

/* How long the server lets a session of ours wait for its process in the middle of a transaction. */

/** Lets the server write down what each session has set from its first moment on. */
async function watchLogins(t: TestContext, url: string) {
  const store = openOn(t, url)
  await run(store, 'create table login (name text, idle text)')
  await run(
    store,
    `create function note_login() returns event_trigger language plpgsql as $$ begin
       insert into login values (
         current_setting('application_name'), current_setting('idle_in_transaction_session_timeout'));
     end $$`,
  )
  await run(store, 'create event trigger note_login on login execute function note_login()')
  return async () => {
    const rows = await run(store, 'select distinct name, idle from login')
    return rows.map(({ name, idle }) => `${name}: ${idle}`).sort()
  }
}

const wafermon = (args: string[], env: Record<string, string>) =>
  execFileSync(process.execPath, [program, ...args], { env: { ...process.env, ...env } })

describe('a transaction that waits for its process', () => {
  test('is ended by the server after 2 s in every session of every role and command', async (t) => {
    const { url } = await closedDay(t, [eventAt(1)])
    const logins = await watchLogins(t, url)
    const database = { DATABASE_URL: url }
    const folder = { ...database, ARCHIVE_DIR: freshFolder() }
    const local = await startRole(t, 'local-api', database)
    const archiver = await startRole(t, 'archiver', folder)
    await until('an archive', () => hadRound(archiver))
    await fetch(`${local.url}/v1/jobs`)
    wafermon(['migrate'], database)
    wafermon(['db', 'horizon'], database)
    wafermon(['archive', 'verify'], folder)
    const expected = [
      ...['archive verify', 'archiver', 'archiver health', 'db', 'local-api ingest'],
      ...['local-api read', 'local-api read listen', 'local-api watch', 'maintenance'],
      ...['migrate', 'pooler check', 'rollups'],
    ]
      .map((name) => `wafermon ${name}: 2s`)
      .sort()
    await until('all of them', async () => (await logins()).length >= expected.length)
    assert.deepEqual(await logins(), expected)
  })

  test('is ended by the code for that, whatever the address says', async (t) => {
    const { url } = await openStore(t, 'plain')
    const address = new URL(url)
    address.searchParams.set('idle_in_transaction_session_timeout', '0')
    const ended = Promise.withResolvers<string>()
    // The driver drops what answers no statement; the socket has it.
    const onSocket = (socket: net.Socket) =>
      socket.on('data', (bytes) => {
        const code = /\0C(\w{5})\0/.exec(bytes.toString('latin1'))?.[1]
        if (code) ended.resolve(code)
      })
    const sql = openDriver(address.href, { name: 'test', max: 1, onSocket })
    t.after(() => sql.end({ timeout: 0 }))
    const work = sql.begin(async (tx) => {
      const [row] = await tx`select current_setting('idle_in_transaction_session_timeout') as idle`
      assert.equal(row?.idle, '2s')
      await new Promise(() => {})
    })
    await assert.rejects(work, { code: 'CONNECTION_CLOSED' })
    assert.equal(await ended.promise, '25P03')
  })
})
