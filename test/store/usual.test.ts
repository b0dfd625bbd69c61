import assert from 'node:assert/strict'
import { describe, type TestContext, test } from 'node:test'
import { fromMs } from '../../src/core/time.ts'
import { connect } from '../../src/store/connect.ts'
import { withUsual } from '../../src/store/usual.ts'
import { arrayReader, emptyWorld } from '../support/array-reader.ts'
import { freshDatabase } from '../support/database.ts'
import { addLot, aJob } from '../support/sample-jobs.ts'

const op = { operation: 'test', table: 'baseline' }
const noon = '2026-03-01T12:00:00.000000Z'
const all = { time: 'started', order: 'desc', limit: 100 } as const
const signal = AbortSignal.timeout(60_000)

/** A world over a database that knows what is usual for one kind of job and one of subjob. */
async function aWorld(t: TestContext) {
  const { url } = await freshDatabase(t)
  const store = connect(url, { role: 'test', max: 2 })
  t.after(() => store.close())
  const kinds = [
    ['j', 'etch', 'GATE v3', 1],
    ['j', 'etch', '', 2],
    ['s', 'etch', 'GATE v3', 3],
  ] as const
  for (const [type, app, recipe, p50] of kinds) {
    await store.ask(
      op,
      (sql) => sql`
        insert into baseline (entity_type, site_id, app_name, app_version, recipe,
          runs, p05_s, p50_s, p95_s, p99_s, gap_s)
        values (${type}, 'fab1', ${app}, '1', ${recipe}, 40, 0.5, ${p50}, 9, 10, 1)`,
    )
  }
  const world = emptyWorld(() => noon)
  const job = (changes: Parameters<typeof aJob>[0]) =>
    aJob({ siteId: 'fab1', appName: 'etch', appVersion: '1', startedAt: fromMs(0), ...changes })
  return { store, world, job, reader: withUsual(arrayReader(world), store) }
}

describe('what is usual', () => {
  test('is told of each job by site, app, version and recipe', async (t) => {
    const { world, job, reader } = await aWorld(t)
    world.jobs = [
      job({ jobKey: 'A', metadata: { recipe: 'GATE v3' } }),
      job({ jobKey: 'B', metadata: {} }),
      job({ jobKey: 'C', metadata: { recipe: 'OTHER' } }),
      job({ jobKey: 'D', siteId: 'fab2' }),
      job({ jobKey: 'E', appVersion: '2' }),
    ]
    const { items } = await reader.findJobs({ ...all, from: fromMs(0) }, signal)
    const usual = new Map(items.map((one) => [one.jobKey, one.usual]))
    assert.deepEqual(usual.get('A'), { runs: 40, p05S: 0.5, p50S: 1, p95S: 9 })
    assert.equal(usual.get('B')?.p50S, 2)
    for (const key of ['C', 'D', 'E']) assert.equal(usual.get(key), undefined, key)
    const found = await reader.getJob(items.find(({ jobKey }) => jobKey === 'A')!.id, signal)
    assert.equal(found?.job.usual?.p50S, 1)
  })

  test('is another of subjobs than of jobs', async (t) => {
    const { world, reader } = await aWorld(t)
    const lot = addLot(world, noon)
    for (const wafer of world.subjobs) {
      Object.assign(wafer, { siteId: 'fab1', appName: 'etch', appVersion: '1' })
      wafer.metadata = { recipe: 'GATE v3' }
    }
    const { items } = await reader.findSubjobs({ ...all, jobId: lot.id, from: fromMs(0) }, signal)
    assert.equal(items[0]?.usual?.p50S, 3)
  })

  test('is left out, and nothing else, when it cannot be read', async (t) => {
    const { store, world, job, reader } = await aWorld(t)
    await store.ask(op, (sql) => sql`drop table baseline`)
    world.jobs = [job({ metadata: { recipe: 'GATE v3' } })]
    const { items } = await reader.findJobs({ ...all, from: fromMs(0) }, signal)
    assert.deepEqual([items.length, items[0]?.usual], [1, undefined])
  })
})
