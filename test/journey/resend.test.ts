import assert from 'node:assert/strict'
import { readdirSync, readFileSync, symlinkSync } from 'node:fs'
import { join } from 'node:path'
import { describe, type TestContext, test } from 'node:test'
import { send, startHttpPeer } from '../sinks/http-peer.ts'
import { freshDatabase } from '../support/database.ts'
import { sinksByName } from '../support/integrations.ts'
import { freshFolder, startRole, until } from '../support/processes.ts'
import { wafermon } from '../support/run.ts'
import { postEvents, startOfJob } from '../support/wire-events.ts'

/* `wafermon resend`, from a real database to sinks that had the events before. */

type Result = {
  complete: boolean
  read: number
  taken: number
  filtered: number
  refused: number
  rejects: { idempotency_key: string; field: string }[]
}

/** A receiver that notes the id of each request, and what it said. */
async function startReceiver(t: TestContext) {
  const receiver = { url: '', ids: [] as string[], bodies: [] as string[], status: 200, away: 0 }
  const peer = await startHttpPeer(t, ({ request, body }, response) => {
    if (request.method === 'HEAD') return send(response, 200)
    // For so many requests.
    if (receiver.away-- > 0) return send(response, 503)
    if (receiver.status === 200) {
      receiver.ids.push(String(request.headers['webhook-id']))
      receiver.bodies.push(body)
    }
    return send(response, receiver.status)
  })
  receiver.url = peer.url
  return receiver
}

async function startSite(t: TestContext) {
  const { url: database } = await freshDatabase(t)
  const api = await startRole(t, 'local-api', { DATABASE_URL: database })
  const [hook, bulk] = [await startReceiver(t), await startReceiver(t)]
  const list = [
    { type: 'local_api', name: 'local-api', config: { base_url: api.url } },
    { type: 'webhook', name: 'hook', config: { webhook_url: hook.url } },
    {
      ...{ type: 'webhook', name: 'bulk', enabled: false },
      config: { webhook_url: bulk.url, batch: true },
    },
    { type: 'csv', name: 'csv', config: { output_dir: join(freshFolder(), 'csv') } },
  ]
  const env = { INTEGRATIONS_CONFIG: JSON.stringify(list) }
  const sidecar = await startRole(t, 'sidecar', { SPOOL_DIR: freshFolder(), ...env })
  const delivered = () =>
    until(
      'all to be delivered',
      async () =>
        Object.values(await sinksByName(sidecar.url)).every(({ lag_events }) => lag_events === 0),
      180_000,
    )
  const resend = (...args: string[]) =>
    wafermon(['resend', ...args], { ...env, DATABASE_URL: database })
  return { api, hook, bulk, sidecar, delivered, resend, list }
}

const litho = { app_id: '5f0c41c2-7c42-4d10-9a35-0193581eb7e9', name: 'litho' }
const minute = (n: number) => new Date(Date.now() + n * 60_000).toISOString()
const sorted = (all: readonly string[]) => [...all].sort()

