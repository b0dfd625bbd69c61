import type { StoredEvent } from './job.ts'
import type { Micros } from './time.ts'

/** One event of the live stream, and the position after it, from which a subscriber resumes. */
export type LiveEvent = {
  /** Opaque to readers: the `id:` of the server-sent event. No line breaks. */
  id: string
  /** In the shape of the wire, as `GET /v1/jobs/{id}/events` shows it. */
  event: StoredEvent
}

/** Over several sites: those that a feed does not reach, and since when. */
export type LiveSites = {
  total: number
  missing: readonly { id: string; since: Micros; error: string }[]
}

/** The subscriber has everything up to here, though no event said so: it can resume while nothing happens. */
export type LivePosition = { position: string }

/** Events in order, `reset` where events were missed before the next batch, or the position between batches. */
export type LiveBatch = readonly LiveEvent[] | 'reset' | LivePosition

/** A source of live events. It does not filter. */
export interface LiveFeed<Batch = LiveBatch> {
  /**
   * Follows the events that are committed from now on, or after the position `after`.
   *
   * `reset` comes first when `after` is too old, unknown or malformed. After it, and without `after`, comes the
   * position as soon as it is known. Ends without an error once the signal aborts. Throws when the subscriber falls too far behind or the
   * feed breaks: the caller then drops the connection, and its client resumes.
   */
  subscribe(options: { after?: string | undefined; signal: AbortSignal }): AsyncIterable<Batch>
}
