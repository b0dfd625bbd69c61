import assert from 'node:assert/strict'
import { describe, type TestContext, test } from 'node:test'
import { setTimeout as wait } from 'node:timers/promises'
import type { LiveBatch, LiveSites } from '../../src/core/live.ts'
import { mergedFeed } from '../../src/sites/merged-feed.ts'
import { LiveSite } from '../support/live-site.ts'

type Heard = {
  keys: string[]
  ids: string[]
  resets: number
  sites: LiveSites[]
  /** The last one that was told without an event. */
  position?: string
  stop(): void
}

/** Follows all sites as one and notes what comes. */
function listen(t: TestContext, sites: LiveSite[], after?: string): Heard {
  const stop = new AbortController()
  t.after(() => stop.abort())
  const feed = mergedFeed(sites)
  const heard: Heard = { keys: [], ids: [], resets: 0, sites: [], stop: () => stop.abort() }
  const take = (batch: LiveBatch | LiveSites) => {
    if (batch === 'reset') heard.resets++
    else if ('missing' in batch) heard.sites.push(batch)
    else if ('position' in batch) heard.position = batch.position
    else {
      heard.keys.push(...batch.map(({ event }) => String(event.key)))
      heard.ids.push(...batch.map(({ id }) => id))
    }
  }
  const run = async () => {
    for await (const batch of feed.subscribe({ after, signal: stop.signal })) take(batch)
  }
  void run()
  return heard
}

async function until(condition: () => boolean, what: string): Promise<void> {
  const deadline = Date.now() + 10_000
  while (!condition()) {
    assert.ok(Date.now() < deadline, what)
    await wait(5)
  }
}

const two = () => [new LiveSite('fab1'), new LiveSite('fab2')] as const
const missingOf = (heard: Heard) => heard.sites.at(-1)?.missing.map(({ id }) => id)

