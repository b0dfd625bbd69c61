import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { pino } from 'pino'
import type { Event } from '../../src/core/event.ts'
import { startEmbedded } from '../../src/embedded-postgres/server.ts'
import { connect, type Store } from '../../src/store/connect.ts'
import { ingest } from '../../src/store/ingest.ts'
import { LiveSubscriber } from '../../src/store/live-subscriber.ts'
import { migrate } from '../../src/store/migrate.ts'
import { type Edition, freshDatabase, needsTimescale } from '../support/database.ts'
import {
  follow,
  joined,
  keysOf,
  liveEvent,
  liveEvents,
  neverMs,
  replicas,
  replicasOn,
  since,
} from '../support/live.ts'
import { freshFolder, until } from '../support/processes.ts'

const op = { operation: 'test', table: 'none' }
const run = (store: Store, statement: string) => store.ask(op, (sql) => sql.unsafe(statement))

/** Who listens in this database, by process id. */
const listeners = async (store: Store) =>
  (
    await run(
      store,
      `select pid from pg_stat_activity
       where datname = current_database() and query like 'listen%' and state = 'idle'`,
    )
  ).map(({ pid }) => Number(pid))

/** Batches of a thousand events each, as ingest leaves them, but faster. */
const thousands = (n: number) => `
  with b as (
    select i, nextval('event_batch_id') as batch, nextval('live_pos') as pos from generate_series(1, ${n}) i),
  e as (
    insert into event (at, idempotency_key, received_at, batch, entity_type, entity_id, app_id,
      app_name, app_version, site_id, kind, historical)
    select now() + (i * 1000 + k) * interval '1 us', gen_random_uuid(), now(), batch, 'j',
      gen_random_uuid(), gen_random_uuid(), 'etch', '', 'fab1', 'started', false
    from b, generate_series(0, 999) k)
  insert into live_batch (pos, batch, n, at_min, at_max)
  select pos, batch, 1000, now(), now() + interval '1 minute' from b`

function suite(edition: Edition) {
  test('still follows when its LISTEN connection is killed, again and again', async (t) => {
    const { store, feed, signal } = await replicas(t, edition)
    const heard = follow(feed(neverMs), signal)
    await joined(store, heard)
    const mark = liveEvent()
    await ingest(store, [mark])
    const written: Event[] = []
    for (let kill = 0; kill < 3; kill++) {
      const [before] = await until('a listener', async () => {
        const found = await listeners(store)
        return found.length > 0 && found
      })
      await run(store, `select pg_terminate_backend(${before})`)
      const batch = liveEvents(3)
      written.push(...batch)
      await ingest(store, batch)
      await until('another listener', async () => {
        const [now] = await listeners(store)
        return now !== undefined && now !== before
      })
    }
    await until('all of it', () => since(heard, mark).length >= written.length)
    assert.deepEqual(since(heard, mark), keysOf(written))
  })

  test('begins again when the database is an older one than it followed', async (t) => {
    const { store, feed, signal } = await replicas(t, edition)
    const live = feed()
    const heard = follow(live, signal)
    await joined(store, heard)
    const [before] = await run(store, 'select max(pos) as pos from live_batch')
    for (let i = 0; i < 3; i++) await ingest(store, liveEvents(1))
    const lost = liveEvent()
    await ingest(store, [lost])
    await until('the last', () => heard.keys.includes(lost.idempotency_key))
    // As after a restore: what came last is gone, and its positions are given once more.
    await run(store, `delete from live_batch where pos > ${before?.pos}`)
    await run(store, `select setval('live_pos', ${before?.pos})`)
    await until('it to be cut off', () => heard.failed)
    assert.match(String(heard.failed), /went back/)
    const back = follow(live, signal, { after: heard.ids.at(-1) })
    await until('reset', () => back.resets > 0)
    const next = liveEvent()
    await ingest(store, [next])
    await until('what comes now', () => back.keys.includes(next.idempotency_key))
  })

  test('cuts off a reader that takes nothing, and gives it all when it comes back', async (t) => {
    const { store, feed, signal } = await replicas(t, edition)
    const live = feed()
    let resume = () => {}
    const held = new Promise<void>((resolve) => {
      resume = resolve
    })
    const slow = follow(live, signal, { pause: () => held })
    const fast = follow(live, signal)
    await Promise.all([joined(store, slow), joined(store, fast)])
    const mark = liveEvent()
    await ingest(store, [mark])
    await run(store, thousands(22))
    const end = liveEvent()
    await ingest(store, [end])
    await until('the fast one', () => fast.keys.includes(end.idempotency_key))
    resume()
    await until('it to be cut off', () => slow.failed)
    assert.match(String(slow.failed), /too slow/)
    const back = follow(live, signal, { after: slow.ids.at(-1) })
    await until('the rest', () => back.keys.includes(end.idempotency_key))
    const keys = [...slow.keys, ...back.keys]
    assert.ok(keys.includes(mark.idempotency_key))
    assert.deepEqual(since({ ...back, keys }, mark), since(fast, mark))
  })
}

