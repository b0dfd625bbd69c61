import assert from 'node:assert/strict'
import { describe, type TestContext, test } from 'node:test'
import type { Event } from '../../src/core/event.ts'
import { fromMs } from '../../src/core/time.ts'
import { ingest } from '../../src/store/ingest.ts'
import { storeReader } from '../../src/store/store-reader.ts'
import { anEvent, openStore, run } from '../support/store.ts'

const signal = AbortSignal.timeout(60_000)
const all = { time: 'started', order: 'desc', limit: 100 } as const

const job = (key: string, metadata = {}, { site = 'fab1', version = '1' } = {}): Event =>
  anEvent(
    fromMs(Date.now()),
    { kind: 'finished', metadata },
    {
      site_id: site,
      app: { app_id: 'a0000000-0000-4000-8000-000000000001', name: 'etch', version },
      entity: { business_key: key },
    },
  )

/** A store that knows what is usual for two kinds of job and one of subjob. */
async function known(t: TestContext) {
  const { store } = await openStore(t, 'plain')
  const kinds = [
    ['j', 'GATE v3', 1],
    ['j', '', 2],
    ['s', 'GATE v3', 3],
  ] as const
  for (const [type, recipe, p50] of kinds) {
    await run(
      store,
      `insert into baseline (entity_type, site_id, app_name, app_version, recipe,
         runs, p05_s, p50_s, p95_s, p99_s, gap_s)
       values ('${type}', 'fab1', 'etch', '1', '${recipe}', 40, 0.5, ${p50}, 9, 10, 1)`,
    )
  }
  return { store, reader: storeReader(store, { maxAgeMs: { baselines: 0 } }) }
}

describe('what is usual', () => {
  test('is given for each job by site, app, version and recipe', async (t) => {
    const { store, reader } = await known(t)
    await ingest(store, [
      job('A', { recipe: 'GATE v3' }),
      job('B'),
      job('C', { recipe: 'OTHER' }),
      job('D', {}, { site: 'fab2' }),
      job('E', {}, { version: '2' }),
    ])
    const { items } = await reader.findJobs(all, signal)
    const usual = new Map(items.map((one) => [one.jobKey, one.usual]))
    assert.deepEqual(usual.get('A'), { runs: 40, p05S: 0.5, p50S: 1, p95S: 9 })
    assert.equal(usual.get('B')?.p50S, 2)
    for (const key of ['C', 'D', 'E']) assert.equal(usual.get(key), undefined, key)
    const found = await reader.getJob(items.find(({ jobKey }) => jobKey === 'A')!.id, signal)
    assert.equal(found?.job.usual?.p50S, 1)
  })

  test('differs between subjobs and jobs', async (t) => {
    const { store, reader } = await known(t)
    const wafer = job('A', { recipe: 'GATE v3' })
    const parent_id = crypto.randomUUID()
    wafer.entity = { ...wafer.entity, type: 'subjob', parent_id }
    await ingest(store, [wafer])
    const { items } = await reader.findSubjobs({ ...all, jobId: parent_id }, signal)
    assert.equal(items[0]?.usual?.p50S, 3)
  })

  test('stays as it was last known, and lists still work, when it cannot be read again', async (t) => {
    const { store, reader } = await known(t)
    await ingest(store, [job('A', { recipe: 'GATE v3' })])
    await reader.findJobs(all, signal)
    await run(store, 'drop table baseline cascade')
    const { items } = await reader.findJobs(all, signal)
    assert.deepEqual([items.length, items[0]?.usual?.p50S], [1, 1])
  })
})
