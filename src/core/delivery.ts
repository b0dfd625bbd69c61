import type { Event } from './event.ts'
import { type EventClass, jobIdOf, type Marks, noMarks, readClass, toMarks } from './event-marks.ts'
import type { Heartbeat } from './heartbeat.ts'
import { parseText } from './json.ts'
import { ensure } from './must.ts'
import type { SinkFilter } from './sink-filter.ts'

/*
 * Delivery: how events get from a spool to a sink. The spool hands them out, a drain offers them, a
 * sink answers with a verdict on each, and the drain turns the verdicts into an acknowledgment.
 *
 * A sink may rely on
 *   1. A batch has at least one event, and no more events and bytes than the limits of its kind; a
 *      single event may be larger. Events are in the order in which the spool accepted them.
 *   2. An event is offered until it is taken or refused, and then not again: unless the process ends,
 *      or the disk fails, before that is recorded. So a sink sees an event at least once. The oldest events
 *      of a sink that is not required are skipped when the spool fills, and its operator is told.
 *   3. Events answered with `later` are offered again alone, in their order. Until all of them are
 *      taken or refused, nothing newer of their jobs is offered. New events of other jobs take turns with
 *      them: where they were offered again in vain, a batch of those follows.
 *   4. No event overtakes an earlier one of its job (or of that job's subjobs): each earlier one is
 *      taken or refused, or comes before it in the same batch. Within a batch order is up to the
 *      sink: one whose readers depend on it answers `later` to everything after its first `later`.
 *      Where the kind says `ordered: false`, new events overtake a backlog of more than a minute; 3 and 4
 *      then hold within the new events, and within the backlog. An event that an operator sends again
 *      (a reject) comes whenever that is.
 *   5. A few batches may be under way at the same time, never two with events of one job. A sink of an
 *      ordered kind gets one batch at a time, in the order of the spool; before it, those offered again.
 *
 * A drain may rely on, and checks
 *   6. A sink names no numbers: it gives one verdict for each event, in the order of the batch.
 *      Anything else (too many, too few, something that is not a verdict, an exception) is a failure
 *      of the sink, and nothing is acknowledged because of it.
 *   7. `taken` means safe at the destination. An event is refused only when the destination itself
 *      refused that event; an outage, a proxy or a wrong token never refuses an event.
 *   8. A failure says nothing about any event of the batch: all are offered again.
 *   9. `deliver` settles soon after its signal aborts.
 *
 *  10. The state of an answer covers all events of its batch. It is recorded in one commit with the
 *      acknowledgment of the last of them, never before; a sink that is opened again is given the last
 *      state that was recorded, and is offered what was not acknowledged with it.
 *
 * The spool may rely on, and checks
 *  11. A drain acknowledges the closed prefix alone: the events up to the first one that is neither
 *      taken nor refused. Each refused event is recorded once, with the acknowledgment that covers it.
 */

/** Maximum size of a batch. */
export type BatchLimits = { readonly events: number; readonly bytes: number }

/** Why an event will never be taken, and the field that is to blame; empty when it is not one field. */
export type Refusal = { field: string; detail: string }

/** A refusal with the number of its event in the spool. */
export type Refused = Refusal & { seq: number }

export type Verdict = 'taken' | 'later' | Refusal

/** Nothing is known to be taken. `permanent`: it will not pass by itself, an operator has to act. */
export type Failure = {
  kind: 'failed'
  reason: string
  /** Minimum wait before the next offer; over an hour counts as an hour. */
  retryAfterMs?: number
  permanent?: boolean
}

/** Maximum size of the state of a sink, in bytes of UTF-8. */
export const maxStateBytes = 4096

/**
 * `state`: the sink's own, as text, of an ordered kind. It is recorded in the commit that acknowledges the batch,
 * once everything before it is acknowledged too. `too_large`: offer fewer events. Not an answer to a single event.
 */
export type Delivery =
  | { kind: 'judged'; verdicts: readonly Verdict[]; state?: string }
  | Failure
  | { kind: 'too_large' }

/**
 * Hands over what the sidecar says of itself (core/heartbeat.ts). It never throws. `unknown`: the other side has no place
 * for it, and may have one after an update.
 */
export type Report = (
  said: Heartbeat,
  signal: AbortSignal,
) => Promise<'kept' | 'unknown' | { failed: string }>

/** A place that events are delivered to. */
export interface Sink {
  deliver(batch: readonly Outgoing[], signal: AbortSignal): Promise<Delivery>
  /** Absent where no one asks how a spool is. */
  report?: Report
  /** Asks the destination without an event. @returns what is wrong, in a sentence without a subject */
  probe?(signal: AbortSignal): Promise<string | undefined>
  /** Frees what the sink holds. No delivery is under way, and none follows. */
  close?(): unknown
}

