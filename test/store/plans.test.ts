import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { pino } from 'pino'
import type { Pool, Store } from '../../src/store/connect.ts'
import { liveFeed } from '../../src/store/live.ts'
import { trimJobs, trimLive } from '../../src/store/maintenance.ts'
import { storeReader } from '../../src/store/store-reader.ts'
import { type Edition, needsTimescale } from '../support/database.ts'
import { fillStore } from '../support/fill-store.ts'
import { explaining, type Plan } from '../support/plans.ts'
import { questions } from '../support/questions.ts'
import { openStore, run } from '../support/store.ts'

/*
 * Work is bounded by the window that is asked for, not by the history that is kept: held by what the
 * plans of PostgreSQL touch, because times depend on the machine.
 */

const { signal } = new AbortController()
const jobs = 50_000
const days = 90

/** Tables that grow with history: none of them may be read from end to end. */
const large = /^Seq Scan:(job|subjob|event_\d+|event|live_batch|_hyper_.*)$/

async function filled(t: TestContext, edition: Edition): Promise<Pool> {
  const { store } = await openStore(t, edition)
  await fillStore(store, { jobs, days, parents: 400, children: 25, events: 20_000 })
  return store
}

async function idsOf(store: Store) {
  const [job] = await run(
    store,
    `select job_id, job_key, app_id from job where job_key is not null order by started_at desc limit 1`,
  )
  const [subjob] = await run(
    store,
    'select s.parent_id, j.job_key from subjob s join job j on j.job_id = s.parent_id where j.job_key is not null order by s.started_at limit 1',
  )
  const text = (value: unknown) => String(value)
  return {
    job: text(job?.jobId),
    key: text(job?.jobKey),
    app: text(job?.appId),
    parent: text(subjob?.parentId),
    lot: text(subjob?.jobKey),
  }
}

/** A partition of a page is read as a whole, and should be. */
const scansOf = ({ scans, rows }: Plan) =>
  rows < 200 ? [] : scans.filter((one) => large.test(one))

async function check(t: TestContext, edition: Edition) {
  const store = await filled(t, edition)

  await t.test('look at the rows of their window and at no others', async () => {
    const { store: explained, plans } = explaining(store)
    const reader = storeReader(explained)
    const perDay = jobs / days
    for (const { name, ask, days: window = 7 } of questions(await idsOf(store))) {
      plans.length = 0
      await ask(reader, explained)
      for (const plan of plans) {
        const what = `${name}: ${JSON.stringify(plan)}`
        // A bitmap counts a row twice, in the index and in the table; the rest is a page of answers.
        assert.ok(plan.rows <= 2 * window * perDay + 500, what)
        assert.deepEqual(scansOf(plan), [], what)
      }
    }
  })

  await t.test('of idle maintenance touch next to nothing', async () => {
    const { store: explained, plans } = explaining(store)
    await trimLive(explained, 72, signal)
    await trimJobs(explained, signal)
    assert.equal(plans.length, 3)
    for (const plan of plans) assert.ok(plan.rows < 100, JSON.stringify(plan))
  })

  await t.test('of a live batch touch its events, though it spans days', async () => {
    await run(store, `update live_batch set at_min = now() - interval '2 days', at_max = now()`)
    const { store: explained, plans } = explaining(store)
    const [newest] = await run(store, 'select max(pos) as pos from live_batch')
    const stop = new AbortController()
    const feed = liveFeed(explained, { signal: stop.signal, log: pino({ level: 'silent' }) })
    let heard = 0
    const after = `${Number(newest?.pos) - 2}-20`
    for await (const batch of feed.subscribe({ after, signal: stop.signal })) {
      heard += batch === 'reset' || 'position' in batch ? 0 : batch.length
      if (heard === 40) break
    }
    stop.abort()
    const read = plans.filter(({ name }) => name === 'live.events')
    assert.ok(read.length >= 2)
    // A chunk of one page may be read whole: it costs no more than its index.
    for (const plan of read) assert.ok(plan.rows <= 500, JSON.stringify(plan))
  })
}

test('plans on plain PostgreSQL', (t) => check(t, 'plain'))
test('plans on TimescaleDB', needsTimescale, (t) => check(t, 'timescale'))
