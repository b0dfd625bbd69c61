import assert from 'node:assert/strict'
import { join } from 'node:path'
import { describe, type TestContext, test } from 'node:test'
import { newToken } from '../../src/platform/auth.ts'
import { connect } from '../../src/store/connect.ts'
import { freshDatabase } from '../support/database.ts'
import { freshFolder, startRole } from '../support/processes.ts'
import { wafermon } from '../support/run.ts'
import { run } from '../support/store.ts'
import { postEvents, startOfJob } from '../support/wire-events.ts'

/* Closing jobs, by the processes that are shipped. */

async function anApi(t: TestContext, env: Record<string, string> = {}) {
  const { url } = await freshDatabase(t)
  const store = connect(url, { role: 'test', max: 2 })
  t.after(() => store.close())
  const api = await startRole(t, 'local-api', { DATABASE_URL: url, ...env })
  return { api, store }
}

const statusOf = async (url: string, id: string) =>
  ((await (await fetch(`${url}/v1/jobs/${id}`)).json()) as { status: string }).status

const close = (url: string, id: string, body: object, headers: Record<string, string> = {}) =>
  fetch(`${url}/v1/jobs/${id}/close`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', ...headers },
    body: JSON.stringify(body),
  })

describe('a job', () => {
  test('is closed over HTTP by whoever may operate; the answers say what came of it', async (t) => {
    const tokens = join(freshFolder(), 'tokens')
    const operate = newToken(tokens, ['operate'])
    const read = newToken(tokens, ['read'])
    const ingest = newToken(tokens, ['ingest'])
    assert.ok(operate && read && ingest)
    const { api, store } = await anApi(t, { TOKENS_FILE: tokens })
    const as = (token: string) => ({ authorization: `Bearer ${token}` })
    const start = startOfJob()
    const sent = await fetch(`${api.url}/v1/ingest/events`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', ...as(ingest) },
      body: JSON.stringify(start),
    })
    assert.equal(sent.status, 200)
    const { id } = start.entity
    const reason = 'node 7 is off'
    assert.equal((await close(api.url, id, { reason }, as(read))).status, 403)
    const bare = await close(api.url, id, {}, as(operate))
    assert.deepEqual(
      [bare.status, ((await bare.json()) as { field: string }).field],
      [422, 'reason'],
    )
    const wrong = await close(api.url, id, { reason, status: 'running' }, as(operate))
    assert.deepEqual(
      [wrong.status, ((await wrong.json()) as { field: string }).field],
      [422, 'status'],
    )
    assert.equal((await close(api.url, crypto.randomUUID(), { reason }, as(operate))).status, 404)
    const first = await close(api.url, id, { reason, by: 'Kim' }, as(operate))
    const done = (await first.json()) as { ok: true; closed: boolean; status: string }
    assert.deepEqual([first.status, done.closed, done.status], [200, true, 'unknown'])
    const again = await close(api.url, id, { reason, by: 'Kim' }, as(operate))
    assert.deepEqual([again.status, ((await again.json()) as typeof done).closed], [200, false])
    const other = await close(api.url, id, { reason, status: 'failed' }, as(operate))
    assert.equal(other.status, 409)
    const [entry, ...more] = await run(store, 'select actor, action from audit')
    assert.deepEqual([entry?.action, more.length], ['job.close', 0])
    assert.match(String(entry?.actor), /^token \w+, Kim$/)
    const metrics = await (await fetch(`${api.url}/metrics`, { headers: as(read) })).text()
    assert.match(metrics, /^jobs_total\{app_name="etch",status="unknown"\} 1$/m)
  })

  test('is closed with others by a command, which shows them first', async (t) => {
    const { api } = await anApi(t)
    const hung = Array.from({ length: 30 }, () => startOfJob())
    const other = startOfJob({ app: { app_id: crypto.randomUUID(), name: 'litho' } })
    assert.equal((await postEvents(api.url, [...hung, other], ':batch')).status, 200)
    const command = (...args: string[]) =>
      wafermon(['jobs', 'close', '--url', api.url, '--reason', 'node 7 is off', ...args])
    const where = ['--where', 'exact_app=etch', 'status=running']
    const dry = await command(...where, '--dry-run')
    assert.equal(dry.code, 0, dry.err)
    assert.match(dry.out, /^30 jobs\nID .*and 20 more\n$/s)
    const refused = await command(...where)
    assert.deepEqual([refused.code, /give --yes/.test(refused.err)], [2, true])
    assert.equal(await statusOf(api.url, hung[0]!.entity.id), 'running')
    const done = await command(...where, '--yes', '--json')
    assert.deepEqual(JSON.parse(done.out), { matched: 30, closed: 30, ended: 0 }, done.err)
    for (const { entity } of hung) assert.equal(await statusOf(api.url, entity.id), 'unknown')
    assert.equal(await statusOf(api.url, other.entity.id), 'running')
    const none = await command(...where, '--yes')
    assert.deepEqual([none.code, none.out.split('\n')[0]], [0, 'no job that waits or runs'])
    for (const [filter, why] of [
      ['status=failed', /only jobs that are queued or running/],
      ['nonsense', /NAME=VALUE/],
      ['limit=3', /is not a filter/],
    ] as const) {
      const { code, err } = await command('--where', filter, '--dry-run')
      assert.equal(code, 2)
      assert.match(err, why)
    }
    const unknown = await command('--where', 'ap=x', '--dry-run')
    assert.equal(unknown.code, 1)
    assert.match(unknown.err, /\bap\b/)
  })
})
