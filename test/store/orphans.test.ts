import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import type { JobFilter } from '../../src/core/job.ts'
import { orphansQuestion } from '../../src/core/questions/orphans.ts'
import { fromMs } from '../../src/core/time.ts'
import { ingest } from '../../src/store/ingest.ts'
import { findOrphans } from '../../src/store/orphans.ts'
import { storeReader } from '../../src/store/store-reader.ts'
import { type Edition, needsTimescale } from '../support/database.ts'
import { idOf } from '../support/sample-jobs.ts'
import { anEvent, openStore, run } from '../support/store.ts'

const { signal } = new AbortController()
const now = fromMs(Date.now())
const [lot, wafer, step] = ['lot', 'wafer', 'step'].map(idOf) as [string, string, string]
const aSubjob = (id: string, parent: string, more: object = {}) =>
  anEvent(now, {}, { entity: { id, type: 'subjob', parent_id: parent, ...more } })
const aLot = () => anEvent(now, {}, { entity: { id: lot, business_key: 'L1.1' } })

function suite(edition: Edition) {
  test('counts and lists a subjob without a job, until the job arrives', async (t) => {
    const { store } = await openStore(t, edition)
    const reader = storeReader(store)
    const missing: JobFilter = { time: 'started', order: 'desc', parent: 'missing', limit: 10 }
    const listed = async () => {
      await findOrphans(store)
      const { items } = await reader.findSubjobs(missing, signal)
      const counts = await reader.ask(orphansQuestion, {}, signal)
      assert.equal(
        counts.reduce((sum, { subjobs }) => sum + subjobs, 0),
        items.length,
      )
      return items.map(({ id }) => id)
    }
    await ingest(store, [aSubjob(wafer, lot), aSubjob(step, wafer)])
    assert.deepEqual(await listed(), [], 'its job may still come')
    await run(store, `update horizon set trusted_at = now() + interval '11 minutes'`)
    assert.deepEqual(await listed(), [wafer])
    assert.deepEqual(await listed(), [wafer], 'once only')
    await ingest(store, [aLot()])
    assert.deepEqual(await listed(), [])
  })

  test('finds those of a long past, a span of time after the other', async (t) => {
    const { store } = await openStore(t, edition)
    await ingest(store, [aSubjob(wafer, lot), aSubjob(step, wafer)])
    await run(store, "update subjob set inserted_at = now() - interval '3 hours'")
    await findOrphans(store)
    assert.equal(Number((await run(store, 'select count(*) as n from orphan'))[0]?.n), 1)
    const [row] = await run(
      store,
      "select orphans_checked > now() - interval '1 hour' as done from horizon",
    )
    assert.equal(row?.done, true)
  })

  test('looks at a subjob once, so that one whose job was deleted by age is none', async (t) => {
    const { store } = await openStore(t, edition)
    await ingest(store, [aLot(), aSubjob(wafer, lot)])
    await run(store, `update horizon set trusted_at = now() + interval '11 minutes'`)
    await findOrphans(store)
    await run(store, 'delete from job')
    await findOrphans(store)
    assert.deepEqual([...(await storeReader(store).ask(orphansQuestion, {}, signal))], [])
  })

  test('counts no more of them than costs little, and says that there are more', async (t) => {
    const { store } = await openStore(t, edition)
    await ingest(store, [aSubjob(wafer, lot)])
    const add = (from: number, to: number) =>
      ingest(
        store,
        Array.from({ length: to - from }, (_, i) => aSubjob(idOf(`s${from + i}`), lot)),
      )
    const count = async (site?: string) => {
      await run(
        store,
        'insert into orphan select subjob_id, parent_id from subjob on conflict do nothing',
      )
      const { items, cut } = await storeReader(store).askPage(orphansQuestion, { site }, signal)
      return [items.reduce((sum, { subjobs }) => sum + subjobs, 0), cut]
    }
    assert.deepEqual(await count(), [1, false])
    for (let n = 1; n < 10_000; n += 1111) await add(n, n + 1111)
    assert.deepEqual(await count(), [10_000, false])
    await add(10_000, 10_001)
    assert.deepEqual(await count(), [10_000, true])
    assert.deepEqual(await count('fab9'), [0, true], 'the rest may be of that site')
  })

  test('a subjob has the key of its job, through subjobs of subjobs, unless it has its own', async (t) => {
    const { store } = await openStore(t, edition)
    const [own, deep] = ['own', 'deep'].map(idOf) as [string, string]
    const circle = ['a', 'b'].map(idOf) as [string, string]
    await ingest(store, [
      aLot(),
      aSubjob(wafer, lot),
      aSubjob(step, wafer),
      aSubjob(deep, step),
      aSubjob(own, lot, { business_key: 'L9.9' }),
      aSubjob(circle[0], circle[1]),
      aSubjob(circle[1], circle[0]),
    ])
    const jobs = await storeReader(store).getJobs([wafer, step, deep, own, ...circle], signal)
    const keys = jobs.map(({ jobKey }) => jobKey)
    assert.deepEqual(keys, ['L1.1', 'L1.1', 'L1.1', 'L9.9', null, null])
  })

  test('a search for a lot finds the subjobs that only inherit it, as their rows name it', async (t) => {
    const { store } = await openStore(t, edition)
    const reader = storeReader(store)
    const own = idOf('own')
    // Ten below the job: the key goes through eight subjobs at most.
    const chain = Array.from({ length: 10 }, (_, i) => idOf(`level ${i}`))
    const below = chain.map((id, i) => aSubjob(id, chain[i - 1] ?? lot))
    await ingest(store, [aLot(), ...below, aSubjob(own, lot, { business_key: 'L9.9' })])
    const named = (await reader.getJobs(chain, signal)).filter(({ jobKey }) => jobKey === 'L1.1')
    assert.equal(named.length, 9)
    const find = async (filter: Partial<JobFilter>) => {
      const given = { time: 'started', order: 'desc', limit: 100, ...filter } as const
      const { items } = await reader.findSubjobs(given, signal)
      return items.map(({ id }) => id).sort()
    }
    const expected = named.map(({ id }) => id).sort()
    assert.deepEqual(await find({ businessKey: 'L1.1' }), expected)
    assert.deepEqual(await find({ q: 'l1.' }), expected, 'a part of it')
    assert.deepEqual(await find({ q: 'L1.1', to: fromMs(0) }), expected, 'outside the window')
    assert.deepEqual(await find({ q: 'L1.1', from: fromMs(Date.now() + 3_600_000) }), expected)
    assert.deepEqual(await find({ businessKey: 'L9.9' }), [own])
    assert.deepEqual(await find({ businessKey: 'L1.1', status: ['failed'] }), [])
  })
}

describe('subjobs and their jobs on plain PostgreSQL', () => suite('plain'))
describe('subjobs and their jobs on TimescaleDB', needsTimescale, () => suite('timescale'))
