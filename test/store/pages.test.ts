import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import type { Event } from '../../src/core/event.ts'
import type { Cursor, JobFilter } from '../../src/core/job.ts'
import { fromMicros, fromMs, toMicros } from '../../src/core/time.ts'
import { connect } from '../../src/store/connect.ts'
import { ingest } from '../../src/store/ingest.ts'
import { storeReader } from '../../src/store/store-reader.ts'
import { freshDatabase } from '../support/database.ts'

const never = new AbortController().signal
const base = toMicros(fromMs(Date.now()))

/** Jobs that end as they start, three of them in each of these microseconds. */
function events(n: number): Event[] {
  return Array.from({ length: n }, (_, i) => {
    const at = fromMicros(base + BigInt(Math.floor(i / 3)))
    return {
      idempotency_key: crypto.randomUUID(),
      site_id: 'fab1',
      app: { app_id: 'a0000000-0000-4000-8000-000000000001', name: 'etch', version: '' },
      entity: { type: 'job', id: crypto.randomUUID() },
      event: { kind: 'finished', at },
      received_at: at,
    }
  })
}

describe('pages of jobs of the same millisecond', () => {
  test('neither skip nor repeat one, by any time and in both orders', async (t) => {
    const { url } = await freshDatabase(t)
    const store = connect(url, { role: 'test', max: 2 })
    t.after(() => store.close())
    const sent = events(60)
    await ingest(store, sent)
    const reader = storeReader(store)
    const ids = sent.map(({ entity }) => entity.id).sort()
    for (const time of ['started', 'ended', 'seen'] as const) {
      for (const order of ['asc', 'desc'] as const) {
        const seen: string[] = []
        let cursor: Cursor | undefined
        do {
          const filter: JobFilter = { time, order, limit: 7, cursor }
          const page = await reader.findJobs(filter, never)
          seen.push(...page.items.map(({ id }) => id))
          cursor = page.nextCursor ?? undefined
        } while (cursor && seen.length <= ids.length)
        assert.deepEqual(seen.sort(), ids, `${time} ${order}`)
      }
    }
  })
})

describe('pages of jobs with large metadata', () => {
  test('are bounded in bytes, end where the cursor says, and lose no job', async (t) => {
    const { url } = await freshDatabase(t)
    const store = connect(url, { role: 'test', max: 2 })
    t.after(() => store.close())
    const sent = events(360).map((event) => ({
      ...event,
      event: { ...event.event, metadata: { heavy: 'x'.repeat(32_000) } },
    }))
    for (let i = 0; i < sent.length; i += 100) {
      const some = sent.slice(i, i + 100)
      await ingest(store, some)
      // A job has the metadata of its start and of its progress as well; only the sum is of interest.
      const more = { heavier: 'y'.repeat(64_000) }
      await store.sql`update job set start_metadata = ${store.sql.json(more)}
        where job_id = any(${some.map(({ entity }) => entity.id)})`
    }
    const reader = storeReader(store)
    const seen: string[] = []
    let cursor: Cursor | undefined
    do {
      const filter: JobFilter = { time: 'started', order: 'desc', limit: 5000, cursor }
      const page = await reader.findJobs(filter, never)
      const bytes = JSON.stringify(page.items).length
      assert.ok(bytes < 17 * 2 ** 20, `${bytes} bytes`)
      seen.push(...page.items.map(({ id }) => id))
      cursor = page.nextCursor ?? undefined
      if (cursor) assert.ok(bytes > 15 * 2 ** 20, `a page that is not full: ${bytes} bytes`)
    } while (cursor)
    assert.deepEqual(seen.sort(), sent.map(({ entity }) => entity.id).sort())
  })

  test('have at least one job, however large it is', async (t) => {
    const { url } = await freshDatabase(t)
    const store = connect(url, { role: 'test', max: 2 })
    t.after(() => store.close())
    await ingest(store, events(2))
    const huge = { huge: 'x'.repeat(17 * 2 ** 20) }
    await store.sql`update job set start_metadata = ${store.sql.json(huge)}`
    const filter: JobFilter = { time: 'started', order: 'asc', limit: 10 }
    const { items, nextCursor } = await storeReader(store).findJobs(filter, never)
    assert.equal(items.length, 1)
    assert.equal(nextCursor?.id, items[0]?.id)
  })

  test('are refused by their ids when they are more than a page, and come one by one', async (t) => {
    const { url } = await freshDatabase(t)
    const store = connect(url, { role: 'test', max: 2 })
    t.after(() => store.close())
    const sent = events(2)
    await ingest(store, sent)
    const large = { large: 'x'.repeat(9 * 2 ** 20) }
    await store.sql`update job set start_metadata = ${store.sql.json(large)}`
    const [first = '', second = ''] = sent.map(({ entity }) => entity.id)
    const reader = storeReader(store)
    await assert.rejects(reader.getJobs([first, second], never), {
      code: 'too_large',
      field: 'id',
      message: /too large for one answer; ask for fewer$/,
    })
    for (const id of [first, second]) {
      assert.deepEqual(
        (await reader.getJobs([id], never)).map((job) => job.id),
        [id],
      )
    }
  })
})
