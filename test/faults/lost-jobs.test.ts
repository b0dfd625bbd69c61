import assert from 'node:assert/strict'
import { test } from 'node:test'
import { connect } from '../../src/store/connect.ts'
import { freshDatabase } from '../support/database.ts'
import { startRole, until } from '../support/processes.ts'
import { run } from '../support/store.ts'
import { postEvents, startOfJob } from '../support/wire-events.ts'

/* Maintenance looks once a minute. */

const readStatus = async (url: string, id: string) =>
  ((await (await fetch(`${url}/v1/jobs/${id}`)).json()) as { status: string }).status

test('a job that is lost for LOST_AFTER_S is closed by itself, and the log says so', async (t) => {
  const { url } = await freshDatabase(t)
  const store = connect(url, { role: 'test', max: 2 })
  t.after(() => store.close())
  const api = await startRole(t, 'local-api', { DATABASE_URL: url, LOST_AFTER_S: '1' })
  const at = new Date(Date.now() - 60_000).toISOString()
  const start = startOfJob({
    event: { kind: 'started', at, metadata: { heartbeat_s: 1 } },
  })
  assert.equal((await postEvents(api.url, start)).status, 200)
  const { id } = start.entity
  await until(
    'the job to be closed',
    async () => (await readStatus(api.url, id)) === 'unknown',
    150_000,
  )
  const [entry] = await run(store, 'select actor, reason, object from audit')
  assert.deepEqual(
    { ...entry },
    { actor: 'system', reason: 'lost for more than 1 s', object: `job ${id}` },
  )
  await until('the log', async () => api.logs().includes('lost job closed'))
})
