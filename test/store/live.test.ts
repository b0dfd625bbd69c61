import assert from 'node:assert/strict'
import { describe, type TestContext, test } from 'node:test'
import { pino } from 'pino'
import type { Event } from '../../src/core/event.ts'
import type { LiveFeed } from '../../src/core/live.ts'
import { fromMs } from '../../src/core/time.ts'
import { connect, type Store } from '../../src/store/connect.ts'
import { ingest } from '../../src/store/ingest.ts'
import { liveFeed } from '../../src/store/live.ts'
import { freshDatabase } from '../support/database.ts'
import { until } from '../support/processes.ts'

const op = { operation: 'test', table: 'none' }

function event(): Event {
  const at = fromMs(Date.now())
  return {
    idempotency_key: crypto.randomUUID(),
    site_id: 'fab1',
    app: { app_id: crypto.randomUUID(), name: 'etch', version: '' },
    entity: { type: 'job', id: crypto.randomUUID() },
    event: { kind: 'started', at },
    received_at: at,
  }
}

/** A store, and feeds on it as two replicas would have them. */
async function replicas(t: TestContext) {
  const { url } = await freshDatabase(t)
  const store = connect(url, { role: 'test', max: 5 })
  const stop = new AbortController()
  t.after(() => store.close())
  t.after(() => stop.abort())
  const feed = () =>
    liveFeed(store, { signal: stop.signal, log: pino({ level: 'silent' }), everyMs: 50 })
  return { store, feed, signal: stop.signal }
}

type Heard = { ids: string[]; keys: unknown[]; resets: number; stop(): void }

/** Follows a feed and notes what it hears. */
function follow(feed: LiveFeed, signal: AbortSignal, after?: string): Heard {
  const own = new AbortController()
  const heard: Heard = { ids: [], keys: [], resets: 0, stop: () => own.abort() }
  const run = async () => {
    for await (const batch of feed.subscribe({
      after,
      signal: AbortSignal.any([signal, own.signal]),
    })) {
      if (batch === 'reset') heard.resets++
      else {
        heard.ids.push(...batch.map(({ id }) => id))
        heard.keys.push(...batch.map((one) => one.event.idempotency_key))
      }
    }
  }
  void run().catch(() => {})
  return heard
}

async function joined(store: Store, heard: Heard): Promise<void> {
  await until('the reader to hear something', async () => {
    await ingest(store, [event()])
    return heard.keys.length > 0
  })
}

describe('the live feed', () => {
  test('skips nothing when a transaction stays open while later ones commit', async (t) => {
    const { store, feed, signal } = await replicas(t)
    const heard = follow(feed(), signal)
    await joined(store, heard)
    const before = heard.keys.length
    let release = () => {}
    const held = new Promise<void>((resolve) => {
      release = resolve
    })
    // A writer that has its batch number and its rows, and does not commit yet.
    const slow = store.begin(op, async (tx) => {
      await tx`select nextval('event_batch_id')`
      await tx`select pg_advisory_xact_lock_shared(7002)`
      await held
    })
    const later = Array.from({ length: 20 }, event)
    await Promise.all(later.map((one) => ingest(store, [one])))
    release()
    await slow
    const last = event()
    await ingest(store, [last])
    await until('all of them', () => heard.keys.length >= before + 21)
    for (const one of [...later, last]) assert.ok(heard.keys.includes(one.idempotency_key))
    assert.equal(new Set(heard.keys).size, heard.keys.length)
  })

  test('hands on what writers commit at once, in one order for all readers', async (t) => {
    const { store, feed, signal } = await replicas(t)
    const [one, two] = [follow(feed(), signal), follow(feed(), signal)]
    await Promise.all([joined(store, one), joined(store, two)])
    const mark = event()
    await ingest(store, [mark])
    const events = Array.from({ length: 200 }, event)
    await Promise.all(events.map((each) => ingest(store, [each])))
    const since = (heard: Heard) => heard.keys.slice(heard.keys.indexOf(mark.idempotency_key) + 1)
    await until('both to have all', () => since(one).length === 200 && since(two).length === 200)
    assert.deepEqual(since(one), since(two))
  })

  test('resumes on another replica in the middle of a batch', async (t) => {
    const { store, feed, signal } = await replicas(t)
    const first = follow(feed(), signal)
    await joined(store, first)
    const batch = Array.from({ length: 10 }, event)
    await ingest(store, batch)
    await until('the batch', () => first.keys.length >= 11)
    const at = first.ids.length - 6
    const second = follow(feed(), signal, first.ids[at])
    await ingest(store, [event()])
    await until('the rest', () => second.keys.length === 6)
    assert.deepEqual(second.keys.slice(0, 5), first.keys.slice(at + 1, at + 6))
    assert.equal(second.resets, 0)
  })

  test('says reset when it cannot resume', async (t) => {
    const { store, feed, signal } = await replicas(t)
    await ingest(store, [event()])
    for (const id of ['nonsense', '999999-1', '-1', '0-0']) {
      const heard = follow(feed(), signal, id)
      await until(`a reset for ${id}`, () => heard.resets === 1)
    }
  })
})
