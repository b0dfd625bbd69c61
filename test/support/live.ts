import type { TestContext } from 'node:test'
import { pino } from 'pino'
import type { Event } from '../../src/core/event.ts'
import type { LiveFeed } from '../../src/core/live.ts'
import { fromMicros, fromMs, toMicros } from '../../src/core/time.ts'
import { connect, type Store } from '../../src/store/connect.ts'
import { ingest } from '../../src/store/ingest.ts'
import { liveFeed } from '../../src/store/live.ts'
import { type Edition, freshDatabase } from './database.ts'
import { until } from './processes.ts'

let last = 0n

/** A start of a job of its own, now; each a microsecond at least after the one before. */
export function liveEvent(): Event {
  const now = toMicros(fromMs(Date.now()))
  last = now > last ? now : last + 1n
  const at = fromMicros(last)
  return {
    idempotency_key: crypto.randomUUID(),
    site_id: 'fab1',
    app: { app_id: crypto.randomUUID(), name: 'etch', version: '' },
    entity: { type: 'job', id: crypto.randomUUID() },
    event: { kind: 'started', at },
    received_at: at,
  }
}

export const liveEvents = (n: number): Event[] => Array.from({ length: n }, liveEvent)

/** So long that within a test only notifications bring anything. */
export const neverMs = 600_000

/** A store, and feeds on it as replicas would have them. */
export async function replicas(t: TestContext, edition: Edition) {
  const { url } = await freshDatabase(t, { edition })
  return replicasOn(t, url)
}

export async function replicasOn(t: TestContext, url: string) {
  const store = connect(url, { role: 'test', max: 6 })
  const stop = new AbortController()
  t.after(() => {
    stop.abort()
    return store.close()
  })
  const log = pino({ level: 'silent' })
  const feed = (everyMs = 50, on: Store = store) =>
    liveFeed(on, { signal: stop.signal, log, everyMs })
  return { store, feed, signal: stop.signal }
}

export type Heard = {
  ids: string[]
  keys: unknown[]
  resets: number
  /** Why the feed ended, when it did. */
  failed: unknown
  stop(): void
  /** The last one that was told without an event. */
  position?: string
  /** Settles when the feed has ended. */
  done: Promise<void>
}

/** Follows a feed and notes what it hears; `pause` is waited for after every batch. */
export function follow(
  feed: LiveFeed,
  signal: AbortSignal,
  { after, pause }: { after?: string | undefined; pause?: () => Promise<void> } = {},
): Heard {
  const own = new AbortController()
  const either = AbortSignal.any([signal, own.signal])
  const heard: Heard = {
    ids: [],
    keys: [],
    resets: 0,
    failed: undefined,
    stop: () => own.abort(),
    done: Promise.resolve(),
  }
  const run = async () => {
    for await (const batch of feed.subscribe({ after, signal: either })) {
      if (batch === 'reset') heard.resets++
      else if ('position' in batch) heard.position = batch.position
      else {
        heard.ids.push(...batch.map(({ id }) => id))
        heard.keys.push(...batch.map(({ event }) => event.idempotency_key))
        await pause?.()
      }
    }
  }
  heard.done = run().catch((error: unknown) => {
    heard.failed = error
  })
  return heard
}

/** Resolves once the reader hears what is committed. */
export async function joined(store: Store, heard: Heard): Promise<void> {
  await until('the reader to hear something', async () => {
    await ingest(store, [liveEvent()])
    return heard.keys.length > 0
  })
}

/** The events that a reader received after an event. */
export const since = (heard: Heard, mark: Event) =>
  heard.keys.slice(heard.keys.indexOf(mark.idempotency_key) + 1)

export const keysOf = (events: readonly Event[]) => events.map((event) => event.idempotency_key)
