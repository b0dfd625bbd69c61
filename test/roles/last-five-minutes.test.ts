import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { rmSync } from 'node:fs'
import { describe, test } from 'node:test'
import { doorTo } from '../archive/role.ts'
import { freshDatabase } from '../support/database.ts'
import { freshFolder, startRole, until } from '../support/processes.ts'

/* The counts of the last five minutes in the health of a role, as an operator reads them. */

const hourMs = 3_600_000

const anEvent = (agoMs = 0) => ({
  idempotency_key: randomUUID(),
  site_id: 'fab1',
  app: { app_id: randomUUID(), name: 'litho-apc', version: '1' },
  entity: { type: 'job', id: randomUUID() },
  event: { kind: 'started', at: new Date(Date.now() - agoMs).toISOString() },
})

const wrong = () => ({ ...anEvent(), site_id: 'no site' })

async function post(url: string, events: readonly object[]): Promise<number> {
  const answer = await fetch(`${url}/v1/ingest/events:batch`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(events),
  })
  await answer.arrayBuffer()
  return answer.status
}

type Health = {
  status: string
  faults?: string[]
  last_5_min?: object
  ingest?: { last_5_min: object }
}

const healthOf = async (url: string) => (await (await fetch(`${url}/v1/healthz`)).json()) as Health

const times = <T>(n: number, make: () => T) => Array.from({ length: n }, make)

describe('the last five minutes', () => {
  test('of the local API: taken, late, rejected and not stored', async (t) => {
    const door = await doorTo(t, (await freshDatabase(t)).url)
    const { url } = await startRole(t, 'local-api', { DATABASE_URL: door.url })
    await until('it to be well', async () => (await healthOf(url)).status === 'ok')
    const late = () => anEvent(60 * hourMs)
    await post(url, [...times(12, anEvent), ...times(3, wrong), ...times(4, late)])
    const before = await healthOf(url)
    assert.deepEqual(before.ingest?.last_5_min, { events: 19, late: 4, rejected: 3, failed: 0 })
    assert.equal(before.status, 'ok', 'too few for a share')
    await post(url, [wrong()])
    const after = await healthOf(url)
    assert.deepEqual(after.ingest?.last_5_min, { events: 20, late: 4, rejected: 4, failed: 0 })
    assert.equal(after.status, 'degraded')
    assert.deepEqual(after.faults, ['4 of the last 20 events were rejected'])
    door.shut()
    assert.equal(await post(url, times(5, anEvent)), 503)
    const failed = await healthOf(url)
    assert.deepEqual(failed.ingest?.last_5_min, { events: 25, late: 4, rejected: 4, failed: 5 })
    assert.match(failed.faults?.[0] ?? '', /^5 of the last 25 events could not be stored/)
  })

  test('of a sidecar: taken, rejected and not kept', async (t) => {
    const folder = freshFolder()
    const env = { SPOOL_DIR: folder, LOCAL_API_BASE: 'http://127.0.0.1:1' }
    const { url } = await startRole(t, 'sidecar', env)
    await post(url, [...times(17, anEvent), ...times(2, wrong)])
    const before = await healthOf(url)
    assert.deepEqual(before.last_5_min, { events: 19, rejected: 2, failed: 0 })
    assert.equal(before.faults, undefined)
    await post(url, [wrong()])
    const after = await healthOf(url)
    assert.deepEqual(after.last_5_min, { events: 20, rejected: 3, failed: 0 })
    assert.deepEqual(after.faults, ['3 of the last 20 events were rejected'])
    rmSync(folder, { recursive: true })
    assert.equal(await post(url, times(5, anEvent)), 503)
    const failed = await healthOf(url)
    assert.deepEqual(failed.last_5_min, { events: 25, rejected: 3, failed: 5 })
    assert.match(failed.faults?.[0] ?? '', /^5 of the last 25 events could not be stored/)
  })
})
