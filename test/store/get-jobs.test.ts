import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { describe, type TestContext, test } from 'node:test'
import { type JobReader, maxJobIds } from '../../src/core/job.ts'
import { mergedReader } from '../../src/sites/merged-reader.ts'
import { remoteReader } from '../../src/sites/remote-reader.ts'
import { ingest } from '../../src/store/ingest.ts'
import { storeReader } from '../../src/store/store-reader.ts'
import { noon } from '../api/read-app.ts'
import { arrayReader, emptyWorld } from '../support/array-reader.ts'
import { needsTimescale } from '../support/database.ts'
import { startFakeApi } from '../support/fake-api.ts'
import { aJob, idOf } from '../support/sample-jobs.ts'
import { anEvent, openStore } from '../support/store.ts'

/* `JobReader.getJobs`, over every reader there is. */

const { signal } = new AbortController()
const lots = ['lot 1', 'lot 2', 'lot 3'].map(idOf)
const wafers = ['wafer 1', 'wafer 2'].map(idOf)
const [lot1, lot2, lot3] = lots as [string, string, string]
const [wafer1] = wafers as [string]

function world(jobs: readonly string[], subjobs: readonly string[]) {
  const made = emptyWorld(() => noon)
  made.jobs = jobs.map((id) => aJob({ id }))
  made.subjobs = subjobs.map((id) => aJob({ id, entityType: 'subjob', parentId: lot1 }))
  return made
}

async function overStore(t: TestContext, edition: 'plain' | 'timescale'): Promise<JobReader> {
  const { store } = await openStore(t, edition)
  await ingest(store, [
    ...lots.map((id) => anEvent(noon, {}, { entity: { id } })),
    ...wafers.map((id) => anEvent(noon, {}, { entity: { id, type: 'subjob', parent_id: lot1 } })),
  ])
  return storeReader(store)
}

async function overHttp(t: TestContext): Promise<JobReader> {
  const { url } = await startFakeApi(t, world(lots, wafers))
  return remoteReader({ baseUrl: url, timeoutMs: 5000 })
}

/** A site of before: what it does not know it takes for the id of a job. */
async function beforeById(t: TestContext) {
  const { url } = await startFakeApi(t, world(lots, wafers))
  const paths: string[] = []
  const server = createServer(async (request, response) => {
    const path = request.url!
    paths.push(path.split('?')[0]!)
    if (path.startsWith('/v1/jobs/by-id')) {
      response.writeHead(422).end('{"detail":"id: must be a UUID; got by-id","field":"id"}')
      return
    }
    const answer = await fetch(url + path)
    response.writeHead(answer.status).end(await answer.text())
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.after(() => server.close())
  const baseUrl = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  return { reader: remoteReader({ baseUrl, timeoutMs: 5000 }), paths }
}

function overSites(): JobReader {
  const sites = [
    { id: 'fab1', reader: arrayReader(world([lot1, lot3], [])) },
    { id: 'fab2', reader: arrayReader(world([lot2], wafers)) },
  ]
  return mergedReader({ sites, deadlineMs: 5000 })().reader
}

const readers: [name: string, open: (t: TestContext) => Promise<JobReader> | JobReader, object][] =
  [
    ['an array', () => arrayReader(world(lots, wafers)), {}],
    ['the store on plain PostgreSQL', (t) => overStore(t, 'plain'), {}],
    ['the store on TimescaleDB', (t) => overStore(t, 'timescale'), needsTimescale],
    ['a remote site', overHttp, {}],
    ['a remote site of before', async (t) => (await beforeById(t)).reader, {}],
    ['several sites', overSites, {}],
  ]

describe('jobs by their ids', () => {
  for (const [name, open, options] of readers) {
    test(
      `come from ${name} in the order of the ids, each once, without unknown ones`,
      options,
      async (t) => {
        const reader = await open(t)
        const ids = [lot2, wafer1, idOf('unknown'), lot1, lot2]
        const found = await reader.getJobs(ids, signal)
        assert.deepEqual(
          found.map(({ id, entityType, parentId }) => [id, entityType, parentId]),
          [
            [lot2, 'job', null],
            [wafer1, 'subjob', lot1],
            [lot1, 'job', null],
          ],
        )
        assert.deepEqual(found[0], (await reader.getJob(lot2, signal))?.job)
        assert.deepEqual(await reader.getJobs([], signal), [])
        assert.deepEqual(await reader.getJobs([idOf('unknown')], signal), [])
        const most = Array.from({ length: maxJobIds - 1 }, (_, i) => idOf(`unknown ${i}`))
        assert.equal((await reader.getJobs([...most, lot3], signal)).length, 1)
      },
    )
  }

  test('are one statement of the store', async (t) => {
    const { store } = await openStore(t, 'plain')
    const asked: string[] = []
    const ask: typeof store.ask = (op, question, signal) => {
      asked.push(op.operation)
      return store.ask(op, question, signal)
    }
    const reader = storeReader({ ...store, ask })
    await reader.getJobs(lots, signal)
    asked.length = 0
    await reader.getJobs(lots, signal)
    assert.deepEqual(asked, ['getJobs'])
  })

  test('are not asked of a remote site in one question again soon after it refused', async (t) => {
    const { reader, paths } = await beforeById(t)
    await reader.getJobs([lot1], signal)
    await reader.getJobs([lot2], signal)
    assert.deepEqual(paths, ['/v1/jobs/by-id', `/v1/jobs/${lot1}`, `/v1/jobs/${lot2}`])
  })

  test('beyond the maximum are a broken contract', async (t) => {
    const ids = Array.from({ length: maxJobIds + 1 }, (_, i) => idOf(`${i}`))
    for (const reader of [await overStore(t, 'plain'), await overHttp(t)]) {
      await assert.rejects(reader.getJobs(ids, signal), { name: 'ContractError' })
    }
  })
})

describe('jobs by their ids from several sites', () => {
  const here = { id: 'fab1', reader: arrayReader(world([lot1], [])) }
  const merged = (getJobs: JobReader['getJobs']) =>
    mergedReader({
      sites: [here, { id: 'fab2', reader: { ...here.reader, getJobs } }],
      deadlineMs: 60_000,
    })().reader

  test('come without waiting for the others once all are found', async () => {
    const hanging = merged(() => new Promise(() => {}))
    assert.equal((await hanging.getJobs([lot1], signal)).length, 1)
  })

  test('fail when one may be at a site that does not answer', async () => {
    const broken = merged(async () => {
      throw new Error('planted')
    })
    await assert.rejects(broken.getJobs([lot1, lot2], signal), { code: 'unreachable' })
  })
})