describe('wafermon resend', () => {
  test('sends a range again with the ids and the stamps that it had', async (t) => {
    const { hook, sidecar, delivered, resend } = await startSite(t)
    const batch = Array.from({ length: 30 }, (_, i) =>
      startOfJob(i % 3 === 0 ? { app: litho } : {}),
    )
    assert.equal((await postEvents(sidecar.url, batch, ':batch')).status, 200)
    await delivered()
    const [ids, bodies] = [hook.ids.splice(0), hook.bodies.splice(0)]
    assert.equal(ids.length, 30)
    const range = ['--from', minute(-60), '--to', minute(60)]
    const first = await resend(...range, '--sink', 'hook', '--json')
    assert.equal(first.code, 0, first.err)
    const { read, taken, complete } = JSON.parse(first.out) as Result
    assert.deepEqual([read, taken, complete], [30, 30, true])
    assert.deepEqual(sorted(hook.ids), sorted(ids))
    const stampOf = (body: string) => {
      const { idempotency_key, source, event } = JSON.parse(body)
      return JSON.stringify([idempotency_key, source, event])
    }
    assert.deepEqual(sorted(hook.bodies.map(stampOf)), sorted(bodies.map(stampOf)))

    const some = await resend(...range, '--sink', 'hook', '--app', 'litho', '--kind', 'started')
    assert.deepEqual([some.code, some.out], [0, 'read 10, sent 10, refused 0\n'])
    // The local API knows each of them.
    const api = await resend(...range, '--sink', 'local-api')
    assert.deepEqual([api.code, api.out], [0, 'read 30, sent 30, refused 0\n'])
  })

  test('reads as many pages as there are, each event once, for a sink that is not enabled too', async (t) => {
    const { api, bulk, resend } = await startSite(t)
    const at = new Date().toISOString()
    // All at the same time: pages are cut by the key.
    const batch = Array.from({ length: 2100 }, () => startOfJob({ event: { kind: 'started', at } }))
    assert.equal((await postEvents(api.url, batch, ':batch')).status, 200)
    const sent = await resend('--from', at, '--to', minute(60), '--sink', 'bulk')
    assert.deepEqual([sent.code, sent.out], [0, 'read 2,100, sent 2,100, refused 0\n'])
    const keys = bulk.bodies.flatMap((body) =>
      (JSON.parse(body).events as { idempotency_key: string }[]).map((one) => one.idempotency_key),
    )
    assert.deepEqual(sorted(keys), sorted(batch.map((one) => one.idempotency_key)))
  })

  test('writes files in a folder of their own, and never in that of the sidecar', async (t) => {
    const { sidecar, delivered, resend, list } = await startSite(t)
    const batch = Array.from({ length: 20 }, () => startOfJob())
    await postEvents(sidecar.url, batch, ':batch')
    await delivered()
    const range = ['--from', minute(-60), '--to', minute(60), '--sink', 'csv']
    const same = await resend(...range)
    assert.equal(same.code, 2)
    assert.match(
      same.err,
      /^--output-dir: the sink csv writes files in \S+, which is its sidecar's/,
    )
    const used = String(list[3]?.config.output_dir)
    const link = join(freshFolder(), 'link')
    symlinkSync(used, link)
    for (const named of [used, `${used}/`, link]) {
      assert.equal((await resend(...range, '--output-dir', named)).code, 2, named)
    }
    const folder = join(freshFolder(), 'again')
    assert.equal((await resend(...range, '--output-dir', folder)).code, 0)
    const [name = ''] = readdirSync(folder).filter((file) => file.endsWith('.csv'))
    const text = readFileSync(join(folder, name), 'utf8')
    for (const { idempotency_key } of batch) assert.ok(text.includes(idempotency_key))
  })

  test('names what was refused, waits for what passes, and says where to continue', async (t) => {
    const { hook, sidecar, delivered, resend } = await startSite(t)
    await postEvents(sidecar.url, [startOfJob(), startOfJob()], ':batch')
    await delivered()
    hook.ids.splice(0)
    const range = ['--from', minute(-60), '--to', minute(60), '--sink', 'hook']
    hook.status = 422
    const refused = await resend(...range, '--json')
    assert.equal(refused.code, 1)
    const result = JSON.parse(refused.out) as Result
    assert.deepEqual([result.taken, result.refused, result.rejects.length], [0, 2, 2])
    hook.status = 200
    hook.away = 2
    const passed = await resend(...range)
    assert.deepEqual([passed.code, passed.out], [0, 'read 2, sent 2, refused 0\n'])
    assert.match(passed.err, /^hook: it answered 503; will retry in \d+ s\n/)
    assert.equal(hook.ids.length, 2)
  })

  test('says what is wrong with its flags before it sends anything', async (t) => {
    const { resend, hook } = await startSite(t)
    const range = ['--from', minute(-60), '--to', minute(60)]
    for (const [args, says] of [
      [[...range, '--sink', 'x'], /--sink: there is no sink x in INTEGRATIONS_CONFIG; there are /],
      [['--from', minute(1), '--to', minute(0), '--sink', 'hook'], /^--from: must be before --to/],
      [['--from', 'monday', '--to', minute(0), '--sink', 'hook'], /must be an RFC 3339 time/],
      [[...range, '--sink', 'hook', '--output-dir', '/x'], /the sink hook writes no files/],
    ] as const) {
      const { code, err } = await resend(...args)
      assert.equal(code, 2, err)
      assert.match(err, says)
    }
    assert.deepEqual(hook.ids, [])
  })
})