describe('faults of the live feed on plain PostgreSQL', () => suite('plain'))
describe('faults of the live feed on TimescaleDB', needsTimescale, () => suite('timescale'))

describe('the live feed', () => {
  test('continues when the database was away for longer than one try, by notifications', async (t) => {
    const dir = freshFolder()
    const log = pino({ level: 'silent' })
    const settings = { fsync: 'off' }
    const first = await startEmbedded({ dir, log, settings })
    await migrate(first.url, log)
    const { store, feed, signal } = await replicasOn(t, first.url)
    const heard = follow(feed(neverMs), signal)
    await joined(store, heard)
    await first.stop()
    const refused = run(store, 'select 1')
    await assert.rejects(refused, { code: 'unavailable' })
    const second = await startEmbedded({ dir, log, settings })
    t.after(second.stop)
    await until('a listener', async () => (await listeners(store)).length > 0)
    const mark = liveEvent()
    const events = liveEvents(5)
    for (const one of [mark, ...events]) await ingest(store, [one])
    await until('them', () => since(heard, mark).length >= 5)
    assert.deepEqual(since(heard, mark), keysOf(events))
    assert.equal(heard.failed, undefined)
  })

  test('starts while the database is away, and follows once it is there', async (t) => {
    const dir = freshFolder()
    const log = pino({ level: 'silent' })
    const server = await startEmbedded({ dir, log, settings: { fsync: 'off' } })
    await migrate(server.url, log)
    await server.stop()
    const { store, feed, signal } = await replicasOn(t, server.url)
    const heard = follow(feed(), signal)
    await assert.rejects(run(store, 'select 1'), { code: 'unavailable' })
    const again = await startEmbedded({ dir, log, settings: { fsync: 'off' } })
    t.after(again.stop)
    await until('a listener', async () => (await listeners(store)).length > 0)
    await joined(store, heard)
  })

  test('stops listening when it stops', async (t) => {
    const { url } = await freshDatabase(t)
    const store = connect(url, { role: 'test', max: 1 })
    t.after(() => store.close())
    const stop = new AbortController()
    const listening = store.listen('live', () => {}, stop.signal)
    await until('a listener', async () => (await listeners(store)).length === 1)
    stop.abort()
    await listening
    await until('no listener', async () => (await listeners(store)).length === 0)
  })
})

describe('a reader of the live feed', () => {
  const batch = (n: number) => Array.from({ length: n }, (_, i) => ({ id: `${i}`, event: {} }))

  test('takes a batch of any size, and is cut off when a second one is too much', async () => {
    const reader = new LiveSubscriber()
    const { signal } = new AbortController()
    reader.push(1, batch(30_000))
    assert.equal((await reader.next(signal))?.length, 30_000)
    reader.push(2, batch(19_999))
    reader.push(3, batch(1))
    assert.equal((await reader.next(signal))?.length, 19_999)
    reader.push(4, batch(20_000))
    await assert.rejects(reader.next(signal), /too slow/)
  })

  test('leaves no listener on a signal that lives long', async () => {
    const reader = new LiveSubscriber()
    const life = new AbortController()
    let listening = 0
    const { signal } = life
    const add = signal.addEventListener.bind(signal)
    const remove = signal.removeEventListener.bind(signal)
    signal.addEventListener = (...args: Parameters<typeof add>) => {
      listening++
      add(...args)
    }
    signal.removeEventListener = (...args: Parameters<typeof remove>) => {
      listening--
      remove(...args)
    }
    for (let pos = 1; pos <= 50; pos++) {
      const next = reader.next(signal)
      reader.push(pos, batch(1))
      await next
    }
    assert.equal(listening, 0)
    const last = reader.next(signal)
    life.abort()
    assert.equal(await last, undefined)
  })
})
