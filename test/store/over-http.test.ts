import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { fromMs } from '../../src/core/time.ts'
import { ingest } from '../../src/store/ingest.ts'
import { storeReader } from '../../src/store/store-reader.ts'
import { noon, readApp } from '../api/read-app.ts'
import { until } from '../support/processes.ts'
import { anEvent, openOn, openStore, run } from '../support/store.ts'

const noonMs = Date.parse(noon)
const day = 86_400_000
const ago = (ms: number) => fromMs(noonMs - ms)

type Page = { items: { job_id: string }[]; count: number; next_cursor: string | null }

describe('the store through the API', () => {
  test('answers seven days, and links to pages that add up while jobs arrive', async (t) => {
    const { store } = await openStore(t, 'plain')
    const inside = Array.from({ length: 25 }, (_, i) => anEvent(ago((i % 3) * day)))
    await ingest(store, [...inside, anEvent(ago(7.01 * day), { kind: 'finished' })])
    const { ask } = readApp({ reader: storeReader(store) })
    const seen: string[] = []
    let path: string | undefined = '/v1/jobs?limit=4'
    while (path !== undefined) {
      const response = await ask(path)
      const page = (await response.json()) as Page
      seen.push(...page.items.map((item) => item.job_id))
      path = /^<([^>]+)>; rel="next"$/.exec(response.headers.get('link') ?? '')?.[1]
      assert.equal(path === undefined, page.next_cursor === null)
      await ingest(store, [anEvent(ago(-1000))])
    }
    assert.deepEqual(seen.sort(), inside.map(({ entity }) => entity.id).sort())
  })

  test('exports the same rows as CSV and NDJSON', async (t) => {
    const { store } = await openStore(t, 'plain')
    await ingest(
      store,
      Array.from({ length: 30 }, (_, i) => anEvent(ago(i * 1000))),
    )
    const { ask } = readApp({ reader: storeReader(store) })
    const list = (await (await ask('/v1/jobs?limit=100')).json()) as Page
    const lines = async (format: string) =>
      (await (await ask(`/v1/jobs?format=${format}`)).text()).trimEnd().split(/\r?\n/)
    const [head, ...rows] = await lines('csv')
    assert.match(head ?? '', /job_id/)
    const ids = list.items.map((item) => item.job_id)
    assert.deepEqual(
      rows.map((row) => ids.findIndex((id) => row.includes(id))),
      [...ids.keys()],
    )
    assert.deepEqual(
      (await lines('ndjson')).map((line) => JSON.parse(line).job_id),
      ids,
    )
  })

  test('answers 503 with Retry-After, without SQL, when a question takes too long', async (t) => {
    const { store, url } = await openStore(t, 'plain')
    await ingest(store, [anEvent(ago(1000))])
    const hasty = openOn(t, url, { timeoutS: 0.3 })
    const reader = storeReader(hasty, { maxAgeMs: { completeness: 600_000, baselines: 600_000 } })
    const { ask } = readApp({ reader })
    assert.equal((await ask('/v1/jobs')).status, 200)
    const blocked = store.begin({ operation: 'test', table: 'job' }, async (tx) => {
      await tx`lock table job in access exclusive mode`
      const response = await ask('/v1/jobs')
      const problem = await response.text()
      assert.deepEqual([response.status, response.headers.get('retry-after')], [503, '2'])
      assert.match(problem, /took too long; narrow the window or the filter/)
      assert.doesNotMatch(problem, /select|job_id|57014/)
    })
    await blocked
    assert.equal((await ask('/v1/jobs')).status, 200)
  })

  test('ends a question in the database when its caller has left', async (t) => {
    const { store, url } = await openStore(t, 'plain')
    const patient = openOn(t, url, { timeoutS: 300 })
    const reader = storeReader(patient, { maxAgeMs: { completeness: 600_000, baselines: 600_000 } })
    const { app } = readApp({ reader })
    assert.equal((await app.request('/v1/jobs')).status, 200)
    const waiting = async () =>
      (
        await run(
          store,
          `select 1 from pg_stat_activity where datname = current_database()
           and wait_event_type = 'Lock' and query like '%jobs.find%'`,
        )
      ).length
    await store.begin({ operation: 'test', table: 'job' }, async (tx) => {
      await tx`lock table job in access exclusive mode`
      const caller = new AbortController()
      const asked = Promise.resolve(app.request('/v1/jobs', { signal: caller.signal }))
      asked.catch(() => {})
      await until('the question to wait', async () => (await waiting()) === 1)
      caller.abort()
      await until('it to be gone', async () => (await waiting()) === 0)
    })
    await until('its room', () => patient.pool().available === patient.pool().size)
  })
})
