import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { describe, test } from 'node:test'
import { doorTo } from '../archive/role.ts'
import { emptyDatabase, freshDatabase } from '../support/database.ts'
import { launch, startRole, until } from '../support/processes.ts'

/* How the built local API meets a database that it cannot work with. */

const statusOf = async (url: string, path: string, init?: RequestInit) => {
  const answer = await fetch(`${url}${path}`, init)
  return { code: answer.status, said: await answer.text(), headers: answer.headers }
}

const event = () => ({
  idempotency_key: randomUUID(),
  site_id: 'fab1',
  app: { app_id: randomUUID(), name: 'litho-apc', version: '1' },
  entity: { type: 'job', id: randomUUID(), business_key: 'L26N4402.1' },
  event: { kind: 'finished', at: new Date().toISOString(), metrics: { duration_s: 1.5 } },
})

const send = (url: string) =>
  statusOf(url, '/v1/ingest/events', {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(event()),
  })

/** Fields that machines may rely on in every line; docs/configuration.md. */
function assertLog(text: string): void {
  const lines = text.trimEnd().split('\n')
  assert.ok(lines.length > 1, text)
  for (const line of lines) {
    const { event, timestamp, level, service, ...fields } = JSON.parse(line)
    assert.match(event, /\w/)
    assert.match(timestamp, /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/)
    assert.match(level, /^(info|warn|error)$/)
    assert.equal(service, 'local-api')
    for (const name of Object.keys(fields)) assert.match(name, /^[a-z]+(_[a-z]+)*$/)
  }
}

describe('wafermon local-api', () => {
  test('ends with code 2 on a database without migrations, and names the command to run', async (t) => {
    const { url } = await emptyDatabase(t)
    const role = launch(['local-api'], { DATABASE_URL: url, PORT: '0' })
    t.after(role.kill9)
    const started = role.ready.then(() => assert.fail('it started'))
    assert.deepEqual(await Promise.race([role.ended, started]), { code: 2, signal: null })
    assert.match(role.err(), /^wafermon local-api: the database lacks .*; run wafermon migrate\n$/)
    const migrated = launch(['migrate'], { DATABASE_URL: url })
    assert.equal((await migrated.ended).code, 0, migrated.logs())
    const again = await startRole(t, 'local-api', { DATABASE_URL: url })
    assert.equal((await statusOf(again.url, '/v1/jobs')).code, 200)
  })

  test('comes up while the database is away, answers 503, and works once it is there', async (t) => {
    const door = await doorTo(t, (await freshDatabase(t)).url)
    door.shut()
    const role = await startRole(t, 'local-api', { DATABASE_URL: door.url })
    for (const { code, said, headers } of [
      await statusOf(role.url, '/v1/jobs'),
      await send(role.url),
    ]) {
      assert.equal(code, 503, said)
      assert.match(String(headers.get('content-type')), /^application\/problem\+json/)
      assert.match(said, /database/)
      assert.doesNotMatch(said, /select|\n *at /)
    }
    const health = await statusOf(role.url, '/v1/healthz')
    assert.equal(health.code, 503)
    assert.match(JSON.parse(health.said).trouble, /database/)
    door.open()
    const isWell = async () => (await statusOf(role.url, '/v1/healthz')).code === 200
    await until('health', isWell)
    const now = await statusOf(role.url, '/v1/jobs')
    assert.equal(now.code, 200, now.said)
    assert.equal((await send(role.url)).code, 200)
    assert.deepEqual(await role.stop(), { code: 0, signal: null })
    assertLog(role.logs())
  })

  test('names a spool that gives its numbers again in health, log and metric, and keeps both events', async (t) => {
    const { url } = await freshDatabase(t)
    const role = await startRole(t, 'local-api', { DATABASE_URL: url })
    const sendAs = async (seq: number) => {
      const stamp = {
        source: { id: 'bn-07', epoch: 'e1', seq },
        received_at: new Date().toISOString(),
      }
      const init = { method: 'POST', body: JSON.stringify({ ...event(), ...stamp }) }
      const { said } = await statusOf(role.url, '/v1/ingest/events', {
        ...init,
        headers: { 'content-type': 'application/json' },
      })
      assert.match(said, /"ok":true,"duplicate":false/)
    }
    const health = async () => JSON.parse((await statusOf(role.url, '/v1/healthz')).said)
    await sendAs(1)
    await sendAs(2)
    assert.deepEqual((await health()).reused_numbers, [])
    await sendAs(2)
    const { status, reused_numbers } = await health()
    assert.equal(status, 'degraded')
    const [{ last_at, ...named }] = reused_numbers
    assert.deepEqual(named, { source: 'bn-07', epoch: 'e1', numbers: 1 })
    assert.match(role.logs(), /spool gave numbers again/)
    const { said } = await statusOf(role.url, '/metrics')
    assert.match(said, /^wafermon_reused_numbers_total 1$/m)
    assertLog(role.logs())
  })
})
