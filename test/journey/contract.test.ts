import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { describe, type TestContext, test } from 'node:test'
import { type OpenApi, openApi } from '../../src/api/openapi.ts'
import { type Fetch, underContract } from '../api/contract.ts'
import { freshDatabase } from '../support/database.ts'
import { freshFolder, startRole, until } from '../support/processes.ts'
import { centralRoutes, localApiRoutes, sidecarRoutes } from '../support/routes.ts'

const limits = { defaultLimit: 1000, maxLimit: 10_000 }
const routesOf = {
  sidecar: sidecarRoutes(),
  'local-api': localApiRoutes(limits),
  central: centralRoutes(limits),
}

type Kind = 'started' | 'progress' | 'finished' | 'error' | 'canceled'

const event = (kind: Kind, id: string, more: object = {}, entity: object = { type: 'job' }) => ({
  idempotency_key: randomUUID(),
  site_id: 'fab1',
  app: { app_id: '5f0c41c2-7c42-4d10-9a35-0193581eb7e8', name: 'litho-apc' },
  entity: { id, ...entity },
  event: { kind, at: new Date().toISOString(), ...more },
})

const metricsOf = async (ask: Fetch) => {
  const text = await (await ask('/metrics')).text()
  const lines = text.split('\n').filter((line) => line !== '' && !line.startsWith('#'))
  return new Map(
    lines.map((line) => [
      line.slice(0, line.lastIndexOf(' ')),
      Number(line.slice(line.lastIndexOf(' '))),
    ]),
  )
}

/** Changes of counters and gauges, without times and our own requests for /metrics. */
async function moved(ask: Fetch, before: Map<string, number>): Promise<Record<string, number>> {
  const left =
    /^(process_|nodejs_|wafermon_event_loop_)|_sum\b|_bucket\b|endpoint="\/metrics"|^wafermon_spool_bytes|age/
  const now = [...(await metricsOf(ask))].filter(([name]) => !left.test(name))
  const changes = now.map(([name, value]) => [name, value - (before.get(name) ?? 0)] as const)
  return Object.fromEntries(changes.filter(([, by]) => by !== 0))
}

const post = (ask: Fetch, path: string, body: unknown) =>
  ask(path, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: typeof body === 'string' ? body : JSON.stringify(body),
  })

/** Each as its own process; every answer is checked against its document. */
async function start(t: TestContext) {
  const role = async (name: keyof typeof routesOf, env: Record<string, string>) => {
    const { url } = await startRole(t, name, env)
    return { url, ask: underContract(routesOf[name], (path, init) => fetch(url + path, init)) }
  }
  const { url: DATABASE_URL } = await freshDatabase(t)
  const { url: LOCAL_API_BASE, ask: localApi } = await role('local-api', { DATABASE_URL })
  const { ask: sidecar } = await role('sidecar', { SPOOL_DIR: freshFolder(), LOCAL_API_BASE })
  const { ask: central } = await role('central', { SITES: `fab1=${LOCAL_API_BASE}` })
  return { sidecar, localApi, central }
}

