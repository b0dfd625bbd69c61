import assert from 'node:assert/strict'
import { describe, type TestContext, test } from 'node:test'
import { pino } from 'pino'
import type { Event } from '../../src/core/event.ts'
import { fromMs } from '../../src/core/time.ts'
import { connect, type Store } from '../../src/store/connect.ts'
import { ingest } from '../../src/store/ingest.ts'
import { liveFeed } from '../../src/store/live.ts'
import { freshDatabase } from '../support/database.ts'
import { until } from '../support/processes.ts'

/* A transaction that others overtake, held at the moment of the test's choice by a trigger. */

const op = { operation: 'test', table: 'none' }
/** Advisory locks: the one that holds the slow transaction, and that of the live position. */
const locks = { hold: 4_711_002, live: 7001 }

const moments = {
  'before it has a position': `
    create trigger held before insert on event
    for each row when (new.app_name = 'slow') execute function hold()`,
  'with its position, before it commits': `
    create constraint trigger held after insert on live_batch deferrable initially deferred
    for each row when (new.n = 7) execute function hold()`,
}

function event(name = 'quick'): Event {
  const at = fromMs(Date.now())
  return {
    idempotency_key: crypto.randomUUID(),
    site_id: 'fab1',
    app: { app_id: crypto.randomUUID(), name, version: '' },
    entity: { type: 'job', id: crypto.randomUUID() },
    event: { kind: 'started', at },
    received_at: at,
  }
}

async function openStore(t: TestContext): Promise<Store> {
  const { url } = await freshDatabase(t)
  const store = connect(url, { role: 'test', max: 6 })
  t.after(() => store.close())
  await store.ask(op, (sql) =>
    sql.unsafe(`create function hold() returns trigger language plpgsql as $$
      begin perform pg_advisory_xact_lock(${locks.hold}); return new; end $$`),
  )
  return store
}

/** The keys that a reader of the feed hears, as they come. */
async function listener(t: TestContext, store: Store): Promise<string[]> {
  const stop = new AbortController()
  t.after(() => stop.abort())
  const feed = liveFeed(store, {
    signal: stop.signal,
    log: pino({ level: 'silent' }),
    everyMs: 50,
  })
  const heard: string[] = []
  const follow = async () => {
    for await (const batch of feed.subscribe({ signal: stop.signal })) {
      if (batch === 'reset' || 'position' in batch) continue
      heard.push(...batch.map((one) => String(one.event.idempotency_key)))
    }
  }
  void follow().catch(() => {})
  await until('the reader to hear something', async () => {
    await ingest(store, [event()])
    return heard.length > 0
  })
  return heard
}

async function isWaitedFor(store: Store, lock: number): Promise<boolean> {
  const [row] = await store.ask<{ waits: boolean }[]>(
    op,
    (sql) => sql`
      select exists (select from pg_locks where locktype = 'advisory' and objid = ${lock}
        and database = (select oid from pg_database where datname = current_database())
        and not granted) as waits`,
  )
  return row!.waits
}

/** Takes the lock that holds the slow transaction. @returns what lets go of it */
async function hold(store: Store): Promise<() => Promise<unknown>> {
  const [taken, released] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()]
  const over = store.begin(op, async (tx) => {
    await tx`select pg_advisory_xact_lock(${locks.hold})`
    taken.resolve()
    await released.promise
  })
  await taken.promise
  return () => {
    released.resolve()
    return over
  }
}

describe('a transaction that others would overtake', () => {
  for (const [moment, trigger] of Object.entries(moments)) {
    test(`is heard by live readers when it is held ${moment}`, async (t) => {
      const store = await openStore(t)
      await store.ask(op, (sql) => sql.unsafe(trigger))
      const heard = await listener(t, store)
      const release = await hold(store)
      const slow = Array.from({ length: 7 }, () => event('slow'))
      const committing = [ingest(store, slow)]
      await until('the slow one to be held', () => isWaitedFor(store, locks.hold))
      const quick = event()
      committing.push(ingest(store, [quick]))
      // It has to wait for the slow one, or it goes first: then the readers have got past it.
      await until(
        'the quick one to wait or to be heard',
        async () => heard.includes(quick.idempotency_key) || (await isWaitedFor(store, locks.live)),
      )
      await release()
      await Promise.all(committing)
      const last = event()
      await ingest(store, [last])
      await until('the last', () => heard.includes(last.idempotency_key))
      const keys = slow.map((one) => one.idempotency_key)
      assert.deepEqual(heard.filter((key) => keys.includes(key)).sort(), keys.sort())
      assert.equal(new Set(heard).size, heard.length)
    })
  }
})
