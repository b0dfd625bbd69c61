import assert from 'node:assert/strict'
import { join } from 'node:path'
import { describe, type TestContext, test } from 'node:test'
import { newToken } from '../../src/platform/auth.ts'
import { connect, type Store } from '../../src/store/connect.ts'
import { freshDatabase } from '../support/database.ts'
import { freshFolder, startRole, until } from '../support/processes.ts'
import { startRefusingWay } from '../support/refusing-way.ts'
import { wafermon } from '../support/run.ts'
import { run } from '../support/store.ts'
import { postEvents, startOfJob } from '../support/wire-events.ts'

/* What a site knows of its sidecars, between the processes that are shipped. */

type Source = {
  id: string
  state: string
  waiting: number | null
  missing: number
  accepted: number
  heard_at: string | null
  lag_s: number | null
  site_id: string | null
  sinks: {
    name: string
    lag_events: number
    state: string
    status: string | null
    required: boolean | null
    rejects: number | null
    skipped: number | null
    gap_at: string | null
    gap_reason: string | null
    gap_events: number | null
  }[]
  spool_bytes: number
  spool_max_bytes: number
}
type Completeness = {
  sources: number
  sources_reporting: number
  sources_silent: number
  silent_sources: string[]
  missing: number
  gaps: object[]
}

const batchPath = '/v1/ingest/events:batch'

/** A local API with a sidecar that reaches it by a way of ours. */
async function aSite(t: TestContext, env: Record<string, string> = {}) {
  const { url } = await freshDatabase(t)
  const store = connect(url, { role: 'test', max: 2 })
  t.after(() => store.close())
  const api = await startRole(t, 'local-api', { DATABASE_URL: url })
  const way = await startRefusingWay(t, api.url)
  const spoolDir = freshFolder()
  const start = (more: Record<string, string> = {}) =>
    startRole(t, 'sidecar', { SPOOL_DIR: spoolDir, LOCAL_API_BASE: way.url, ...env, ...more })
  return { api, way, store, start }
}

const list = async (url: string, query = ''): Promise<Source[]> =>
  ((await (await fetch(`${url}/v1/sources${query}`)).json()) as { items: Source[] }).items

const named = (sinks: Source['sinks'], wanted: string) => sinks.find(({ name }) => name === wanted)

const completeness = async (url: string): Promise<Completeness> => {
  const answer = await fetch(`${url}/v1/jobs?limit=1`)
  return ((await answer.json()) as { completeness: Completeness }).completeness
}

const inState = (url: string, state: string) =>
  until(`a ${state} source`, async () => (await list(url)).find((one) => one.state === state))

/** Its next heartbeat could only come from a process that runs. */
const turnClock = (store: Store) =>
  run(store, `update source_state set heard_at = heard_at - interval '31 seconds'`)

