import type { StoredEvent } from './job.ts'
import type { Micros } from './time.ts'

/** One event of the live stream and the position behind it, from which a reader can resume. */
export type LiveEvent = {
  /** Opaque to readers: the `id:` of the server-sent event. No line breaks. */
  id: string
  /** In the shape of the wire, as `GET /v1/jobs/{id}/events` shows it. */
  event: StoredEvent
}

/** Over several sites: which of them a feed does not hear, and since when. */
export type LiveSites = {
  total: number
  missing: readonly { id: string; since: Micros; error: string }[]
}

/** What a feed hands on: some events in order, or `reset` when there is a hole before what follows. */
export type LiveBatch = readonly LiveEvent[] | 'reset'

/** Where live events come from. Filters are the reader's business. */
export interface LiveFeed<Batch = LiveBatch> {
  /**
   * Follows the events that are committed from now on, or from behind `after` on.
   *
   * `reset` comes first when `after` cannot be resumed from: too old, unknown, or nonsense. Ends
   * quietly once the signal aborts. Throws when the reader fell too far behind, or when the feed
   * cannot go on: the caller then drops the connection, and its reader resumes.
   */
  subscribe(options: { after?: string | undefined; signal: AbortSignal }): AsyncIterable<Batch>
}