describe('the live streams of several sites as one', () => {
  test('passes on the events of each, in its order', async (t) => {
    const [one, other] = two()
    const heard = listen(t, [one, other])
    await until(() => heard.sites.length === 1, 'both are heard')
    for (let i = 0; i < 300; i++) {
      one.say(`a${i}`)
      other.say(`b${i}`)
    }
    await until(() => heard.keys.length === 600, 'all is heard')
    const of = (letter: string) => heard.keys.filter((key) => key.startsWith(letter))
    assert.deepEqual(
      of('a'),
      Array.from({ length: 300 }, (_, i) => `a${i}`),
    )
    assert.deepEqual(
      of('b'),
      Array.from({ length: 300 }, (_, i) => `b${i}`),
    )
    assert.equal(heard.resets, 0)
    assert.deepEqual(heard.sites, [{ total: 2, missing: [] }])
  })

  test('resumes after any id at every site, without a gap or a repeat', async (t) => {
    const [one, other] = two()
    const first = listen(t, [one, other])
    await until(() => first.sites.length === 1, 'both are heard')
    one.say('a1')
    other.say('b1')
    one.say('a2')
    await until(() => first.keys.length === 3, 'all is heard')
    first.stop()
    one.say('a3')
    other.say('b2')
    // The last id at which both sites had been heard, and what came after it.
    const at = first.ids.findIndex((id) => id.includes('fab1') && id.includes('fab2'))
    const second = listen(t, [one, other], first.ids[at])
    const want = [...first.keys.slice(at + 1), 'a3', 'b2'].sort()
    await until(() => second.keys.length >= want.length, 'the rest is heard')
    assert.deepEqual(second.keys.toSorted(), want)
    assert.equal(second.resets, 0)
  })

  test('learns the position of a silent site later, and resumes there without a reset', async (t) => {
    const [one, other] = two()
    one.say('a1')
    other.say('b1')
    other.say('b2')
    const first = listen(t, [one, other])
    await until(() => first.sites.length === 1, 'both are heard')
    assert.equal(first.position, undefined)
    one.at(1)
    other.at(2)
    await until(() => first.position === 'fab1=1,fab2=2', 'heartbeats tell it')
    first.stop()
    other.say('b3 without a reader')
    const second = listen(t, [one, other], first.position)
    await until(() => second.keys.length === 1, 'it is heard')
    assert.deepEqual([second.keys, second.resets], [['b3 without a reader'], 0])
  })

  test('gives a reset when a site never had a position to resume from', async (t) => {
    const [one, other] = two()
    const first = listen(t, [one, other])
    await until(() => first.sites.length === 1, 'both are heard')
    one.say('a1')
    await until(() => first.keys.length === 1, 'it is heard')
    first.stop()
    other.say('b1 without a reader')
    const second = listen(t, [one, other], first.ids[0])
    await until(() => second.resets === 1, 'there is a reset')
  })

  for (const how of ['an event', 'a heartbeat'] as const) {
    test(`resumes at a site that is silent since, where ${how} told its position`, async (t) => {
      const [one, other] = two()
      other.say('b1')
      other.say('b2')
      // Of an earlier reader, which is gone when the next one comes where the heartbeat is to tell it.
      const earlier = listen(
        t,
        [one, other],
        how === 'an event' ? 'fab1=0,fab2=1' : 'fab1=0,fab2=2',
      )
      if (how === 'an event') await until(() => earlier.keys.length === 1, 'it is heard')
      else {
        other.beats++
        await until(() => earlier.sites.length === 1, 'both are heard')
      }
      const first = listen(t, [one, other])
      await until(() => first.sites.length === 1, 'both are heard')
      one.say('a1')
      await until(() => first.keys.length === 1 && earlier.keys.includes('a1'), 'it is heard')
      assert.equal(first.ids[0], 'fab1=1,fab2=2')
      assert.equal(earlier.ids.at(-1), first.ids[0])
    })
  }

  test('misses nothing that comes while its reader reloads on a reset', async (t) => {
    const [one, other] = two()
    const first = listen(t, [one, other])
    await until(() => first.sites.length === 1, 'both are heard')
    const stop = new AbortController()
    t.after(() => stop.abort())
    const feed = mergedFeed([one, other])
    const batches = feed.subscribe({ after: 'fab1=0', signal: stop.signal })[Symbol.asyncIterator]()
    assert.equal((await batches.next()).value, 'reset')
    other.say('b1')
    await until(() => first.keys.length === 1, 'it is heard by others')
    other.say('b2')
    const keys: string[] = []
    while (keys.at(-1) !== 'b2') {
      const { value } = await batches.next()
      if (Array.isArray(value)) keys.push(...value.map(({ event }) => String(event.key)))
    }
    assert.deepEqual(keys, ['b1', 'b2'])
  })

  for (const nonsense of [
    '5-1',
    'fab1',
    '=,=',
    'fab1=%E0%A4%A,fab2=1',
    'fab1=%0A1-1,fab2=1',
    '\u0000',
  ]) {
    test(`gives a reset for an id that is not one: ${JSON.stringify(nonsense)}`, async (t) => {
      const heard = listen(t, [...two()], nonsense)
      await until(() => heard.resets === 1, 'there is a reset')
    })
  }

  test('never resumes a shared connection with a position that the site cannot be sent', async (t) => {
    const [one, other] = two()
    const heard = listen(t, [one, other], `fab1=%0A1-1,fab2=${'1'.repeat(9000)}`)
    await until(() => heard.sites.length === 1, 'both are heard')
    assert.deepEqual([one.resumed, other.resumed], [[undefined], [undefined]])
  })

  test('is not delayed by a site that is dead, and reports it with its outage', async (t) => {
    const [one, dead] = two()
    dead.down = true
    const heard = listen(t, [one, dead])
    await until(() => heard.sites.length === 1, 'it is told')
    one.say('a1')
    await until(() => heard.keys.length === 1, 'the other is heard')
    const [missing] = heard.sites[0]!.missing
    assert.equal(missing?.id, 'fab2')
    assert.equal(missing.error, 'fab2 is away')
    assert.match(missing.since, /^\d{4}-.*Z$/)
  })

  test('continues at its position at a site that comes back, and reports an outage once', async (t) => {
    const [one, other] = two()
    const heard = listen(t, [one, other])
    await until(() => heard.sites.length === 1, 'both are heard')
    other.say('b1')
    await until(() => heard.keys.length === 1, 'it is heard')
    other.down = true
    await until(() => missingOf(heard)?.[0] === 'fab2', 'it is missed')
    other.say('b2')
    const tries = other.resumed.length
    await until(() => other.resumed.length > tries + 2, 'it is tried again')
    other.down = false
    await until(() => heard.keys.length === 2, 'it to continue')
    await until(() => missingOf(heard)?.length === 0, 'it is heard again')
    assert.deepEqual(heard.keys, ['b1', 'b2'])
    assert.equal(heard.resets, 0)
    assert.equal(heard.sites.length, 3)
  })

  test('gives a reset when a site was away from the start', async (t) => {
    const [one, late] = two()
    late.down = true
    const heard = listen(t, [one, late])
    await until(() => heard.sites.length === 1, 'it is missed')
    late.say('b1 before the first reader')
    late.down = false
    await until(() => heard.resets === 1, 'there is a reset')
  })

  test('passes on that a site forgot the position of the reader', async (t) => {
    const [one, other] = two()
    other.oldest = 100
    const heard = listen(t, [one, other], 'fab1=0,fab2=3')
    await until(() => heard.resets === 1, 'there is a reset')
  })

  test('ends at the sites as well when the reader leaves', async (t) => {
    const [one, other] = two()
    const feed = mergedFeed([one, other])
    const signals: AbortSignal[] = []
    for (const site of [one, other]) {
      const { follow } = site.reader
      site.reader.follow = (last, signal) => {
        signals.push(signal)
        return follow(last, signal)
      }
    }
    const stop = new AbortController()
    t.after(() => stop.abort())
    for await (const _ of feed.subscribe({ signal: stop.signal })) break
    assert.deepEqual(
      signals.map(({ aborted }) => aborted),
      [true, true],
    )
  })
})
