import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { freshDatabase } from '../support/database.ts'
import { needsPgBouncer, startPgBouncer } from '../support/pgbouncer.ts'
import { freshFolder, launch, startRole, until } from '../support/processes.ts'
import { openOn, run } from '../support/store.ts'
import { postEvents, startOfJob } from '../support/wire-events.ts'

/* The built program behind Debian's PgBouncer. */

/** What docs/deployment.md tells an operator to let pass. */
const ignore_startup_parameters =
  'jit, plan_cache_mode, idle_in_transaction_session_timeout, statement_timeout'

/** Sends the start of a job. @returns its id */
async function send(url: string): Promise<string> {
  const event = startOfJob()
  assert.equal((await postEvents(url, event)).status, 200)
  return event.entity.id
}

describe('behind PgBouncer', needsPgBouncer, () => {
  for (const [command, code] of [
    ['local-api', 2],
    ['archiver', 2],
    ['migrate', 1],
  ] as const) {
    test(`in transaction mode ${command} ends with code ${code} and says what to set`, async (t) => {
      const { url } = await freshDatabase(t)
      const DATABASE_URL = await startPgBouncer(t, url, {
        pool_mode: 'transaction',
        ignore_startup_parameters,
      })
      const env = { DATABASE_URL, ARCHIVE_DIR: freshFolder(), PORT: '0' }
      const role = launch([command], env)
      t.after(role.kill9)
      const started = role.ready.then(() => assert.fail('it started'))
      assert.deepEqual(await Promise.race([role.ended, started]), { code, signal: null })
      assert.match(
        role
          .err()
          .split('\n')
          .at(command === 'migrate' ? 0 : -2) ?? '',
        new RegExp(`^wafermon ${command}: a connection pooler .* set pool_mode = session`),
      )
    })
  }

  test('in session mode the local API stores, answers and streams', async (t) => {
    const { url } = await freshDatabase(t)
    const database = new URL(url).pathname.slice(1)
    const admin = openOn(t, url)
    await run(admin, `alter database ${database} set idle_in_transaction_session_timeout = '2s'`)
    const DATABASE_URL = await startPgBouncer(t, url, {
      pool_mode: 'session',
      ignore_startup_parameters,
    })
    const role = await startRole(t, 'local-api', { DATABASE_URL })
    const isWell = async () => (await fetch(`${role.url}/v1/healthz`)).status === 200
    await until('it to be well', isWell)
    const stop = new AbortController()
    t.after(() => stop.abort())
    const stream = await fetch(`${role.url}/v1/stream`, { signal: stop.signal })
    let streamed = ''
    const reading = stream.body?.pipeThrough(new TextDecoderStream()).pipeTo(
      new WritableStream({
        write: (text) => {
          streamed += text
        },
      }),
    )
    reading?.catch(() => {})
    const sent: string[] = []
    // Until one comes: a subscriber gets what is stored from some moment on.
    await until('an event in the stream', async () => {
      const id = await send(role.url)
      assert.equal((await fetch(`${role.url}/v1/jobs/${id}`)).status, 200)
      sent.push(id)
      return sent.some((one) => streamed.includes(one))
    })
  })
})
