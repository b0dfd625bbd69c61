import assert from 'node:assert/strict'
import { execFileSync, spawn } from 'node:child_process'
import { existsSync, readFileSync } from 'node:fs'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { describe, type TestContext, test } from 'node:test'
import { zstdDecompressSync } from 'node:zlib'
import { freePort, freshFolder, launch, program, startRole, until } from '../support/processes.ts'
import { postEvents, startOfJob } from '../support/wire-events.ts'

/* The sidecar as it is shipped, killed, starved and lied to. */

type Sent = { idempotency_key: string; source: { seq: number } }

/** A local API of our own that can be told how to behave; it keeps what it said it took. */
async function peer(t: TestContext, port = 0) {
  const kept = new Map<string, number>()
  let behave: ((batch: Sent[], response: ServerResponse) => void) | undefined
  let asked = 0
  const server = createServer(async (request, response) => {
    if (request.url !== '/v1/ingest/events:batch') return response.writeHead(404).end()
    asked++
    const batch = await bodyOf(request)
    if (behave) return behave(batch, response)
    for (const event of batch)
      kept.set(event.idempotency_key, (kept.get(event.idempotency_key) ?? 0) + 1)
    response.end(JSON.stringify(taken(batch)))
  })
  await new Promise<void>((done) => server.listen(port, '127.0.0.1', done))
  t.after(() => server.closeAllConnections())
  t.after(() => server.close())
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    kept,
    asked: () => asked,
    behave: (how: typeof behave) => {
      behave = how
    },
  }
}

async function bodyOf(request: IncomingMessage): Promise<Sent[]> {
  const chunks: Buffer[] = []
  for await (const chunk of request) chunks.push(chunk as Buffer)
  return JSON.parse(zstdDecompressSync(Buffer.concat(chunks)).toString()) as Sent[]
}

const taken = (batch: Sent[]) => ({
  ok: true,
  total: batch.length,
  success: batch.length,
  failed: 0,
  duplicates: 0,
  rejected: [],
})

async function send(url: string, n: number): Promise<string[]> {
  const batch = Array.from({ length: n }, () => startOfJob())
  const answer = await postEvents(url, batch, ':batch')
  assert.equal(answer.status, 200, await answer.clone().text())
  assert.equal(((await answer.json()) as { success: number }).success, n)
  return batch.map((one) => one.idempotency_key)
}

const health = async (url: string) =>
  (await (await fetch(`${url}/v1/healthz`)).json()) as {
    status: string
    spool_count: number
    damaged?: { salvaged: number }
    sinks: { 'local-api': { failures: number; rejects: number } }
  }

const drained = (url: string) =>
  until('the spool to be empty', async () => (await health(url)).spool_count === 0)

