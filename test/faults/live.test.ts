import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import type { Store } from '../../src/store/connect.ts'
import { ingest } from '../../src/store/ingest.ts'
import { type Edition, needsTimescale } from '../support/database.ts'
import {
  follow,
  joined,
  keysOf,
  liveEvent,
  liveEvents,
  neverMs,
  replicas,
  since,
} from '../support/live.ts'
import { until } from '../support/processes.ts'

const op = { operation: 'test', table: 'none' }
const run = (store: Store, statement: string) => store.ask(op, (sql) => sql.unsafe(statement))

/** Batches of 13 events come as far as their commit and fail there, with their position taken. */
const failThirteens = `
  create function fail_thirteens() returns trigger language plpgsql as $$
    begin raise 'thirteen'; end $$;
  create constraint trigger thirteens after insert on live_batch deferrable initially deferred
    for each row when (new.n = 13) execute function fail_thirteens()`

/** A store whose feed hears of nothing until it is told; and how many questions were answered. */
function hardOfHearing(store: Store) {
  let answered = 0
  let tell = () => {}
  const slow: Store = {
    ...store,
    listen: async (_, heard) => {
      tell = heard
    },
    ask: async (...question) => {
      const rows = await store.ask(...question)
      answered++
      return rows as never
    },
  }
  return { slow, tell: () => tell(), answers: () => answered }
}

