/** An event on its way to a sink: its number in the spool, and the stamped event as JSON. */
export type Outgoing = { seq: number; body: string }

/** An event that a sink will never take, and why. */
export type Refused = { seq: number; field: string; detail: string }

/**
 * What became of a batch.
 *
 * - `taken`: everything up to and including `upTo` is dealt with; `refused` names those among it
 *   that the sink will never take. What lies beyond `upTo` is offered again.
 * - `failed`: nothing is known to have been taken; offer it again later, as it is.
 * - `too_large`: offer less at once.
 */
export type Delivery =
  | { kind: 'taken'; upTo: number; refused: readonly Refused[] }
  | { kind: 'failed'; reason: string; retryAfterMs?: number }
  | { kind: 'too_large' }

/**
 * A place that events are delivered to. A sink never throws for what the other side does, and never
 * refuses an event because of an outage: only the other side's own verdict on that event counts.
 */
export interface Sink {
  readonly name: string
  deliver(batch: readonly Outgoing[], signal: AbortSignal): Promise<Delivery>
}