describe('the sidecar', () => {
  test('keeps what it answered for when it is killed at any moment', async (t) => {
    const api = await peer(t)
    api.behave((_batch, response) => response.writeHead(500).end())
    const env = {
      SPOOL_DIR: freshFolder(),
      LOCAL_API_BASE: api.url,
      PORT: String(await freePort()),
    }
    const answered: string[] = []
    for (let round = 0; round < 6; round++) {
      const sidecar = await startRole(t, 'sidecar', env)
      // The files left by a kill are not damage.
      assert.equal((await health(sidecar.url)).damaged, undefined)
      let killed = false
      const senders = Array.from({ length: 8 }, async () => {
        while (!killed) {
          const one = startOfJob()
          const answer = await postEvents(sidecar.url, one).catch(() => undefined)
          if (answer?.status === 200) answered.push(one.idempotency_key)
        }
      })
      await until('some answers', () => answered.length > 40 * (round + 1))
      await sidecar.kill9()
      killed = true
      await Promise.all(senders)
    }
    api.behave(undefined)
    const sidecar = await startRole(t, 'sidecar', env)
    await drained(sidecar.url)
    for (const key of answered) assert.equal(api.kept.get(key), 1)
  })

  test('syncs to disk at least once for every answer', async (t) => {
    if (!existsSync('/usr/bin/strace'))
      return t.skip('strace is not installed: apt-get install strace')
    const port = await freePort()
    const trace = join(freshFolder(), 'trace')
    const env = {
      ...process.env,
      PORT: String(port),
      SPOOL_DIR: freshFolder(),
      LOCAL_API_BASE: 'http://127.0.0.1:9',
    }
    const child = spawn(
      'strace',
      [
        '-f',
        '-qq',
        '-e',
        'trace=fsync,fdatasync',
        '-o',
        trace,
        process.execPath,
        program,
        'sidecar',
      ],
      { env, stdio: 'ignore', detached: true },
    )
    t.after(() => process.kill(-child.pid!, 'SIGKILL'))
    const url = `http://127.0.0.1:${port}`
    await until(
      'the sidecar',
      async () => (await fetch(`${url}/v1/healthz`).catch(() => undefined))?.ok,
    )
    const count = () => readFileSync(trace, 'utf8').match(/f(data)?sync\(/g)?.length ?? 0
    const before = count()
    for (let i = 0; i < 100; i++) assert.equal((await postEvents(url, startOfJob())).status, 200)
    await until('a sync per answer', () => count() - before >= 100)
  })

  test('answers 503 on a full disk, and continues once the local API has taken the backlog', async (t) => {
    const dir = freshFolder()
    if (process.getuid?.() !== 0) return t.skip('mounting a small disk needs root')
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=40m', 'tmpfs', dir])
    t.after(() => execFileSync('umount', ['-l', dir]))
    const api = await peer(t)
    api.behave((_batch, response) => response.writeHead(503).end())
    const sidecar = await startRole(t, 'sidecar', {
      SPOOL_DIR: join(dir, 'spool'),
      LOCAL_API_BASE: api.url,
    })
    const taken: string[] = []
    const filling = {
      event: { kind: 'started', at: new Date().toISOString(), metadata: { x: 'y'.repeat(20_000) } },
    }
    const refused = await until('the disk to be full', async () => {
      const batch = Array.from({ length: 20 }, () => startOfJob(filling))
      const answer = await postEvents(sidecar.url, batch, ':batch')
      if (answer.status === 200) taken.push(...batch.map((one) => one.idempotency_key))
      return answer.status !== 200 && answer
    })
    assert.equal(refused.status, 503)
    assert.ok(Number(refused.headers.get('retry-after')) > 0)
    api.behave(undefined)
    await drained(sidecar.url)
    for (const key of taken) assert.equal(api.kept.get(key), 1)
    await until(
      'room again',
      async () => (await postEvents(sidecar.url, startOfJob())).status === 200,
    )
  })

  const faults: [string, (batch: Sent[], response: ServerResponse) => void][] = [
    ['500', (_b, r) => r.writeHead(500).end()],
    ['503 with Retry-After', (_b, r) => r.writeHead(503, { 'retry-after': '1' }).end()],
    ['401', (_b, r) => r.writeHead(401).end()],
    ['404', (_b, r) => r.writeHead(404).end()],
    ['a page of a proxy with 200', (_b, r) => r.end('<html>ok</html>')],
    ['400 of a proxy', (_b, r) => r.writeHead(400).end('bad request')],
    [
      'a 200 about another number of events',
      (b, r) => r.end(JSON.stringify({ ...taken(b), total: b.length + 1 })),
    ],
    [
      'a 200 whose counts do not add up',
      (b, r) => r.end(JSON.stringify({ ...taken(b), failed: -1 })),
    ],
    [
      'refusals of events that were not sent',
      (b, r) =>
        r.end(
          JSON.stringify({
            ...taken(b),
            success: b.length - 1,
            failed: 1,
            rejected: [{ index: 99, field: '', detail: '' }],
          }),
        ),
    ],
    [
      'half an answer',
      (_b, r) =>
        void r.writeHead(200, { 'content-length': '100' }).write('{"ok"', () => r.destroy()),
    ],
    ['a redirect', (_b, r) => r.writeHead(302, { location: '/elsewhere' }).end()],
    ['a connection cut before any answer', (_b, r) => void r.destroy()],
    ['no answer in time', () => {}],
  ]
  for (const [name, fault] of faults) {
    test(`loses nothing and refuses nothing when the local API gives ${name}`, async (t) => {
      const api = await peer(t)
      api.behave(fault)
      const sidecar = await startRole(t, 'sidecar', {
        SPOOL_DIR: freshFolder(),
        LOCAL_API_BASE: api.url,
        REQUEST_TIMEOUT_S: '0.3',
      })
      const keys = await send(sidecar.url, 5)
      await until(
        'failures',
        async () => (await health(sidecar.url)).sinks['local-api'].failures > 0,
      )
      assert.equal((await health(sidecar.url)).status, 'degraded')
      api.behave(undefined)
      await drained(sidecar.url)
      assert.deepEqual([...api.kept.keys()].sort(), keys.sort())
      assert.equal((await health(sidecar.url)).sinks['local-api'].rejects, 0)
    })
  }

  test('sets aside the one event that the local API refuses, and delivers the rest', async (t) => {
    const api = await peer(t)
    const sidecar = await startRole(t, 'sidecar', {
      SPOOL_DIR: freshFolder(),
      LOCAL_API_BASE: api.url,
    })
    api.behave((batch, response) => {
      const rejected = [{ index: 1, idempotency_key: null, field: 'event.at', detail: 'odd' }]
      for (const [i, sent] of batch.entries()) if (i !== 1) api.kept.set(sent.idempotency_key, 1)
      response.end(
        JSON.stringify({
          ok: true,
          total: batch.length,
          success: batch.length - 1,
          failed: 1,
          duplicates: 0,
          rejected,
        }),
      )
    })
    const keys = await send(sidecar.url, 3)
    await drained(sidecar.url)
    assert.deepEqual([...api.kept.keys()], [keys[0], keys[2]])
    const { items } = (await (await fetch(`${sidecar.url}/v1/rejects`)).json()) as {
      items: { id: number; field: string }[]
    }
    assert.deepEqual(
      items.map((item) => item.field),
      ['event.at'],
    )
    api.behave(undefined)
    await fetch(`${sidecar.url}/v1/rejects/${items[0]!.id}/retry`, { method: 'POST' })
    await until('the retried event', () => api.kept.has(keys[1]!))
  })

  test('makes batches smaller for a local API that calls them too large', async (t) => {
    const api = await peer(t)
    api.behave((batch, response) => {
      if (batch.length > 3) return void response.writeHead(413).end()
      for (const sent of batch) api.kept.set(sent.idempotency_key, 1)
      response.end(JSON.stringify(taken(batch)))
    })
    const sidecar = await startRole(t, 'sidecar', {
      SPOOL_DIR: freshFolder(),
      LOCAL_API_BASE: api.url,
    })
    const keys = await send(sidecar.url, 40)
    await drained(sidecar.url)
    assert.deepEqual([...api.kept.keys()], keys)
  })

  test('names the field, what was got and the remedy, and keeps the good events beside it', async (t) => {
    const sidecar = await startRole(t, 'sidecar', {
      SPOOL_DIR: freshFolder(),
      LOCAL_API_BASE: 'http://127.0.0.1:9',
    })
    const good = startOfJob()
    const ownParent = crypto.randomUUID()
    const bad = [
      startOfJob({ site_id: '..' }),
      startOfJob({ event: { kind: 'started', at: '0000-01-01T00:00:00Z' } }),
      startOfJob({
        event: { kind: 'metric', at: new Date().toISOString(), metadata: { a: 'x\0' } },
      }),
      { ...startOfJob(), entity: { type: 'subjob', id: crypto.randomUUID() } },
      {
        ...startOfJob(),
        entity: { type: 'subjob', id: ownParent, parent_id: ownParent.toUpperCase() },
      },
    ]
    const answer = await postEvents(sidecar.url, [bad[0], good, ...bad.slice(1)], ':batch')
    const { success, rejected } = (await answer.json()) as {
      success: number
      rejected: { index: number; field: string; detail: string }[]
    }
    assert.equal(success, 1)
    assert.deepEqual(
      rejected.map(({ index, field }) => [index, field]),
      [
        [0, 'site_id'],
        [2, 'event.at'],
        [3, 'event.metadata.a'],
        [4, 'entity.parent_id'],
        [5, 'entity.parent_id'],
      ],
    )
    for (const { detail } of rejected) assert.ok(detail.length > 20)
    assert.deepEqual(await (await postEvents(sidecar.url, good)).json(), {
      ok: true,
      duplicate: true,
    })
    const deep = await fetch(`${sidecar.url}/v1/ingest/events`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: '['.repeat(100_000),
    })
    assert.equal(deep.status, 400)
    const tiny = JSON.stringify(startOfJob()).replace(
      '"started"',
      '"metric","metrics":{"x":1e-400}',
    )
    const underflow = await fetch(`${sidecar.url}/v1/ingest/events`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: tiny,
    })
    assert.equal(underflow.status, 422)
    assert.equal(((await underflow.json()) as { field: string }).field, 'event.metrics.x')
  })

  test('refuses to open to the network without tokens', async () => {
    const child = launch(['sidecar', '--host', '0.0.0.0'], { SPOOL_DIR: freshFolder(), PORT: '0' })
    assert.equal((await child.ended).code, 2)
    assert.match(child.logs(), /HOST: 0\.0\.0\.0 .*no tokens/)
  })
})
