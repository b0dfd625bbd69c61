import assert from 'node:assert/strict'
import { createServer as createHttpServer } from 'node:http'
import { createServer } from 'node:net'
import { describe, type TestContext, test } from 'node:test'
import { fromMs } from '../../src/core/time.ts'
import { parseSse } from '../../src/platform/sse.ts'
import { remoteReader } from '../../src/sites/remote-reader.ts'
import { underContract } from '../api/contract.ts'
import { emptyWorld } from '../support/array-reader.ts'
import { startFakeApi } from '../support/fake-api.ts'
import { freePort, startRole, until } from '../support/processes.ts'
import { centralRoutes } from '../support/routes.ts'
import { addLot, aJob, idOf, someSources } from '../support/sample-jobs.ts'
import { startProxy } from '../support/tcp-proxy.ts'

const now = () => fromMs(Date.now())
const routes = centralRoutes({ defaultLimit: 1000, maxLimit: 10_000 })

type Row = { job_id: string; site_id: string; started_at: string }
type SitesBody = {
  total: number
  successful: number
  failed: number
  details: { id: string; status: string; error: string | null; duration_ms: number }[]
}
type Listing = { items: Row[]; count: number; next_cursor: string | null; sites: SitesBody }
type Problem = { status: number; detail: string; field?: string }

/** A site with `n` jobs, a second apart, the newest just now. */
async function aSite(t: TestContext, id: string, n: number, port = 0) {
  const world = emptyWorld(now)
  const end = Date.now()
  world.jobs = Array.from({ length: n }, (_, i) =>
    aJob({ id: idOf(`${id} ${i}`), siteId: id, startedAt: fromMs(end - i * 1000) }),
  )
  return startFakeApi(t, world, port)
}

/** Central as its own process, over these addresses. */
async function central(t: TestContext, sites: Record<string, string>, timeoutS = '1') {
  const list = Object.entries(sites).map(([id, url]) => `${id}=${url}`)
  const role = await startRole(t, 'central', { SITES: list.join(','), REQUEST_TIMEOUT_S: timeoutS })
  const ask = underContract(routes, (path, init) => fetch(role.url + path, init))
  const json = async <T>(path: string) => (await (await ask(path)).json()) as T
  return { ...role, ask, json }
}

/** A site that takes connections and never says a word. */
async function mute(t: TestContext): Promise<string> {
  const open = new Set<{ destroy(): void }>()
  const server = createServer((socket) => {
    open.add(socket)
    socket.on('error', () => {})
  }).listen(0, '127.0.0.1')
  await new Promise((done) => server.once('listening', done))
  t.after(() => {
    for (const socket of open) socket.destroy()
    server.close()
  })
  return `http://127.0.0.1:${(server.address() as { port: number }).port}`
}

