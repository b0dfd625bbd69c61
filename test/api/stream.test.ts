import assert from 'node:assert/strict'
import { connect } from 'node:net'
import { describe, type TestContext, test } from 'node:test'
import { setTimeout as wait } from 'node:timers/promises'
import { pino } from 'pino'
import type { LiveBatch, LiveEvent, LiveFeed } from '../../src/core/live.ts'
import { must } from '../../src/core/must.ts'
import { Lifecycle } from '../../src/platform/lifecycle.ts'
import { listen } from '../../src/platform/listen.ts'
import { parseSse, type SseMessage } from '../../src/platform/sse.ts'
import { mergedFeed } from '../../src/sites/merged-feed.ts'
import { LiveSite } from '../support/live-site.ts'
import { until } from '../support/processes.ts'
import { idOf } from '../support/sample-jobs.ts'
import { type AppOptions, readApp } from './read-app.ts'

/** A feed that is fed by hand and records its subscriptions. */
function handFeed() {
  const told: LiveBatch[] = []
  const asked: { after?: string | undefined }[] = []
  let open = 0
  const feed: LiveFeed = {
    async *subscribe({ after, signal }) {
      asked.push({ after })
      open += 1
      try {
        for (let i = 0; !signal.aborted; ) {
          if (i < told.length) yield told[i++]!
          else await wait(5, undefined, { signal }).catch(() => {})
        }
      } finally {
        open -= 1
      }
    },
  }
  return { feed, told, asked, open: () => open }
}

function event(n: number, changes: Record<string, unknown> = {}): LiveEvent {
  const envelope = {
    site_id: 'fab1',
    app: { name: 'litho-apc' },
    entity: { type: 'job', id: idOf(`job ${n}`), parent_id: null },
    event: { kind: 'progress' },
    n,
  }
  return { id: `p-${n}`, event: { ...envelope, ...changes } }
}

async function serve(t: TestContext, options: AppOptions) {
  const life = new Lifecycle(pino({ level: 'silent' }))
  const { app, metrics } = readApp({ ...options, stopping: life.signal })
  const url = await listen(app, { host: '127.0.0.1', port: 0 }, life)
  t.after(() => life.stop(30))
  const count = async (name: 'streamClients' | 'streamCutOff') =>
    (await metrics[name].get()).values[0]?.value ?? 0
  return { url, life, count }
}

/** The first `n` messages of a stream, comments left out; fewer when they do not come within 20 s. */
async function take(url: string, n: number, init: RequestInit = {}): Promise<SseMessage[]> {
  const stop = new AbortController()
  const response = await fetch(url, { ...init, signal: stop.signal })
  assert.equal(response.status, 200)
  assert.match(response.headers.get('content-type') ?? '', /^text\/event-stream/)
  const found: SseMessage[] = []
  const late = setTimeout(() => stop.abort(), 20_000)
  try {
    for await (const message of parseSse(response.body!)) {
      if (message.event !== 'comment') found.push(message)
      if (found.length === n) break
    }
  } catch (error) {
    // Too few is for the test to say.
    if (!stop.signal.aborted) throw error
  }
  clearTimeout(late)
  stop.abort()
  return found
}

/** The messages that a reader receives, as they come. */
function follow(t: TestContext, url: string): SseMessage[] {
  const stop = new AbortController()
  const found: SseMessage[] = []
  const read = async () => {
    const { body } = await fetch(url, { signal: stop.signal })
    for await (const message of parseSse(must(body, 'it streams'))) {
      if (message.event !== 'comment') found.push(message)
    }
  }
  const reading = read().catch((error) => {
    if (!stop.signal.aborted) throw error
  })
  t.after(() => {
    stop.abort()
    return reading
  })
  return found
}

const numbers = (messages: SseMessage[]) => messages.map(({ data }) => JSON.parse(data).n)