/** The part that a sink has in a spool. */
export type SinkTerms = {
  /** Its readers depend on the order of a job's events (5). */
  ordered: boolean
  /** Misses no event: what it is owed closes the door when the spool is full. */
  required: boolean
  /** Where a sink begins that the spool does not know yet. */
  from: 'oldest' | 'now'
  filter: SinkFilter
}

/** An event on its way to a sink. */
export class Outgoing {
  /** Its number in the spool. */
  readonly seq: number
  /** The event as JSON, with the stamp of who forwarded it. */
  readonly body: string
  /** Size of the body in UTF-8. */
  readonly bytes: number
  #event: Event | null | undefined
  readonly #marks: Marks

  constructor(seq: number, body: string, marks: Marks = noMarks) {
    this.seq = seq
    this.body = body
    this.bytes = Buffer.byteLength(body)
    this.#marks = marks
  }

  /** The same for all events of a job and of its subjobs; from 0 on. Parses events of older spools only. */
  get lane(): number {
    const { lane } = this.#marks
    return Math.max(0, lane >= 0 ? lane : toMarks(this.event).lane)
  }

  /** The id of its job, of a subjob that of its parent; the same for all whose job is not known. Parses it. */
  get job(): string {
    return jobIdOf(this.event) ?? ''
  }

  /** Its kind and the type of its entity; undefined when a damaged disk made it unreadable. */
  get class(): EventClass | undefined {
    return readClass(this.#marks.eventClass) ?? readClass(toMarks(this.event).eventClass)
  }

  /** The same, parsed the first time it is asked for; undefined when a damaged disk made it unreadable. */
  get event(): Event | undefined {
    if (this.#event === undefined) this.#event = readBody(this.body)
    return this.#event ?? undefined
  }
}

function readBody(body: string): Event | null {
  try {
    const value = parseText(body)
    return typeof value === 'object' && !Array.isArray(value) ? (value as Event | null) : null
  } catch {
    return null
  }
}

/**
 * A sink's answer that has a verdict for each event.
 *
 * @throws ContractError when it has not
 */
export function toJudged(
  batch: readonly Outgoing[],
  verdicts: readonly Verdict[],
  state?: string,
): Delivery {
  const delivery: Delivery = { kind: 'judged', verdicts, ...(state === undefined ? {} : { state }) }
  assertDelivery(delivery, batch.length)
  return delivery
}

/**
 * Checks an answer to a batch of `count` events. Sinks come from many hands, so nothing is believed.
 *
 * @throws ContractError when the contract does not allow it
 */
export function assertDelivery(answer: unknown, count: number): asserts answer is Delivery {
  const { kind, verdicts, state, ...failure } = (answer ?? {}) as Record<string, unknown>
  if (kind === 'judged') {
    assertState(state)
    return assertVerdicts(verdicts, count)
  }
  if (kind === 'failed') return assertFailure(failure)
  ensure(kind === 'too_large', 'an answer to a batch is judged, failed or too_large')
  ensure(count > 1, 'a single event cannot be offered in smaller parts')
}

function assertState(state: unknown): void {
  if (state === undefined) return
  ensure(typeof state === 'string', 'the state of a sink is text')
  const size = Buffer.byteLength(state)
  ensure(size <= maxStateBytes, `a state of ${size} bytes is over ${maxStateBytes}`)
}

function assertVerdicts(verdicts: unknown, count: number): void {
  ensure(Array.isArray(verdicts), 'verdicts are a list')
  ensure(verdicts.length === count, `${verdicts.length} verdicts on ${count} events`)
  // By index: a list with holes has its length, and `every` would step over them.
  for (let i = 0; i < count; i++) {
    ensure(isVerdict(verdicts[i]), `verdict ${i} is not taken, later or a refusal`)
  }
}

function isVerdict(verdict: unknown): verdict is Verdict {
  if (verdict === 'taken' || verdict === 'later') return true
  const { field, detail } = (verdict ?? {}) as Partial<Refusal>
  return typeof field === 'string' && typeof detail === 'string'
}

function assertFailure({ reason, retryAfterMs, permanent }: Record<string, unknown>): void {
  ensure(typeof reason === 'string', 'a failure has a reason')
  const waits = retryAfterMs === undefined || (retryAfterMs as number) >= 0
  ensure(waits && typeof (retryAfterMs ?? 0) === 'number', 'a wait is a number from 0')
  ensure(permanent === undefined || typeof permanent === 'boolean', 'permanent is true or false')
}