describe('central over two sites', () => {
  test('merges them into one list, page by page', async (t) => {
    const [one, two] = [await aSite(t, 'fab1', 7), await aSite(t, 'fab2', 5)]
    const { ask, json } = await central(t, { fab1: one.url, fab2: two.url })
    const all = await json<Listing>('/v1/jobs')
    assert.equal(all.count, 12)
    assert.deepEqual([all.sites.total, all.sites.successful], [2, 2])
    const starts = all.items.map((job) => job.started_at)
    assert.deepEqual(starts, [...starts].sort().reverse())
    const seen: string[] = []
    let path: string | undefined = '/v1/jobs?limit=5'
    while (path) {
      const response = await ask(path)
      seen.push(...((await response.json()) as Listing).items.map((job) => job.job_id))
      path = /<([^>]+)>/.exec(response.headers.get('link') ?? '')?.[1]
    }
    assert.deepEqual(
      seen,
      all.items.map((job) => job.job_id),
    )
  })

  test('passes a question with site= to that site unchanged', async (t) => {
    const [one, two] = [await aSite(t, 'fab1', 7), await aSite(t, 'fab2', 5)]
    const { ask, json } = await central(t, { fab1: one.url, fab2: two.url })
    const response = await ask('/v1/jobs?limit=3&site=fab2')
    const body = (await response.json()) as Listing
    assert.deepEqual(new Set(body.items.map((job) => job.site_id)), new Set(['fab2']))
    assert.equal(body.sites, undefined)
    const next = /<([^>]+)>/.exec(response.headers.get('link') ?? '')?.[1]
    assert.equal((await json<Listing>(next!)).count, 2)
    const refused = await ask('/v1/jobs?site=fab2&statu=failed')
    assert.equal(refused.status, 422)
    assert.match(((await refused.json()) as Problem).detail, /did you mean status/)
    one.world.sources = someSources(now())
    const sources = await json<{ count: number }>('/v1/sources?site=fab1')
    assert.equal(sources.count, 3)
  })

  test('rejects an unknown site, and lists the known ones', async (t) => {
    const one = await aSite(t, 'fab1', 1)
    const { ask } = await central(t, { fab1: one.url })
    const unknown = await ask('/v1/jobs?site=fab7')
    assert.equal(unknown.status, 404)
    assert.match(((await unknown.json()) as Problem).detail, /"fab7"; the sites are fab1/)
    for (const query of ['site=', 'site=fab1&site=fab2']) {
      assert.equal((await ask(`/v1/jobs?${query}`)).status, 422)
    }
  })

  test('finds a job wherever it is', async (t) => {
    const [one, two] = [await aSite(t, 'fab1', 1), await aSite(t, 'fab2', 1)]
    const lot = addLot(two.world, now())
    const { ask, json } = await central(t, { fab1: one.url, fab2: two.url })
    const job = await json<Row & { sites: SitesBody }>(`/v1/jobs/${lot.id}`)
    assert.equal(job.job_id, lot.id)
    assert.equal((await json<Listing>(`/v1/jobs/${lot.id}/subjobs`)).count, 25)
    assert.equal((await json<Listing>(`/v1/jobs/${lot.id}/events`)).count, 4)
    assert.equal((await ask(`/v1/jobs/${idOf('nobody')}`)).status, 404)
    assert.equal((await ask(`/v1/jobs/${lot.id}?site=fab1`)).status, 404)
  })

  test('adds up apps, sources and statistics', async (t) => {
    const [one, two] = [await aSite(t, 'fab1', 7), await aSite(t, 'fab2', 5)]
    const { json } = await central(t, { fab1: one.url, fab2: two.url })
    const apps = await json<{ items: { site_id: string }[] }>('/v1/apps')
    assert.deepEqual(
      apps.items.map((app) => app.site_id),
      ['fab1', 'fab2'],
    )
    for (const { world } of [one, two]) world.sources = someSources(now())
    const sources = await json<{ items: { site: string }[] }>('/v1/sources')
    assert.equal(sources.items.filter(({ site }) => site === 'fab2').length, 3)
    const stats = await json<{ items: { count: number }[] }>('/v1/stats?bucket=day')
    assert.equal(
      stats.items.reduce((sum, row) => sum + row.count, 0),
      12,
    )
  })

  test('exports all of them, or one', async (t) => {
    const [one, two] = [await aSite(t, 'fab1', 7), await aSite(t, 'fab2', 5)]
    const { ask } = await central(t, { fab1: one.url, fab2: two.url })
    const lines = async (path: string) =>
      (await (await ask(path)).text()).trimEnd().split('\r\n').length
    assert.equal(await lines('/v1/jobs?format=csv'), 13)
    assert.equal(await lines('/v1/jobs?format=csv&site=fab2'), 6)
  })

  test('streams one of them', async (t) => {
    const [one, two] = [await aSite(t, 'fab1', 1), await aSite(t, 'fab2', 1)]
    const { url } = await central(t, { fab1: one.url, fab2: two.url })
    const stop = new AbortController()
    const response = await fetch(`${url}/v1/stream?site=fab2`, { signal: stop.signal })
    const telling = setInterval(() => two.put(two.world.jobs[0]!), 50)
    for await (const message of parseSse(response.body!)) {
      if (message.event === 'comment') continue
      assert.equal(JSON.parse(message.data).site_id, 'fab2')
      break
    }
    clearInterval(telling)
    stop.abort()
  })

  test('streams all of them as one, and reports those it does not hear', {
    timeout: 60_000,
  }, async (t) => {
    const [one, two] = [await aSite(t, 'fab1', 1), await aSite(t, 'fab2', 1)]
    const dead = await freePort()
    const { url } = await central(t, {
      fab1: one.url,
      fab2: two.url,
      fab3: `http://127.0.0.1:${dead}`,
      fab4: await mute(t),
    })
    const stop = new AbortController()
    const response = await fetch(`${url}/v1/stream`, { signal: stop.signal })
    assert.equal(response.status, 200)
    t.after(() => stop.abort())
    const telling = setInterval(() => {
      for (const site of [one, two]) site.put(site.world.jobs[0]!)
    }, 50)
    t.after(() => clearInterval(telling))
    const heard = new Set<string>()
    let missing: string[] | undefined
    for await (const { event, data } of parseSse(response.body!)) {
      if (event === 'sites')
        missing = JSON.parse(data).missing.map((site: { id: string }) => site.id)
      else if (event !== 'comment') heard.add(JSON.parse(data).site_id)
      if (heard.size === 2 && missing) break
    }
    assert.deepEqual([...heard].sort(), ['fab1', 'fab2'])
    assert.deepEqual(missing, ['fab3', 'fab4'])
  })

  test('keeps one connection to the stream of a site, however many read', async (t) => {
    const one = await aSite(t, 'fab1', 1)
    const counted = await startProxy(t, one.url)
    const { url } = await central(t, { fab1: counted.url })
    const stop = new AbortController()
    t.after(() => stop.abort())
    const hearing = new Set<number>()
    const listen = async (reader: number) => {
      const response = await fetch(`${url}/v1/stream`, { signal: stop.signal })
      for await (const { event } of parseSse(response.body!)) {
        if (event !== 'comment' && event !== 'sites') hearing.add(reader)
      }
    }
    for (let reader = 0; reader < 50; reader++) listen(reader).catch(() => {})
    const telling = setInterval(() => one.put(one.world.jobs[0]!), 50)
    t.after(() => clearInterval(telling))
    await until('all to hear', () => hearing.size === 50)
    assert.equal(counted.opened(), 1)
  })

  test('takes the health of its sites together', async (t) => {
    const [one, two] = [await aSite(t, 'fab1', 1), await aSite(t, 'fab2', 1)]
    const { ask, json } = await central(t, { fab1: one.url, fab2: two.url })
    const health = await ask('/v1/healthz')
    assert.equal(health.status, 200)
    const body = (await health.json()) as { status: string; sites: object }
    assert.equal(body.status, 'ok')
    assert.deepEqual(body.sites, {
      fab1: { status: 'ok', endpoint: one.url },
      fab2: { status: 'ok', endpoint: two.url },
    })
    const sites = await json<Sites>('/v1/sites')
    assert.deepEqual(
      sites.items.map(({ id }) => id),
      ['fab1', 'fab2'],
    )
    assert.deepEqual(sites.sites, [
      { id: 'fab1', endpoint: one.url },
      { id: 'fab2', endpoint: two.url },
    ])
    const metrics = await (await ask('/metrics')).text()
    assert.match(metrics, /^wafermon_site_up\{site="fab1"\} 1$/m)
  })
})