// They wait for heartbeats, which come every ten seconds: each on a site of its own.
describe('a sidecar', { concurrency: 3 }, () => {
  test('is known before its first event, and is silent when it stands still (SIGSTOP)', async (t) => {
    const { api, store, start } = await aSite(t)
    const sidecar = await start()
    const { waiting, lag_s, heard_at } = await inState(api.url, 'reporting')
    assert.deepEqual([waiting, lag_s], [0, 0])
    assert.ok(heard_at)
    assert.equal((await completeness(api.url)).sources_reporting, 1)
    sidecar.child.kill('SIGSTOP')
    t.after(() => sidecar.child.kill('SIGCONT'))
    await turnClock(store)
    const { id } = await inState(api.url, 'silent')
    const known = await until('lists to say so', async () => {
      const now = await completeness(api.url)
      return now.sources_silent === 1 && now
    })
    assert.deepEqual([known.sources_reporting, known.silent_sources], [0, [id]])
    const metrics = await (await fetch(`${api.url}/metrics`)).text()
    assert.match(metrics, /^wafermon_source_silent 1$/m)
    sidecar.child.kill('SIGCONT')
    await inState(api.url, 'reporting')
  })

  test('that is killed is silent, and gone only after a clean stop with an empty spool', async (t) => {
    const { api, way, store, start } = await aSite(t)
    const first = await start()
    await inState(api.url, 'reporting')
    await first.kill9()
    await turnClock(store)
    await inState(api.url, 'silent')
    const second = await start()
    await inState(api.url, 'reporting')
    way.refuse(batchPath)
    assert.equal((await postEvents(second.url, startOfJob())).status, 200)
    await second.stop()
    const [left] = await list(api.url)
    assert.deepEqual([left?.state, left?.waiting], ['reporting', 1], 'it stopped with an event')
    way.refuse(undefined)
    const third = await start()
    await until('the event', async () => (await list(api.url)).some(({ waiting }) => waiting === 0))
    await third.stop()
    assert.equal((await inState(api.url, 'gone')).waiting, 0)
  })

  test('tells of every sink, with what it was made to skip, and of one that is not configured', async (t) => {
    const { api, start } = await aSite(t)
    const away = 'http://127.0.0.1:9'
    const listOf = (names: readonly string[]) =>
      JSON.stringify([
        { type: 'local_api', name: 'local-api', config: { base_url: api.url } },
        ...names.map((name) => ({ type: 'webhook', name, config: { webhook_url: away } })),
      ])
    const first = await start({ INTEGRATIONS_CONFIG: listOf(['a', 'b']) })
    await postEvents(first.url, [startOfJob(), startOfJob()], ':batch')
    const skip = `${first.url}/v1/spool/sinks/a/skip?reason=test&up_to=1`
    assert.equal((await fetch(skip, { method: 'POST' })).status, 200)
    await first.stop()
    await start({ INTEGRATIONS_CONFIG: listOf(['a']) })
    const told = await until(
      'the heartbeat',
      async () =>
        (await list(api.url)).find(
          ({ sinks }) => sinks.length === 3 && named(sinks, 'a')?.state === 'failing',
        ),
      120_000,
    )
    const [skipped, gone] = [named(told.sinks, 'a'), named(told.sinks, 'b')]
    assert.deepEqual([told.waiting, skipped?.lag_events, skipped?.skipped], [0, 1, 1])
    assert.deepEqual([skipped?.gap_events, skipped?.gap_reason], [1, 'test'])
    assert.deepEqual([gone?.name, gone?.status, gone?.lag_events], ['b', 'detached', 2])
  })

  test('tells what waits while its events are refused, and while its spool is full', async (t) => {
    const { api, way, start } = await aSite(t, { SPOOL_MAX_BYTES: String(2 ** 24) })
    way.refuse(batchPath)
    const sidecar = await start()
    const large = () => startOfJob({ metadata: { note: 'x'.repeat(30_000) } })
    await until('the spool to be full', async () => {
      const answer = await postEvents(sidecar.url, Array.from({ length: 50 }, large), ':batch')
      return answer.status === 503
    })
    const told = await until('the heartbeat', async () =>
      (await list(api.url)).find(
        ({ waiting, spool_bytes: bytes, spool_max_bytes: max }) =>
          (waiting ?? 0) > 100 && bytes > 0.8 * max,
      ),
    )
    assert.equal(told.state, 'reporting')
    assert.equal(told.site_id, 'fab1')
    assert.deepEqual(
      told.sinks.map(({ name, state, status, required, rejects, skipped, gap_at }) => [
        ...[name, state, status, required, rejects, skipped, gap_at],
      ]),
      [['local-api', 'failing', 'failing', true, 0, 0, null]],
    )
    assert.equal(told.spool_max_bytes, 2 ** 24)
  })

  test('delivers to an older local API, which it does not ask every ten seconds', async (t) => {
    const { api, way, start } = await aSite(t)
    way.refuse('/v1/ingest/heartbeat', 404)
    const sidecar = await start()
    assert.equal((await postEvents(sidecar.url, startOfJob())).status, 200)
    const source = await inState(api.url, 'unknown')
    assert.deepEqual([source.waiting, source.lag_s, source.heard_at], [null, null, null])
    const health = (await (await fetch(`${sidecar.url}/v1/healthz`)).json()) as { status: string }
    assert.equal(health.status, 'ok')
    assert.equal(way.asked.filter((path) => path.endsWith('heartbeat')).length, 1)
    const { sources, sources_reporting, sources_silent } = await completeness(api.url)
    assert.deepEqual([sources, sources_reporting, sources_silent], [1, 0, 0])
  })
})