describe('GET /v1/stream', () => {
  test('sends each event with its id and kind', async (t) => {
    const { feed, told } = handFeed()
    const { url } = await serve(t, { feed })
    told.push([event(1), event(2, { event: { kind: 'finished' } })], [event(3)])
    const messages = await take(`${url}/v1/stream`, 3)
    assert.deepEqual(numbers(messages), [1, 2, 3])
    assert.deepEqual(
      messages.map(({ id, event: kind }) => [id, kind]),
      [
        ['p-1', 'progress'],
        ['p-2', 'finished'],
        ['p-3', 'progress'],
      ],
    )
  })

  test('filters by site, app, type and job', async (t) => {
    const { feed, told } = handFeed()
    const { url } = await serve(t, { feed })
    const job = idOf('job 1')
    told.push([
      event(1),
      event(2, { site_id: 'fab2' }),
      event(3, { app: { name: 'Etch-FDC' } }),
      event(4, { entity: { type: 'subjob', id: idOf('w'), parent_id: job } }),
      event(5),
    ])
    const of = async (query: string, n: number) =>
      numbers(await take(`${url}/v1/stream?${query}`, n))
    assert.deepEqual(await of('site=fab2', 1), [2])
    assert.deepEqual(await of('app=etch', 1), [3])
    assert.deepEqual(await of('entity_type=subjob', 1), [4])
    assert.deepEqual(await of(`job_id=${job}`, 2), [1, 4])
    assert.equal((await fetch(`${url}/v1/stream?apps=etch`)).status, 422)
  })

  test('resumes after the id that the reader sends', async (t) => {
    const { feed, told, asked } = handFeed()
    const { url } = await serve(t, { feed })
    told.push([event(1)])
    await take(`${url}/v1/stream`, 1)
    await take(`${url}/v1/stream?last_event_id=p-8`, 1)
    await take(`${url}/v1/stream?last_event_id=p-8`, 1, { headers: { 'last-event-id': 'p-9' } })
    const positions = asked.map(({ after }) => after).filter((after) => after !== undefined)
    assert.deepEqual(positions, ['p-8', 'p-9'])
  })

  test('sends reset when events were missed', async (t) => {
    const { feed, told } = handFeed()
    const { url } = await serve(t, { feed })
    told.push('reset', [event(7)])
    const [reset, next] = await take(`${url}/v1/stream?last_event_id=old`, 2)
    assert.equal(reset?.event, 'reset')
    assert.equal(next?.id, 'p-7')
  })

  test('shows that it is alive, and moves a reader forward whose filter matches nothing', async (t) => {
    const { feed, told } = handFeed()
    const { url } = await serve(t, { feed, heartbeatMs: 50 })
    told.push([event(1), event(2)])
    const stop = new AbortController()
    const response = await fetch(`${url}/v1/stream?site=fab9`, { signal: stop.signal })
    let last = ''
    for await (const message of parseSse(response.body!)) {
      assert.equal(message.event, 'comment')
      last = message.id
      if (last !== '') break
    }
    stop.abort()
    assert.equal(last, 'p-2')
  })

  test('does so also while other events keep coming', async (t) => {
    let made = 0
    const feed: LiveFeed = {
      async *subscribe({ signal }) {
        for (; made < 400 && !signal.aborted; made++) {
          yield [event(made)]
          await wait(5)
        }
      },
    }
    const { url } = await serve(t, { feed, heartbeatMs: 50 })
    const response = await fetch(`${url}/v1/stream?site=fab9`)
    const ids: string[] = []
    for await (const { id } of parseSse(response.body!)) {
      if (id !== '') ids.push(id)
      if (ids.length === 2) break
    }
    assert.equal(ids.length, 2, 'the stream ended without a sign of life')
    assert.ok(made < 400)
  })

  test('frees its subscription when a reader leaves, and ends when the role stops', async (t) => {
    const { feed, open } = handFeed()
    const { url, life, count } = await serve(t, { feed })
    const stop = new AbortController()
    const gone = await fetch(`${url}/v1/stream`, { signal: stop.signal })
    const stays = await fetch(`${url}/v1/stream`)
    await gone.body!.getReader().read()
    await until('a subscription', () => open() === 1)
    assert.equal(await count('streamClients'), 2)
    stop.abort()
    await until('one reader', async () => (await count('streamClients')) === 1)
    assert.equal(open(), 1)
    const rest = stays.text()
    await life.stop(5)
    assert.match(await rest, /^retry: 2000/)
    assert.equal(open(), 0)
    assert.equal(await count('streamClients'), 0)
  })

  test('disconnects a reader that reads nothing, and buffers little for it', async (t) => {
    const heavy = 'x'.repeat(60_000)
    let made = 0
    const feed: LiveFeed = {
      async *subscribe({ signal }) {
        while (!signal.aborted) {
          made += 1
          yield [event(made, { heavy })]
        }
      },
    }
    const { url, count } = await serve(t, { feed, stallMs: 300 })
    const { port } = new URL(url)
    const socket = connect(Number(port), '127.0.0.1')
    t.after(() => socket.destroy())
    socket.on('error', () => {})
    socket.write('GET /v1/stream HTTP/1.1\r\nHost: x\r\n\r\n')
    socket.pause()
    await until('the cut', async () => (await count('streamCutOff')) === 1)
    await until('no readers', async () => (await count('streamClients')) === 0)
    const after = made
    // Both ends of the socket hold a few megabytes; what was made beyond that would be ours.
    assert.ok(made * heavy.length < 64 * 2 ** 20, `${made} events made`)
    await wait(100)
    assert.equal(made, after)
  })

  test('breaks off when the feed fails, so that the reader resumes', async (t) => {
    const feed: LiveFeed = {
      async *subscribe() {
        yield [event(1)]
        throw new Error('planted')
      },
    }
    const { url, count } = await serve(t, { feed })
    await assert.rejects(fetch(`${url}/v1/stream`).then((response) => response.text()))
    assert.equal(await count('streamClients'), 0)
  })

  test('refuses readers beyond its limit', async (t) => {
    const { feed } = handFeed()
    const { url, count } = await serve(t, { feed, maxClients: 1 })
    const stop = new AbortController()
    const first = await fetch(`${url}/v1/stream`, { signal: stop.signal })
    await first.body!.getReader().read()
    const refused = await fetch(`${url}/v1/stream`)
    assert.deepEqual([refused.status, refused.headers.get('retry-after')], [503, '10'])
    await refused.text()
    stop.abort()
    await until('room', async () => (await count('streamClients')) === 0)
  })
})