type Address = { id: string; endpoint: string }
type Sites = { items: { id: string; age_s: number }[]; sites: Address[] }

describe('central with a site away', () => {
  test('answers with the others within the deadline, and says what is missing', async (t) => {
    const one = await aSite(t, 'fab1', 3)
    const gone = `http://127.0.0.1:${await freePort()}`
    const { json, ask, url } = await central(
      t,
      { fab1: one.url, dead: gone, mute: await mute(t) },
      '0.5',
    )
    for (const path of ['/v1/jobs', '/v1/subjobs', '/v1/apps', '/v1/stats', '/v1/sources']) {
      const { sites } = await json<Listing>(path)
      assert.deepEqual([sites.total, sites.successful, sites.failed], [3, 1, 2], path)
      const [, dead, silent] = sites.details
      assert.match(dead?.error ?? '', /cannot be reached \(ECONNREFUSED\)/)
      assert.match(silent?.error ?? '', /did not answer within 0\.5 s/)
      // The deadline is half a second; what is over it is the scheduling of a busy machine.
      assert.ok(silent!.duration_ms < 5000, `${silent!.duration_ms} ms`)
    }
    assert.equal((await json<Listing>('/v1/jobs')).count, 3)
    const read = await remoteReader({ baseUrl: url, timeoutMs: 20_000 }).findJobs(
      { time: 'started', order: 'desc', limit: 10 },
      AbortSignal.timeout(30_000),
    )
    assert.deepEqual(read.sites, { total: 3, missing: ['dead', 'mute'] })
    assert.equal((await ask(`/v1/jobs/${one.world.jobs[0]!.id}`)).status, 200)
    const unknown = await ask(`/v1/jobs/${idOf('nobody')}`)
    assert.equal(unknown.status, 502)
    assert.match(
      ((await unknown.json()) as Problem).detail,
      /not every site answered .*dead: .*mute: /,
    )
  })

  test('is degraded, not down; with every site away it is down', async (t) => {
    const port = await freePort()
    const one = await aSite(t, 'fab1', 3, port)
    const gone = `http://127.0.0.1:${await freePort()}`
    const { ask, json } = await central(t, { fab1: one.url, dead: gone }, '0.5')
    const health = await ask('/v1/healthz')
    const body = (await health.json()) as {
      status: string
      sites: Record<string, { status: string }>
    }
    assert.deepEqual(
      [health.status, body.status, body.sites.dead?.status],
      [200, 'degraded', 'unreachable'],
    )
    assert.match(await (await ask('/metrics')).text(), /^wafermon_site_up\{site="dead"\} 0$/m)
    await one.stop()
    await until('the news', async () => (await ask('/v1/healthz')).status === 503)
    const none = await ask('/v1/jobs')
    assert.equal(none.status, 502)
    assert.match(((await none.json()) as Problem).detail, /no site answers \(fab1: .*; dead: /)
    await aSite(t, 'fab1', 2, port)
    await until('the return', async () => (await ask('/v1/healthz')).status === 200)
    assert.equal((await json<Listing>('/v1/jobs')).count, 2)
  })

  test('reports a site that rejects its token as unreachable, though its health is open', async (t) => {
    const one = await aSite(t, 'fab1', 3)
    const locked = createHttpServer((request, response) => {
      const open = request.url === '/v1/healthz'
      response.writeHead(open ? 200 : 401, { 'content-type': 'application/json' })
      response.end('{"status":"ok","service":"local-api","version":"1"}')
    }).listen(0, '127.0.0.1')
    await new Promise((done) => locked.once('listening', done))
    t.after(() => locked.close())
    const { port } = locked.address() as { port: number }
    const { ask, json } = await central(t, { fab1: one.url, locked: `http://127.0.0.1:${port}` })
    type Site = { status: string; error: string | null }
    const { items } = await json<{ items: Site[] }>('/v1/sites')
    assert.deepEqual(
      items.map(({ status }) => status),
      ['ok', 'unreachable'],
    )
    assert.match(
      items[1]?.error ?? '',
      /rejects our token \(401\); give this role a token with scope/,
    )
    const body = (await (await ask('/v1/healthz')).json()) as { status: string }
    assert.equal(body.status, 'degraded')
  })

  test('refuses an export that would lack a site, and a question to one that is away', async (t) => {
    const one = await aSite(t, 'fab1', 3)
    const gone = `http://127.0.0.1:${await freePort()}`
    const { ask } = await central(t, { fab1: one.url, dead: gone })
    const csv = await ask('/v1/jobs?format=csv')
    assert.equal(csv.status, 502)
    assert.match(((await csv.json()) as Problem).detail, /must be complete: dead/)
    const passed = await ask('/v1/jobs?site=dead')
    assert.equal(passed.status, 502)
    assert.match(((await passed.json()) as Problem).detail, /cannot be reached/)
  })

  test('continues at its position when a site comes back', async (t) => {
    const port = await freePort()
    const [one, two] = [await aSite(t, 'fab1', 4), await aSite(t, 'fab2', 4, port)]
    const { json } = await central(t, { fab1: one.url, fab2: two.url })
    const page = (cursor: string | null) =>
      json<Listing>(`/v1/jobs?limit=3${cursor ? `&cursor=${cursor}` : ''}`)
    const first = await page(null)
    await two.stop()
    const second = await page(first.next_cursor)
    assert.equal(second.sites.failed, 1)
    const again = await startFakeApi(t, two.world, port)
    const seen = [...first.items, ...second.items]
    for (let cursor = second.next_cursor; cursor; ) {
      const next = await page(cursor)
      seen.push(...next.items)
      cursor = next.next_cursor
    }
    const all = [...one.world.jobs, ...again.world.jobs].map(({ id }) => id)
    assert.deepEqual(seen.map((job) => job.job_id).sort(), all.sort())
  })
})

describe('central as a program', () => {
  test('stops on SIGTERM with code 0, while it streams', async (t) => {
    const one = await aSite(t, 'fab1', 1)
    const { url, stop } = await central(t, { fab1: one.url })
    const response = await fetch(`${url}/v1/stream?site=fab1`)
    const reading = response.text().catch(() => 'broken off')
    assert.equal((await stop()).code, 0)
    await reading
  })
})
