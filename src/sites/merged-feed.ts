import type { StoredEvent } from '../core/job.ts'
import { parseText } from '../core/json.ts'
import type { LiveBatch, LiveFeed, LiveSites } from '../core/live.ts'
import { fromMs, type Micros } from '../core/time.ts'
import { Backoff, sleep } from '../platform/backoff.ts'
import { BoundedQueue } from '../platform/bounded-queue.ts'
import type { RemoteSite } from './remote-reader.ts'

export type FeedSite = { id: string; reader: Pick<RemoteSite, 'follow'> }

export type MergedFeedOptions = {
  sites: readonly FeedSite[]
  /** Told whenever a site begins or ceases to be heard. */
  onChange?: (site: string, heard: boolean) => void
  /** First and longest pause before a site is tried again, in milliseconds. */
  firstMs?: number
  maxMs?: number
  now?: () => number
}

/** What the follower of a site says: an event and its id there, a hole, or whether it is heard. */
type Said =
  | { site: string; id: string; event: StoredEvent }
  | { site: string; reset: true }
  | { site: string; lost: { since: Micros; error: string } | undefined }

/** Most that may wait for a reader; then the sites wait for it. */
const mostWaiting = 200

/**
 * The live streams of all sites as one. Each site is followed by itself, so one that is dead or
 * slow holds up nobody; when it is back it goes on where it stood.
 *
 * The id of an event is where the reader stands at every site, `fab1=41-3,fab2=7-1`. A site of
 * which a reader has seen nothing stands nowhere: coming back, the reader gets a `reset`, because
 * what that site said meanwhile cannot be told from nothing.
 */
export function mergedFeed(options: MergedFeedOptions): LiveFeed<LiveBatch | LiveSites> {
  return { subscribe: ({ after, signal }) => subscribe(options, after, signal) }
}

async function* subscribe(
  options: MergedFeedOptions,
  after: string | undefined,
  signal: AbortSignal,
): AsyncGenerator<LiveBatch | LiveSites> {
  const { sites } = options
  const gone = new AbortController()
  const either = AbortSignal.any([signal, gone.signal])
  const places = placesFrom(after ?? '')
  const queue = new BoundedQueue<Said>(mostWaiting, either)
  if (after !== undefined && sites.some(({ id }) => !places.has(id))) yield 'reset'
  for (const site of sites) void followSite(site, places.get(site.id), { options, queue, either })
  const heard = new Heard(sites.length)
  try {
    for (;;) {
      const said = await queue.take()
      if (said === undefined) return
      yield* batchesOf(said, places, heard)
    }
  } finally {
    gone.abort()
  }
}

function* batchesOf(said: readonly Said[], places: Map<string, string>, heard: Heard) {
  let batch: { id: string; event: StoredEvent }[] = []
  for (const one of said) {
    if ('event' in one) {
      places.set(one.site, one.id)
      batch.push({ id: placesTo(places), event: one.event })
      continue
    }
    if (batch.length > 0) yield batch
    batch = []
    if ('reset' in one) yield 'reset' as const
    else heard.note(one.site, one.lost)
  }
  if (batch.length > 0) yield batch
  const sites = heard.news()
  if (sites) yield sites
}

/** Which sites are heard; news is told once, and not before every site was heard or given up. */
class Heard {
  readonly #total: number
  readonly #sites = new Map<string, LiveSites['missing'][number] | undefined>()
  #told = ''

  constructor(total: number) {
    this.#total = total
  }

  note(id: string, lost: { since: Micros; error: string } | undefined): void {
    this.#sites.set(id, lost && { id, ...lost })
  }

  news(): LiveSites | undefined {
    if (this.#sites.size < this.#total) return undefined
    const missing = [...this.#sites.values()].filter((site) => site !== undefined)
    const text = JSON.stringify(missing)
    if (text === this.#told) return undefined
    this.#told = text
    return { total: this.#total, missing: missing.sort((a, b) => (a.id < b.id ? -1 : 1)) }
  }
}

type Following = { options: MergedFeedOptions; queue: BoundedQueue<Said>; either: AbortSignal }

async function followSite(
  { id: site, reader }: FeedSite,
  from: string | undefined,
  { options, queue, either }: Following,
): Promise<void> {
  const { onChange, firstMs = 500, maxMs = 10_000, now = Date.now } = options
  const backoff = new Backoff({ firstMs, maxMs })
  let place = from
  let since: Micros | undefined
  let heard = false
  while (!either.aborted) {
    try {
      for await (const { id, event, data } of reader.follow(place, either)) {
        if (!heard) {
          heard = true
          onChange?.(site, true)
          // Nobody knows what was said while nobody listened, when there is no place to go on from.
          if (since !== undefined && place === undefined) await queue.put({ site, reset: true })
          since = undefined
          await queue.put({ site, lost: undefined })
          backoff.reset()
        }
        // First: what cannot be read now cannot be read the next time either.
        if (id !== '') place = id
        if (event === 'reset') await queue.put({ site, reset: true })
        else if (event !== 'comment')
          await queue.put({ site, id, event: parseText(data) as StoredEvent })
      }
    } catch (error) {
      if (either.aborted) return
      // Once for each outage: "since" is when it began, not when it was tried last.
      if (since === undefined) {
        since = fromMs(now())
        onChange?.(site, false)
        await queue.put({ site, lost: { since, error: (error as Error).message } })
      }
      heard = false
    }
    await sleep(backoff.next(), either)
  }
}

const placesTo = (places: ReadonlyMap<string, string>): string =>
  [...places].map(([site, place]) => `${site}=${encodeURIComponent(place)}`).join(',')

/** The inverse; what cannot be read is left out, and ends in a `reset`. */
function placesFrom(text: string): Map<string, string> {
  const places = new Map<string, string>()
  for (const part of text.split(',')) {
    const [site = '', place = '', ...more] = part.split('=')
    if (site === '' || place === '' || more.length > 0) continue
    try {
      places.set(site, decodeURIComponent(place))
    } catch {
      // Not made by us.
    }
  }
  return places
}