function suite(edition: Edition) {
  test('skips nothing when a transaction stays open while later ones commit', async (t) => {
    const { store, feed, signal } = await replicas(t, edition)
    const heard = follow(feed(), signal)
    await joined(store, heard)
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
    const later = liveEvents(20)
    await Promise.all(later.map((one) => ingest(store, [one])))
    release()
    await slow
    const last = liveEvent()
    await ingest(store, [last])
    await until('the last', () => heard.keys.includes(last.idempotency_key))
    for (const one of later) assert.ok(heard.keys.includes(one.idempotency_key))
    assert.equal(new Set(heard.keys).size, heard.keys.length)
  })

  test('passes on concurrent commits in one order to all subscribers', async (t) => {
    const { store, feed, signal } = await replicas(t, edition)
    const [one, two] = [follow(feed(), signal), follow(feed(), signal)]
    await Promise.all([joined(store, one), joined(store, two)])
    const mark = liveEvent()
    await ingest(store, [mark])
    await Promise.all(liveEvents(100).map((each) => ingest(store, [each])))
    await until('both', () => since(one, mark).length === 100 && since(two, mark).length === 100)
    assert.deepEqual(since(one, mark), since(two, mark))
  })

  test('passes on nothing that was rolled back, and all that was committed around it', async (t) => {
    const { store, feed, signal } = await replicas(t, edition)
    await run(store, failThirteens)
    const [one, two] = [follow(feed(), signal), follow(feed(neverMs), signal)]
    await Promise.all([joined(store, one), joined(store, two)])
    const mark = liveEvent()
    await ingest(store, [mark])
    const batches = Array.from({ length: 40 }, (_, i) => liveEvents(i % 3 === 0 ? 13 : 1 + (i % 4)))
    const outcomes = await Promise.allSettled(batches.map((batch) => ingest(store, batch)))
    const kept = batches.filter((_, i) => outcomes[i]?.status === 'fulfilled').flat()
    assert.equal(outcomes.filter(({ status }) => status === 'rejected').length, 14)
    const last = liveEvent()
    await ingest(store, [last])
    const all = (heard: typeof one) => heard.keys.includes(last.idempotency_key)
    await until('both to have the last', () => all(one) && all(two))
    assert.deepEqual(since(one, mark).sort(), keysOf([...kept, last]).sort())
    assert.deepEqual(since(two, mark).sort(), keysOf([...kept, last]).sort())
  })

  test('tells a subscriber where it begins, so that it can resume though nothing happens', async (t) => {
    const { store, feed, signal } = await replicas(t, edition)
    const first = follow(feed(), signal)
    await joined(store, first)
    const quiet = follow(feed(), signal)
    await until('its position', () => quiet.position !== undefined)
    quiet.stop()
    await quiet.done
    assert.deepEqual(quiet.keys, [])
    const missed = liveEvents(3)
    for (const one of missed) await ingest(store, [one])
    const second = follow(feed(), signal, { after: quiet.position })
    await until('what it missed', () => second.keys.length === 3)
    assert.deepEqual([second.keys, second.resets], [keysOf(missed), 0])
    await until('the first to have them too', () => first.keys.includes(keysOf(missed).at(-1)!))
    // Over a gap the place is known again as well.
    const lost = follow(feed(), signal, { after: '999999999-1' })
    await until('its position', () => lost.position !== undefined)
    assert.deepEqual([lost.resets, lost.position], [1, first.ids.at(-1)])
  })

  test('resumes on another replica in the middle of a batch', async (t) => {
    const { store, feed, signal } = await replicas(t, edition)
    const first = follow(feed(), signal)
    await joined(store, first)
    const batch = liveEvents(10)
    await ingest(store, batch)
    await until('the batch', () => first.keys.length >= 11)
    const at = first.ids.length - 6
    const second = follow(feed(), signal, { after: first.ids[at] })
    await ingest(store, [liveEvent()])
    await until('the rest', () => second.keys.length === 6)
    assert.deepEqual(second.keys.slice(0, 5), first.keys.slice(at + 1, at + 6))
    assert.equal(second.resets, 0)
  })

  test('resumes over more than a page of batches', async (t) => {
    const { store, feed, signal } = await replicas(t, edition)
    const first = follow(feed(), signal)
    await joined(store, first)
    const mark = liveEvent()
    await ingest(store, [mark])
    await until('the mark', () => first.keys.includes(mark.idempotency_key))
    const place = first.ids[first.keys.indexOf(mark.idempotency_key)]
    const missed = liveEvents(130)
    for (const one of missed) await ingest(store, [one])
    const second = follow(feed(), signal, { after: place })
    await until('the missed', () => second.keys.length >= missed.length)
    const now = liveEvent()
    await ingest(store, [now])
    await until('what comes now', () => second.keys.length > missed.length)
    assert.deepEqual(second.keys, keysOf([...missed, now]))
  })

  test('hops between replicas of different age while others write, and misses nothing', async (t) => {
    const { store, feed, signal } = await replicas(t, edition)
    const feeds = [feed()]
    const first = follow(feed(), signal)
    await joined(store, first)
    const mark = liveEvent()
    await ingest(store, [mark])
    await until('the mark', () => first.keys.includes(mark.idempotency_key))
    let place = first.ids[first.keys.indexOf(mark.idempotency_key)]
    const written: string[] = []
    const heard: unknown[] = []
    for (let hop = 0; hop < 12; hop++) {
      if (hop % 3 === 0) feeds.push(feed(hop % 2 ? neverMs : 50))
      const reader = follow(feeds[hop % feeds.length]!, signal, { after: place })
      const batches = [liveEvents(3), liveEvents(1), liveEvents(5)]
      await Promise.all(batches.map((batch) => ingest(store, batch)))
      written.push(...keysOf(batches.flat()))
      // It goes away in the middle: a part of it heard, the rest to come at the next replica.
      await until('a part', () => reader.keys.length > 0)
      reader.stop()
      await reader.done
      assert.equal(reader.resets, 0)
      heard.push(...reader.keys)
      place = reader.ids.at(-1)
    }
    const end = liveEvent()
    await ingest(store, [end])
    const last = follow(feeds[0]!, signal, { after: place })
    await until('the end', () => last.keys.includes(end.idempotency_key))
    assert.deepEqual([...heard, ...last.keys].sort(), [...written, end.idempotency_key].sort())
  })

  test('sends nothing twice to a reader that comes from a replica ahead of it', async (t) => {
    const { store, feed, signal } = await replicas(t, edition)
    const ahead = follow(feed(), signal)
    await joined(store, ahead)
    const { slow, tell, answers } = hardOfHearing(store)
    const behind = feed(neverMs, slow)
    await until('the other replica to stand somewhere', () => answers() >= 2)
    await ingest(store, liveEvents(4))
    await ingest(store, liveEvents(4))
    await until('eight more', () => ahead.keys.length >= 9 && ahead.ids.at(-1)?.endsWith('-4'))
    const moved = follow(behind, signal, { after: ahead.ids.at(-2) })
    await until('its first', () => moved.keys.length > 0)
    const last = liveEvent()
    await ingest(store, [last])
    await until('the last', () => {
      tell()
      return moved.keys.includes(last.idempotency_key)
    })
    await until('the other reader to have it', () => ahead.keys.includes(last.idempotency_key))
    assert.deepEqual(moved.keys, ahead.keys.slice(-2))
  })

  test('says reset when it cannot resume', async (t) => {
    const { store, feed, signal } = await replicas(t, edition)
    await ingest(store, [liveEvent()])
    for (const id of ['nonsense', '999999-1', '-1', '0-0']) {
      const heard = follow(feed(), signal, { after: id })
      await until(`a reset for ${id}`, () => heard.resets === 1)
    }
  })

  test('says reset when the raw events after a position were dropped', async (t) => {
    const { store, feed, signal } = await replicas(t, edition)
    const first = follow(feed(), signal)
    await joined(store, first)
    await ingest(store, liveEvents(3))
    await until('them', () => first.keys.length >= 4)
    await run(store, 'truncate event')
    const kept = liveEvent()
    await ingest(store, [kept])
    const second = follow(feed(), signal, { after: first.ids[0] })
    await until('what is left', () => second.keys.length > 0)
    assert.deepEqual(second.keys, [kept.idempotency_key])
    assert.ok(second.resets > 0)
  })

  test('says reset when positions are trimmed under a reader that catches up slowly', async (t) => {
    const { store, feed, signal } = await replicas(t, edition)
    const first = follow(feed(), signal)
    await joined(store, first)
    for (const one of liveEvents(120)) await ingest(store, [one])
    let resume = () => {}
    const held = new Promise<void>((resolve) => {
      resume = resolve
    })
    const second = follow(feed(), signal, { after: first.ids[0], pause: () => held })
    await until('its first batch', () => second.keys.length > 0)
    await run(store, 'delete from live_batch where pos < (select max(pos) from live_batch) - 5')
    resume()
    await until('the end', () => second.keys.at(-1) === first.keys.at(-1))
    assert.ok(second.resets > 0)
    assert.equal(new Set(second.keys).size, second.keys.length)
  })
}

describe('the live feed on plain PostgreSQL', () => suite('plain'))
describe('the live feed on TimescaleDB', needsTimescale, () => suite('timescale'))