describe('many readers of GET /v1/stream', () => {
  test('share one subscription, and each event is written once for all of them', async (t) => {
    const { feed, told, asked } = handFeed()
    const { url, count } = await serve(t, { feed })
    let written = 0
    const counting = (n: number) => {
      const made = event(n)
      const toJSON = () => {
        written++
        return { n }
      }
      return { ...made, event: { ...made.event, toJSON } }
    }
    const reading = Array.from({ length: 30 }, () => take(`${url}/v1/stream`, 4))
    await until('a subscription', () => asked.length > 0)
    await until('all to read', async () => (await count('streamClients')) === 30)
    told.push([counting(1), counting(2)], [counting(3)], [counting(4)])
    for (const messages of await Promise.all(reading)) {
      assert.deepEqual(numbers(messages), [1, 2, 3, 4])
    }
    assert.equal(asked.length, 1)
    assert.equal(written, 4)
  })

  test('get a burst whole, larger than what may wait for the next write', async (t) => {
    const { feed, told, asked } = handFeed()
    const { url, count } = await serve(t, { feed })
    const heavy = 'x'.repeat(1000)
    const readers = [take(`${url}/v1/stream`, 6000), take(`${url}/v1/stream?site=fab1`, 6000)]
    await until('a subscription', () => asked.length > 0)
    await until('both', async () => (await count('streamClients')) === 2)
    for (let batch = 0; batch < 6; batch++) {
      told.push(Array.from({ length: 1000 }, (_, i) => event(batch * 1000 + i, { heavy })))
    }
    const expected = Array.from({ length: 6000 }, (_, i) => i)
    for (const reader of readers) assert.deepEqual(numbers(await reader), expected)
    assert.equal(await count('streamCutOff'), 0)
  })

  test('notice nothing when the shared subscription breaks off and goes on', async (t) => {
    const asked: (string | undefined)[] = []
    const feed: LiveFeed = {
      async *subscribe({ after, signal }) {
        asked.push(after)
        await wait(100)
        if (asked.length === 1) {
          yield [event(1), event(2)]
          throw new Error('the subscriber is too slow')
        }
        yield [event(3)]
        await wait(60_000, undefined, { signal }).catch(() => {})
      },
    }
    const { url } = await serve(t, { feed })
    const readers = [1, 2].map(() => take(`${url}/v1/stream`, 3))
    for (const messages of await Promise.all(readers)) {
      assert.deepEqual(numbers(messages), [1, 2, 3])
    }
    assert.deepEqual(asked, [undefined, 'p-2'])
  })

  test('that resume follow their own subscription until the shared one has their event', async (t) => {
    const { feed, told, open } = numberedFeed()
    const { url } = await serve(t, { feed })
    for (let n = 1; n <= 50; n++) told.push([event(n)])
    const first = take(`${url}/v1/stream`, 30)
    await until('the shared subscription', () => open() === 1)
    const rest = [10, 20, 49, 50].map((n) =>
      take(`${url}/v1/stream`, 80 - n, { headers: { 'last-event-id': `p-${n}` } }),
    )
    for (let n = 51; n <= 60; n++) told.push([event(n)])
    await until('one subscription for all', () => open() === 1)
    for (let n = 61; n <= 80; n++) told.push([event(n)])
    const until80 = (from: number) => Array.from({ length: 80 - from }, (_, i) => from + i + 1)
    assert.deepEqual(numbers(await first), until80(50))
    for (const [i, n] of [10, 20, 49, 50].entries()) {
      assert.deepEqual(numbers(await rest[i]!), until80(n))
    }
  })

  test('learn where they are though nothing happens, and resume there on the shared subscription', async (t) => {
    const { feed, told, asked } = handFeed()
    const { url } = await serve(t, { feed, heartbeatMs: 50 })
    const first = await fetch(`${url}/v1/stream`)
    const heard = parseSse(first.body!)
    await until('the shared subscription', () => asked.length === 1)
    told.push({ position: 'p-7' })
    let at = ''
    while (at === '') at = (await heard.next()).value?.id ?? 'the stream ended'
    assert.equal(at, 'p-7')
    const second = take(`${url}/v1/stream`, 2, { headers: { 'last-event-id': at } })
    const third = take(`${url}/v1/stream`, 1, { headers: { 'last-event-id': 'p-8' } })
    await until('a reader from elsewhere', () => asked.length === 2)
    assert.deepEqual(asked, [{ after: undefined }, { after: 'p-8' }])
    told.push([event(8), event(9)])
    assert.deepEqual(numbers(await second), [8, 9])
    await third
    // After a gap nobody is there without having been told of it.
    told.push('reset')
    for (let kind = ''; kind !== 'reset'; ) kind = (await heard.next()).value?.event ?? 'reset'
    const late = take(`${url}/v1/stream`, 1, { headers: { 'last-event-id': 'p-9' } })
    await until('a subscription of its own', () => asked.length === 3)
    assert.equal(asked[2]?.after, 'p-9')
    await late
    await heard.return(undefined)
  })

  test('that resume over several sites share one subscription, also while a site is silent', async (t) => {
    const sites = [new LiveSite('fab1'), new LiveSite('fab2')] as const
    const [busy, silent] = sites
    for (const n of [1, 2]) silent.say(`b${n}`)
    const merged = mergedFeed(sites)
    let open = 0
    const feed: typeof merged = {
      async *subscribe(from) {
        open++
        try {
          yield* merged.subscribe(from)
        } finally {
          open--
        }
      },
    }
    const { url } = await serve(t, { feed })
    const resume = { headers: { 'last-event-id': 'fab1=0,fab2=2' } }
    const readers = [1, 2].map(() => take(`${url}/v1/stream`, 60, resume))
    await until('both to follow', () => open === 2)
    let said = 0
    await until('one subscription for both', () => {
      if (said < 50) busy.say(`a${said++}`)
      return said >= 2 && open === 1
    })
    while (said < 100) busy.say(`a${said++}`)
    for (const messages of await Promise.all(readers)) {
      const events = messages.filter(({ event: kind }) => kind !== 'sites')
      const keys = events.map(({ data }) => JSON.parse(data).key)
      assert.ok(keys.length > 50, 'the rest are reports on sites')
      assert.deepEqual(
        keys,
        keys.map((_, i) => `a${i}`),
      )
      assert.equal(events.at(-1)?.id, `fab1=${keys.length},fab2=2`)
    }
  })

  test('that read slowly are cut off at a limit, and delay none of the others', async (t) => {
    const { feed, told, asked } = handFeed()
    const { url, count } = await serve(t, { feed })
    const socket = connect(Number(new URL(url).port), '127.0.0.1')
    t.after(() => socket.destroy())
    socket.on('error', () => {})
    socket.write('GET /v1/stream HTTP/1.1\r\nHost: x\r\n\r\n')
    socket.pause()
    await until('a subscription', () => asked.length > 0)
    const reader = follow(t, `${url}/v1/stream`)
    await until('both', async () => (await count('streamClients')) === 2)
    const heavy = 'x'.repeat(20_000)
    // As fast as the other reader reads: it must not look slow to anybody.
    for (let n = 0; n < 1500; n++) {
      told.push([event(n, { heavy })])
      if (n % 50 === 0) await until('the reader', () => reader.length > n)
    }
    await until('all events', () => reader.length === 1500)
    await until('the cut', async () => (await count('streamCutOff')) === 1)
  })
})

/** A feed that resumes: the position of the n-th event is `p-n`. A subscription without one begins now. */
function numberedFeed() {
  const told: LiveBatch[] = []
  let open = 0
  const feed: LiveFeed = {
    async *subscribe({ after, signal }) {
      open += 1
      try {
        let i = after === undefined ? told.length : Number(after.slice(2))
        while (!signal.aborted) {
          if (i < told.length) yield told[i++]!
          else await wait(5, undefined, { signal }).catch(() => {})
        }
      } finally {
        open -= 1
      }
    },
  }
  return { feed, told, open: () => open }
}
