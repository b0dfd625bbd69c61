import type { Event } from './event.ts'

/*
 * Admission: the way of an event from the door that reads it (api/ingest) to what makes it durable,
 * the spool of a sidecar or the store of a local API.
 *
 * The door guarantees
 *   1. An admitted event is in its normal form, and every later hop can store it (read-event.ts).
 *   2. `json` is the event as JSON. It is made when it is first asked for, and kept: the local API
 *      never asks.
 *
 * The spool or the store guarantees
 *   3. One verdict for each event, in the order of the events. The door checks the number.
 *   4. `stored` and `duplicate` survive a crash before the promise resolves. Nothing is answered from
 *      memory.
 *   5. `later` was not kept and may be sent again unchanged; `refused` was not kept and never will be.
 *   6. It rejects with an AppError when nothing is known to be kept; then all may be sent again.
 */

/** An event that passed the door. */
export type Admitted = { readonly event: Event; readonly json: string }

export type Verdict = 'stored' | 'duplicate' | { later: string } | { refused: string }

/** Makes events durable. */
export type Accept = (items: readonly Admitted[]) => Promise<readonly Verdict[]>
