import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { test } from 'node:test'
import { parseSse } from '../../src/platform/sse.ts'
import { freshDatabase } from '../support/database.ts'
import { freshFolder, startRole, until } from '../support/processes.ts'
import type { Body } from './read-app.ts'

/*
 * The thirteen questions of clients of the system before, asked of real roles with the fields that those
 * clients read.
 */

const now = new Date().toISOString()
const [lot, wafer] = [randomUUID(), randomUUID()]
const app = { app_id: randomUUID(), name: 'recipe-download', version: '1.4' }

const event = (kind: string, more: object = {}, entity: object = {}) => ({
  idempotency_key: randomUUID(),
  site_id: 'fab1',
  app,
  entity: { type: 'job', id: lot, business_key: 'L26N4402.1', ...entity },
  event: { kind, at: now, ...more },
})
const ofWafer = { type: 'subjob', id: wafer, parent_id: lot, business_key: null, sub_key: 'W01' }

test('what clients of the system before ask is answered as they expect it', async (t) => {
  const { url: DATABASE_URL } = await freshDatabase(t)
  const start = async (role: 'local-api' | 'sidecar' | 'central', env: Record<string, string>) => {
    const { url } = await startRole(t, role, env)
    const ask = (path: string, init?: RequestInit) => fetch(url + path, init)
    return { url, ask, json: async (path: string): Promise<Body> => (await ask(path)).json() }
  }
  const local = await start('local-api', { DATABASE_URL })
  const LOCAL_API_BASE = local.url
  const sidecar = await start('sidecar', { SPOOL_DIR: freshFolder(), LOCAL_API_BASE })
  const central = await start('central', { SITES: `fab1=${local.url}` })
  const post = async (path: string, body: string, type = 'application/json') => {
    const headers = { 'content-type': type }
    const answer = await sidecar.ask(path, { method: 'POST', headers, body })
    return { status: answer.status, body: (await answer.json()) as Body }
  }
  const started = event('started', { metadata: { tool: 'SCN-05' } })

  await t.test('1: one event is taken, and its repeat is known', async () => {
    for (const duplicate of [false, true]) {
      const { status, body } = await post('/v1/ingest/events', JSON.stringify(started))
      assert.deepEqual([status, body.ok, body.duplicate], [200, true, duplicate])
    }
  })

  await t.test('2: a batch as an array is counted', async () => {
    const { status, body } = await post(
      '/v1/ingest/events:batch',
      JSON.stringify([started, event('progress', { metrics: { progress: 0.5 } })]),
    )
    assert.equal(status, 200)
    const { ok, total, success, failed, duplicates, rejected } = body
    assert.deepEqual([ok, total, success, failed, duplicates], [true, 2, 2, 0, 1])
    assert.deepEqual(rejected, [])
  })

  await t.test(
    '3: a batch as lines keeps the good ones, and names what is wrong with the others',
    async () => {
      const wrong = { ...event('finished'), site_id: 'no/site' }
      const lines = [
        event('started', {}, ofWafer),
        wrong,
        event('finished', { metrics: { duration_s: 2.5 } }, ofWafer),
      ]
      const text = lines.map((line) => JSON.stringify(line)).join('\n')
      const { status, body } = await post('/v1/ingest/events:batch', text, 'application/x-ndjson')
      assert.deepEqual([status, body.total, body.success, body.failed], [200, 3, 2, 1])
      const [{ index, idempotency_key, field, detail }] = body.rejected
      assert.deepEqual([index, idempotency_key, field], [1, wrong.idempotency_key, 'site_id'])
      assert.equal(typeof detail, 'string')
    },
  )

  await t.test('4: a wrong event is refused with the name of its field', async () => {
    const { status, body } = await post(
      '/v1/ingest/events',
      JSON.stringify({ ...started, entity: {} }),
    )
    assert.equal(status, 422)
    assert.match(body.field, /^entity/)
  })

  await t.test('5: jobs are listed with their count and the time it took', async () => {
    await until('all events to be stored', async () => {
      const { items } = await local.json('/v1/subjobs')
      return items[0]?.status === 'succeeded'
    })
    const { items, count, duration_s, completeness } = await local.json('/v1/jobs')
    assert.deepEqual([items.length, count, typeof duration_s], [1, 1, 'number'])
    assert.equal(completeness.gaps.length, 0)
    const { job_id, app_name, app_version, site_id, job_key, status, progress, metadata } = items[0]
    assert.deepEqual([job_id, app_name, app_version], [lot, 'recipe-download', '1.4'])
    assert.deepEqual([site_id, job_key, status, progress], ['fab1', 'L26N4402.1', 'running', 0.5])
    assert.deepEqual(metadata, { tool: 'SCN-05' })
  })

  await t.test('6: jobs are filtered', async () => {
    const from = encodeURIComponent(new Date(Date.now() - 3_600_000).toISOString())
    for (const [query, count] of [
      [`from=${from}&status=running&app_name=recipe&site=fab1&business_key=L26N4402.1&limit=10`, 1],
      [`app_id=${app.app_id}`, 1],
      ['status=failed,succeeded', 0],
      ['app_name=other', 0],
      ['business_key=L1', 0],
    ] as const) {
      assert.equal((await local.json(`/v1/jobs?${query}`)).count, count, query)
    }
  })

  await t.test('7: subjobs are listed, all or those of a job', async () => {
    for (const path of ['/v1/subjobs', `/v1/subjobs?job_id=${lot}`, `/v1/jobs/${lot}/subjobs`]) {
      const { items } = await local.json(path)
      const [{ subjob_id, job_id, sub_key, status, duration_s }] = items
      assert.deepEqual([subjob_id, job_id, sub_key], [wafer, lot, 'W01'], path)
      assert.deepEqual([status, duration_s], ['succeeded', 2.5])
    }
    assert.equal((await local.json(`/v1/subjobs?job_id=${wafer}`)).count, 0)
  })

  await t.test(
    '8: a job is answered with its subjobs counted; one that is not there is 404',
    async () => {
      const { job_id, subjobs } = await local.json(`/v1/jobs/${lot}`)
      assert.deepEqual([job_id, subjobs.total, subjobs.succeeded], [lot, 1, 1])
      assert.equal((await local.ask(`/v1/jobs/${randomUUID()}`)).status, 404)
    },
  )

  await t.test('9: the events of a job are listed as they were sent', async () => {
    const { items } = await local.json(`/v1/jobs/${lot}/events`)
    assert.deepEqual(items.map(({ event: { kind } }: Body) => kind).sort(), ['progress', 'started'])
    const first = items.find((one: Body) => one.event.kind === 'started')
    assert.equal(first.idempotency_key, started.idempotency_key)
    assert.deepEqual(first.app, app)
  })

  await t.test('10: events are streamed, and resumed after the last id', async () => {
    const stop = new AbortController()
    const read = async (ask: typeof local.ask, headers: Record<string, string> = {}) => {
      const { body } = await ask('/v1/stream', { headers, signal: stop.signal })
      return parseSse(body!)
    }
    const next = async (messages: Awaited<ReturnType<typeof read>>) => {
      for (;;) {
        const { value } = await messages.next()
        if (value === undefined || !['comment', 'sites'].includes(value.event)) return value
      }
    }
    const live = await read(local.ask)
    const heard = next(live)
    await post('/v1/ingest/events', JSON.stringify(event('metric', { metrics: { n: 1 } })))
    const first = await heard
    assert.equal(first?.event, 'metric')
    await post('/v1/ingest/events', JSON.stringify(event('finished')))
    const resumed = await read(local.ask, { 'last-event-id': String(first?.id) })
    assert.equal((await next(resumed))?.event, 'finished')
    stop.abort()
  })

  await t.test('11: each role tells its health', async () => {
    const health = await Promise.all(
      [sidecar, local, central].map(({ json }) => json('/v1/healthz')),
    )
    for (const { status, service, version } of health) {
      assert.deepEqual([status, typeof service, typeof version], ['ok', 'string', 'string'])
    }
    assert.equal(health[0].spool_count, 0)
    assert.equal(typeof health[0].spool_dir, 'string')
    assert.equal(typeof health[1].database_pool, 'object')
    assert.deepEqual(health[2].sites, { fab1: { status: 'ok', endpoint: local.url } })
  })

  await t.test(
    '12: each role has the metrics that dashboards of the system before draw',
    async () => {
      const text = await (await local.ask('/metrics')).text()
      for (const name of [
        ...['http_requests_total', 'http_request_duration_seconds', 'db_operations_total'],
        ...['db_operation_duration_seconds', 'db_pool_size', 'db_pool_available'],
        ...['events_processed_total', 'jobs_total', 'job_duration_seconds'],
      ]) {
        assert.match(text, new RegExp(`^# TYPE ${name} `, 'm'), name)
      }
      assert.match(await (await sidecar.ask('/metrics')).text(), /^events_in_spool/m)
    },
  )

  await t.test(
    '13: central lists its sites by id and address, and answers for one or all',
    async () => {
      const { sites } = await central.json('/v1/sites')
      assert.deepEqual(sites, [{ id: 'fab1', endpoint: local.url }])
      for (const path of ['/v1/jobs', '/v1/jobs?site=fab1']) {
        const { items } = await central.json(path)
        assert.deepEqual([items.length, items[0].job_id], [1, lot], path)
      }
      const { total, successful, failed } = (await central.json('/v1/jobs')).sites
      assert.deepEqual([total, successful, failed], [1, 1, 0])
    },
  )
})