describe('sidecar, local API and central together', () => {
  test('move every metric of ten events by an exact number', async (t) => {
    const { sidecar, localApi } = await start(t)
    const ids = Array.from({ length: 4 }, () => randomUUID())
    const [first = ''] = ids
    const taken = [
      ...ids.map((id) => event('started', id)),
      event('progress', first, { metrics: { progress: 0.5 } }),
      event('finished', first, { metrics: { duration_s: 3 } }),
      event('error', ids[1]!, { status: 'failed', metrics: { duration_s: 4 } }),
      event('canceled', ids[2]!),
      { ...event('finished', ids[3]!, { metrics: { duration_s: 9 } }), historical: true },
      event('finished', randomUUID(), { at: new Date(Date.now() + 3_600_000).toISOString() }),
    ]
    const [before, beforeThere] = [await metricsOf(sidecar), await metricsOf(localApi)]
    await post(sidecar, '/v1/ingest/events:batch', [...taken, taken[0], { site_id: 'fab1' }])
    await post(sidecar, '/v1/ingest/events', taken[4])
    await sidecar('/v1/nothing')
    const delivered = 'wafermon_sink_deliveries_total{sink="local-api",result="delivered"}'
    await until('the delivery', async () => (await metricsOf(sidecar)).get(delivered) === 1)

    const processed = (kind: string, status: string) =>
      `events_processed_total{event_type="${kind}",status="${status}"}`
    const asked = (name: string, method: string, endpoint: string, status?: number) =>
      `${name}{method="${method}",endpoint="${endpoint}"${status ? `,status="${status}"` : ''}}`
    const requests = (method: string, endpoint: string, status: number) => ({
      [asked('http_requests_total', method, endpoint, status)]: 1,
      [asked('http_request_duration_seconds_count', method, endpoint)]: 1,
    })
    const accepted = {
      [processed('started', 'accepted')]: 4,
      [processed('progress', 'accepted')]: 1,
      [processed('finished', 'accepted')]: 3,
      [processed('error', 'accepted')]: 1,
      [processed('canceled', 'accepted')]: 1,
    }
    const here = await moved(sidecar, before)
    // It tells its state by the clock, and not for what it got.
    for (const name of Object.keys(here)) {
      if (name.startsWith('wafermon_heartbeats_total')) delete here[name]
    }
    assert.deepEqual(here, {
      ...accepted,
      [processed('finished', 'corrected')]: 1,
      [processed('started', 'duplicate')]: 1,
      [processed('progress', 'duplicate')]: 1,
      [processed('unknown', 'rejected')]: 1,
      ...requests('POST', '/v1/ingest/events:batch', 200),
      ...requests('POST', '/v1/ingest/events', 200),
      ...requests('GET', 'none', 404),
      wafermon_spool_commits_total: 1,
      'wafermon_sink_accepted_events_total{sink="local-api"}': 10,
      'wafermon_sink_delivered_events_total{sink="local-api"}': 10,
      [delivered]: 1,
    })
    const there = Object.entries(await moved(localApi, beforeThere))
    // Maintenance and the check of the database count as they run; ingest is exact.
    const exact = there.filter(([name]) => !name.startsWith('db_') || name.includes('"ingest"'))
    assert.deepEqual(Object.fromEntries(exact), {
      ...accepted,
      ...requests('POST', '/v1/ingest/events:batch', 200),
      'db_operations_total{operation="ingest",table="event",status="ok"}': 1,
      'db_operation_duration_seconds_count{operation="ingest",table="event"}': 1,
      'jobs_total{app_name="litho-apc",status="succeeded"}': 2,
      'jobs_total{app_name="litho-apc",status="failed"}': 1,
      'jobs_total{app_name="litho-apc",status="canceled"}': 1,
      // The duration of the canceled job is unknown: its end has neither a start nor a duration.
      'job_duration_seconds_count{app_name="litho-apc"}': 2,
      wafermon_ingest_batch_events_count: 1,
    })
  })

  test('answer nothing that their OpenAPI document lacks', async (t) => {
    const { sidecar, localApi, central } = await start(t)
    const [lot, wafer] = [randomUUID(), randomUUID()]
    for (const ask of [sidecar, localApi]) {
      await post(ask, '/v1/ingest/events', event('started', lot))
      await post(ask, '/v1/ingest/events', '[')
      await post(ask, '/v1/ingest/events', {})
      const of = { type: 'subjob', parent_id: lot, sub_key: 'W01' }
      const mixed = [event('finished', wafer, {}, of), event('error', lot), { bad: 1 }, null, []]
      await post(ask, '/v1/ingest/events:batch', mixed)
      const encoded = {
        method: 'POST',
        body: 'x',
        headers: { 'content-type': 'application/json', 'content-encoding': 'br' },
      }
      assert.equal((await ask('/v1/ingest/events', encoded)).status, 415)
    }
    await until('the wafer', async () => (await localApi(`/v1/jobs/${wafer}`)).ok)
    for (const path of ['/v1/rejects', '/v1/rejects?limit=0', '/v1/rejects/1']) await sidecar(path)
    await post(sidecar, '/v1/rejects/1/retry', '')
    for (const path of ['/v1/sites', '/v1/sites?x=1', '/v1/stream', '/v1/stream?site=fab9']) {
      await central(path)
    }
    for (const ask of [localApi, central]) for (const path of questions(lot, wafer)) await ask(path)
    for (const ask of [sidecar, localApi, central]) await ask('/v1/healthz')
  })

  test('serve the documents of exactly the routes that they declare', async (t) => {
    const roles = await start(t)
    const named = { sidecar: 'sidecar', localApi: 'local-api', central: 'central' } as const
    for (const [name, ask] of Object.entries(roles)) {
      const served = (await (await ask('/openapi.json')).json()) as OpenApi
      const routes = routesOf[named[name as keyof typeof named]]
      assert.deepEqual(served.paths, openApi({ title: '', routes }).paths, name)
    }
  })
})

/** Valid and invalid ones; other tests check their answers. */
function questions(lot: string, wafer: string): string[] {
  const of = [lot, wafer, randomUUID(), 'no-uuid']
  const filters = ['limit=1', 'limit=0', 'status=x', 'cursor=x', 'time=ended', 'site=fab1', 'no=1']
  return [
    ...['/v1/jobs', '/v1/subjobs', '/v1/apps', '/v1/stats', '/v1/sources'],
    ...filters.map((filter) => `/v1/jobs?${filter}`),
    ...['csv', 'ndjson', 'xml'].map((format) => `/v1/subjobs?format=${format}`),
    `/v1/subjobs?job_id=${lot}`,
    ...of.flatMap((id) => ['', '/events', '/subjobs'].map((more) => `/v1/jobs/${id}${more}`)),
    '/v1/stats?group_by=site,app,status&bucket=day',
    '/v1/stats?bucket=year',
  ]
}
