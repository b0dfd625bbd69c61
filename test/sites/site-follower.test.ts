import assert from 'node:assert/strict'
import { describe, type TestContext, test } from 'node:test'
import { setTimeout as wait } from 'node:timers/promises'
import { LiveSite } from '../support/live-site.ts'

/** A reader that notes what comes, and takes up again where it was. */
function aReader(t: TestContext, site: LiveSite, position?: string) {
  const heard = {
    keys: [] as string[],
    position,
    resets: 0,
    outages: [] as boolean[],
    error: undefined as unknown,
    /** The news is left to wait until this resolves. */
    pause: Promise.resolve(),
    stop: new AbortController(),
    over: Promise.resolve(),
  }
  t.after(() => heard.stop.abort())
  const run = async () => {
    for await (const news of site.follower.follow(heard.position, heard.stop.signal)) {
      await heard.pause
      if (news === 'reset') heard.resets++
      else if ('position' in news) heard.position = news.position
      else if ('outage' in news) heard.outages.push(news.outage !== undefined)
      else {
        heard.keys.push(String(news.event.key))
        heard.position = news.id
      }
    }
  }
  heard.over = run().catch((error: unknown) => {
    heard.error = error
  })
  return heard
}

async function until(condition: () => boolean, what: string): Promise<void> {
  const deadline = Date.now() + 20_000
  while (!condition()) {
    assert.ok(Date.now() < deadline, what)
    await wait(1)
  }
}

const keys = (from: number, to: number) =>
  Array.from({ length: to - from }, (_, i) => `e${from + i}`)
function say(site: LiveSite, from: number, to: number) {
  for (const key of keys(from, to)) site.say(key)
}

