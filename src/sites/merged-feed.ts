import type { StoredEvent } from '../core/job.ts'
import type { LiveBatch, LiveFeed, LiveSites } from '../core/live.ts'
import { BoundedQueue } from '../platform/bounded-queue.ts'
import type { Outage, SiteFollower, SiteNews } from './site-follower.ts'

export type FeedSite = { id: string; follower: Pick<SiteFollower, 'follow'> }

/** News of one site, or the reason why there will be no more. */
type Message = { site: string; news: SiteNews } | { failure: unknown }

/** Maximum news that waits for one reader; it then stays in the logs of the sites. */
const maxWaiting = 200

/**
 * The live streams of all sites as one. Each site is followed by itself, so that one that is dead or
 * slow delays no other; when it is back, it continues after its last event.
 *
 * The id of an event is the reader's position at every site, `fab1=41-3,fab2=7-1`. A reader that
 * comes back with an id that lacks a site gets a `reset`, because it may have missed events there. So a
 * position without an event is told once it has every site.
 */
export function mergedFeed(sites: readonly FeedSite[]): LiveFeed<LiveBatch | LiveSites> {
  return { subscribe: ({ after, signal }) => subscribe(sites, after, signal) }
}

async function* subscribe(
  sites: readonly FeedSite[],
  after: string | undefined,
  signal: AbortSignal,
): AsyncGenerator<LiveBatch | LiveSites> {
  const gone = new AbortController()
  const either = AbortSignal.any([signal, gone.signal])
  const positions = readPositions(after ?? '')
  const mayHaveMissed = after !== undefined && sites.some(({ id }) => !positions.has(id))
  const queue = new BoundedQueue<Message>(maxWaiting, either)
  const following = sites.map((site) => follow(site, positions.get(site.id), queue, either))
  const outages = new Outages(sites.length)
  try {
    // Not before the sites are followed: events after the reset are not in what is loaded on it.
    if (mayHaveMissed) yield 'reset'
    for (;;) {
      const messages = await queue.take()
      if (messages === undefined) return
      yield* batches(messages, positions, outages)
    }
  } finally {
    gone.abort()
    await Promise.all(following)
  }
}

/** Never rejects: a failure is the last message of the site. */
async function follow(
  { id, follower }: FeedSite,
  after: string | undefined,
  queue: BoundedQueue<Message>,
  signal: AbortSignal,
): Promise<void> {
  try {
    for await (const news of follower.follow(after, signal)) await queue.put({ site: id, news })
  } catch (failure) {
    await queue.put({ failure })
  }
}

function* batches(
  messages: readonly Message[],
  positions: Map<string, string>,
  outages: Outages,
): Generator<LiveBatch | LiveSites> {
  let batch: { id: string; event: StoredEvent }[] = []
  let isPlaced = false
  for (const message of messages) {
    if ('failure' in message) throw message.failure
    const { site, news } = message
    if (news !== 'reset' && 'position' in news) {
      positions.set(site, news.position)
      isPlaced = true
      continue
    }
    if (news !== 'reset' && 'event' in news) {
      positions.set(site, news.id)
      batch.push({ id: writePositions(positions), event: news.event })
      continue
    }
    if (batch.length > 0) yield batch
    batch = []
    if (news === 'reset') yield news
    else outages.note(site, news.outage)
  }
  if (batch.length > 0) yield batch
  if (isPlaced && positions.size === outages.total) yield { position: writePositions(positions) }
  const changed = outages.changes()
  if (changed) yield changed
}

/** The sites without contact; reported on a change, once every site was heard or given up. */
class Outages {
  /** The number of sites. */
  readonly total: number
  readonly #sites = new Map<string, LiveSites['missing'][number] | undefined>()
  #reported = ''

  constructor(total: number) {
    this.total = total
  }

  note(id: string, outage: Outage | undefined): void {
    this.#sites.set(id, outage && { id, ...outage })
  }

  changes(): LiveSites | undefined {
    if (this.#sites.size < this.total) return undefined
    const missing = [...this.#sites.values()].filter((site) => site !== undefined)
    const text = JSON.stringify(missing)
    if (text === this.#reported) return undefined
    this.#reported = text
    return { total: this.total, missing: missing.sort((a, b) => (a.id < b.id ? -1 : 1)) }
  }
}

const writePositions = (positions: ReadonlyMap<string, string>): string =>
  [...positions]
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([site, position]) => `${site}=${encodeURIComponent(position)}`)
    .join(',')

/**
 * Ids of events as sites write them. Everything else stays here: the first reader's position opens
 * the connection that all readers share, and one that the site rejects would keep it from opening.
 */
const isPosition = (text: string) => /^[\x21-\x7e]{1,256}$/.test(text)

/** The inverse; a part that cannot be read is left out, which ends in a `reset`. */
function readPositions(text: string): Map<string, string> {
  const positions = new Map<string, string>()
  for (const part of text.split(',')) {
    const [site = '', encoded = '', ...more] = part.split('=')
    if (site === '' || more.length > 0) continue
    try {
      const position = decodeURIComponent(encoded)
      if (isPosition(position)) positions.set(site, position)
    } catch {
      // Not made by us.
    }
  }
  return positions
}