describe('a lost spool', () => {
  test('is accepted with a reason, stays in the ledger, and no answer is partial for it any more', async (t) => {
    const { api, store } = await aSite(t)
    const stamped = (seq: number) => ({
      ...startOfJob(),
      received_at: new Date().toISOString(),
      source: { id: 'bn-07', epoch: 'e1', seq },
    })
    await postEvents(api.url, [stamped(1), stamped(5)], ':batch')
    await run(store, 'update source set lag_s = 0')
    await run(store, "update source_state set delivered_at = now() - interval '1 hour'")
    assert.equal((await list(api.url))[0]?.missing, 3)
    const env = { LOCAL_API_BASE: api.url }
    const refused = await wafermon(['sources', 'accept', 'bn-99', '--reason', 'x'], env)
    assert.deepEqual([refused.code, refused.err], [1, 'there is no source bn-99\n'])
    const shown = await wafermon(['sources', 'ls'], env)
    assert.match(shown.out, /^bn-07 +unknown +not known +\S+ s ago +2 +3 +0$/m)
    const args = ['sources', 'accept', 'bn-07', '--reason', 'disk replaced', '--by', 'Kim']
    const changed = await wafermon([...args, '--missing', '2'], env)
    assert.equal(changed.code, 1)
    assert.match(changed.err, /\b3\b/)
    const noNumber = await wafermon([...args, '--missing', 'two'], env)
    assert.deepEqual([noNumber.code, /must be a whole number/.test(noNumber.err)], [2, true])
    const accepted = await wafermon([...args, '--missing', '3'], env)
    assert.equal(accepted.out, '3 missing events accepted as lost; the source is retired\n')
    const known = await until('lists to know it', async () => {
      const now = await completeness(api.url)
      return now.missing === 0 && now
    })
    assert.deepEqual([known.sources, known.gaps], [0, []])
    assert.deepEqual(await list(api.url), [])
    const [retired] = await list(api.url, '?state=retired')
    assert.deepEqual([retired?.missing, retired?.accepted], [0, 3])
    const audit = await run(store, 'select actor, action, object, reason, before, after from audit')
    assert.deepEqual(
      [...audit],
      [
        {
          actor: 'anonymous, Kim',
          action: 'source.accept',
          object: 'source bn-07',
          reason: 'disk replaced',
          before: {
            state: 'unknown',
            waiting: null,
            missing: [{ epoch: 'e1', count: 3, numbers: '{[2,5)}' }],
          },
          after: { accepted: 3, state: 'retired' },
        },
      ],
    )
    const again = await wafermon(args, env)
    assert.match(again.err, /nothing is missing of this source/)
    // One that arrives after all counts as received, and the source is there again.
    await postEvents(api.url, [stamped(3)], ':batch')
    const [back] = await list(api.url)
    assert.deepEqual([back?.state, back?.missing, back?.accepted], ['unknown', 0, 2])
  })
})

describe('the door for heartbeats', () => {
  test('takes them only of callers that may forward, of their own spool, and of a form', async (t) => {
    const { url } = await freshDatabase(t)
    const file = join(freshFolder(), 'tokens')
    const bound = { sites: ['fab1'], sources: ['bn-07'] }
    const [ingest, forward, own, read, operate] = [
      newToken(file, ['ingest']),
      newToken(file, ['forward']),
      newToken(file, ['forward'], '', bound),
      newToken(file, ['read']),
      newToken(file, ['operate']),
    ]
    const api = await startRole(t, 'local-api', { DATABASE_URL: url, TOKENS_FILE: file })
    const heartbeat = (id: string, more: object = {}) => ({
      ...{ source: { id, epoch: 'e1', seq: 0 }, at: new Date().toISOString(), waiting: 0 },
      ...{ oldest_at: null, rejects: 0, sinks: [], version: '1', site_id: 'fab1', ...more },
    })
    const post = async (path: string, token: string | undefined, body: object, headers = {}) => {
      const answer = await fetch(`${api.url}${path}`, {
        method: 'POST',
        headers: {
          ...{ 'content-type': 'application/json', ...headers },
          ...(token ? { authorization: `Bearer ${token}` } : {}),
        },
        body: JSON.stringify(body),
      })
      return [answer.status, (await answer.json()) as { stamps?: string; field?: string }] as const
    }
    const path = '/v1/ingest/heartbeat'
    const statusOf = async (...given: [string | undefined, object, object?]) =>
      (await post(path, ...given))[0]
    assert.equal(await statusOf(undefined, heartbeat('a')), 401)
    assert.equal(await statusOf(read, heartbeat('a')), 403)
    assert.deepEqual(await post(path, ingest, heartbeat('a')), [
      200,
      { ok: true, stamps: 'ignored' },
    ])
    assert.deepEqual(await post(path, forward, heartbeat('b')), [200, { ok: true }])
    assert.equal(await statusOf(own, heartbeat('b')), 403)
    assert.equal(await statusOf(own, heartbeat('bn-07', { site_id: 'fab2' })), 403)
    assert.equal(await statusOf(own, heartbeat('bn-07')), 200)
    assert.equal((await post(path, forward, heartbeat('c', { waiting: -1 })))[1].field, 'waiting')
    assert.equal(await statusOf(forward, heartbeat('c', { host: 'nul\0' })), 422)
    assert.equal(await statusOf(forward, heartbeat('c', { more: 'x'.repeat(70_000) })), 413)
    assert.equal(await statusOf(forward, heartbeat('c'), { origin: 'http://evil.example' }), 403)
    const seen = await fetch(`${api.url}/v1/sources`, {
      headers: { authorization: `Bearer ${read}` },
    })
    const { items } = (await seen.json()) as { items: Source[] }
    assert.deepEqual(
      items.map(({ id }) => id),
      ['b', 'bn-07'],
    )
    const accept = '/v1/sources/b/accept'
    assert.equal((await post(accept, read, { reason: 'x' }))[0], 403)
    assert.equal((await post(accept, operate, { reason: ' ' }))[1].field, 'reason')
    assert.equal((await post(accept, operate, { reason: 'x' }))[0], 409)
  })
})