describe('the shared connection to a site', () => {
  test('is one for fifty readers, which all get everything', async (t) => {
    const site = new LiveSite()
    const readers = Array.from({ length: 50 }, () => aReader(t, site))
    await until(() => readers.every(({ outages }) => outages.length === 1), 'all are told')
    say(site, 0, 300)
    await until(() => readers.every((reader) => reader.keys.length === 300), 'all hear all')
    for (const reader of readers) assert.deepEqual(reader.keys, keys(0, 300))
    assert.deepEqual([site.open, site.resumed.length], [1, 1])
  })

  test('ends when the last reader leaves, and is opened again by the next one', async (t) => {
    const site = new LiveSite()
    const [one, other] = [aReader(t, site), aReader(t, site)]
    await until(() => site.open === 1, 'it is open')
    one.stop.abort()
    await one.over
    assert.equal(site.open, 1)
    other.stop.abort()
    await other.over
    await until(() => site.open === 0, 'it is closed')
    aReader(t, site, '0')
    await until(() => site.open === 1, 'it is open again')
    assert.deepEqual(site.resumed, [undefined, '0'])
  })

  test('serves a reader that resumes from its log, without a connection more', async (t) => {
    const site = new LiveSite()
    const first = aReader(t, site, '0')
    say(site, 0, 10)
    await until(() => first.keys.length === 10, 'the first one hears all')
    for (const position of [0, 4, 10]) {
      const resumed = aReader(t, site, String(position))
      await until(() => resumed.keys.length === 10 - position, 'it hears the rest')
      assert.deepEqual(resumed.keys, keys(position, 10))
    }
    assert.equal(site.resumed.length, 1)
  })

  test('is met by a reader that resumes from before its log, without a gap or a repeat', async (t) => {
    const site = new LiveSite('fab1', { maxEvents: 20 })
    say(site, 0, 100)
    const first = aReader(t, site)
    await until(() => first.outages.length === 1, 'the first one is connected')
    say(site, 100, 110)
    await until(() => first.keys.length === 10, 'the first one hears')
    const resumed = aReader(t, site, '3')
    await until(() => resumed.keys.length === 107, 'it catches up')
    say(site, 110, 115)
    await until(() => resumed.keys.length === 112, 'it hears what is new')
    assert.deepEqual(resumed.keys, keys(3, 115))
    assert.equal(resumed.resets, 0)
    await until(() => site.beats++ > 0 && site.open === 1, 'one connection is left')
  })

  test('is noticed without events, by the next heartbeat', async (t) => {
    const site = new LiveSite()
    say(site, 0, 10)
    const first = aReader(t, site, '5')
    const resumed = aReader(t, site, '2')
    await until(() => first.keys.length === 5 && resumed.keys.length === 8, 'both hear all')
    await until(() => site.beats++ > 0 && site.open === 1, 'one connection is left')
    say(site, 10, 12)
    await until(() => resumed.keys.length === 10, 'it hears what is new')
    assert.deepEqual(resumed.keys, keys(2, 12))
  })

  test('is met by a reader that is ahead of it', async (t) => {
    const site = new LiveSite()
    say(site, 0, 10)
    const first = aReader(t, site, '2')
    const ahead = aReader(t, site, '8')
    await until(() => first.keys.length === 8 && ahead.keys.length === 2, 'both hear all')
    say(site, 10, 12)
    await until(
      () => ahead.keys.length === 4 && site.beats++ > 0 && site.open === 1,
      'it hears what is new',
    )
    assert.deepEqual(ahead.keys, keys(8, 12))
  })

  test('gives a reset to a reader whose position the site has forgotten', async (t) => {
    const site = new LiveSite()
    say(site, 0, 10)
    site.oldest = 5
    const first = aReader(t, site)
    await until(() => first.outages.length === 1, 'the first one is connected')
    const resumed = aReader(t, site, '2')
    await until(() => resumed.resets === 1, 'there is a reset')
    say(site, 10, 12)
    await until(() => resumed.keys.length === 2, 'it hears what is new')
    assert.deepEqual([resumed.keys, first.resets], [keys(10, 12), 0])
  })

  test('gives a reset to readers over the limit of those that catch up', async (t) => {
    const site = new LiveSite('fab1', { maxCatchingUp: 2 })
    say(site, 0, 10)
    const first = aReader(t, site)
    await until(() => first.outages.length === 1, 'the first one is connected')
    const resumed = Array.from({ length: 5 }, () => aReader(t, site, '2'))
    await until(() => resumed.filter(({ resets }) => resets === 1).length === 3, 'three resets')
    say(site, 10, 12)
    await until(
      () => resumed.every((reader) => reader.keys.at(-1) === 'e11'),
      'all hear what is new',
    )
    assert.deepEqual(
      resumed.map((reader) => reader.keys.length).sort((a, b) => a - b),
      [2, 2, 2, 10, 10],
    )
    await until(() => site.beats++ > 0 && site.open === 1, 'one connection is left')
  })

  test('waits for no reader, and cuts off the one that its log has overtaken', async (t) => {
    const site = new LiveSite('fab1', { maxEvents: 20 })
    const [quick, slow] = [aReader(t, site), aReader(t, site)]
    await until(() => slow.outages.length === 1, 'both are connected')
    const pause = Promise.withResolvers<void>()
    slow.pause = pause.promise
    for (let i = 0; i < 100; i++) {
      site.say(`e${i}`)
      await until(() => quick.keys.length === i + 1, 'the quick one hears')
    }
    pause.resolve()
    await until(() => slow.error !== undefined, 'the slow one is cut off')
    assert.match(String(slow.error), /too slow/)
    const { position = '0' } = slow
    const again = aReader(t, site, position)
    await until(() => again.keys.at(-1) === 'e99', 'it comes back')
    assert.deepEqual([...slow.keys, ...again.keys], keys(0, 100))
  })

  test('resumes after an outage, which each reader is notified of once', async (t) => {
    const site = new LiveSite()
    const reader = aReader(t, site, '0')
    say(site, 0, 3)
    await until(() => reader.keys.length === 3, 'it hears')
    site.down = true
    await until(() => reader.outages.length === 2, 'it is told')
    const late = aReader(t, site)
    await until(() => late.outages.length === 1, 'a later one is told as well')
    say(site, 3, 5)
    const tries = site.resumed.length
    await until(() => site.resumed.length > tries + 1, 'it is tried again')
    site.down = false
    await until(() => reader.keys.length === 5, 'it continues')
    assert.deepEqual([reader.keys, reader.resets], [keys(0, 5), 0])
    assert.deepEqual(
      [reader.outages, late.outages],
      [
        [false, true, false],
        [true, false],
      ],
    )
  })

  test('loses and repeats nothing, however readers come and go', async (t) => {
    const site = new LiveSite('fab1', { maxEvents: 8, maxCatchingUp: 99 })
    say(site, 0, 30)
    const readers = Array.from({ length: 6 }, (_, i) => ({
      all: [] as string[],
      at: String(i * 4),
    }))
    let done = false
    const live = readers.map(async (reader, i) => {
      while (!done) {
        const session = aReader(t, site, reader.at)
        await wait((i * 7) % 11)
        if (!done) session.stop.abort()
        else await until(() => session.position === '400' || session.error !== undefined, 'all')
        session.stop.abort()
        await session.over
        assert.equal(session.resets, 0)
        reader.all.push(...session.keys)
        reader.at = session.position ?? reader.at
      }
    })
    for (let n = 30; n < 400; n += 5) {
      say(site, n, n + 5)
      site.down = n % 100 === 0
      await wait(n % 3)
    }
    site.down = false
    done = true
    await Promise.all(live)
    for (const [i, reader] of readers.entries()) {
      const rest = aReader(t, site, reader.at)
      await until(() => rest.position === '400', `reader ${i} hears the rest`)
      assert.deepEqual([...reader.all, ...rest.keys], keys(i * 4, 400))
    }
  })
})
