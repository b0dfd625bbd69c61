import type { Admitted } from './admission.ts'
import { boundStamp, correctClocks } from './correct-clocks.ts'
import { cutMetadata, maxMetadataBytes } from './cut-metadata.ts'
import { describeAt, describeValue, pathToText, type Refusal, readKey } from './describe-fault.ts'
import { type Event, eventSchema } from './event.ts'
import { isOpen } from './job.ts'
import { checkTree } from './json.ts'
import { eventTimes, normalize } from './normal-form.ts'
import { checkSender, type Sender } from './sender.ts'
import type { Micros } from './time.ts'
import { boundUsual, unusual } from './usual-event.ts'

export type EventLimits = {
  /** Largest event, as JSON in UTF-8. */
  maxEventBytes: number
  /** A time further ahead of `received_at` than this is corrected, in seconds. */
  maxSkewS: number
  /** The zone of times that have none (SITE_ZONE); without it they are refused. */
  siteZone?: string | undefined
}

/** Facts of the first hop that an event may lack. */
export type FirstHop = {
  receivedAt: Micros
  /** The rights of the caller; without them it may say all. */
  sender?: Sender
  /** W3C context of the request, for events that bring none. */
  traceparent?: string | undefined
  /** When a job or subjob started, if this hop saw its start. */
  startOf?: (entity: Event['entity']) => Micros | undefined
}

/** Bytes that every later hop allows on top, for the stamp of the first one. */
const maxStampBytes = 1024
/** Bytes that the normal form may add to an event: times, a version, a traceparent, a longer key. */
const maxAddedBytes = 1024
const maxDepth = 32

/** What the door did to an event besides bringing it to its normal form. */
export type Repairs = {
  /** A clock ran ahead and was put right. */
  corrected: boolean
  /** Its stamp was not believed. */
  unstamped: boolean
  /** It had too much metadata, and values were cut. */
  truncated: boolean
  /** A start or an end was the zero of another language, and counts as absent. */
  zeroTime: boolean
}

export type ReadEvent =
  | (Admitted & Repairs & { ok: true })
  | ({ ok: false; idempotencyKey: string | null } & Refusal)

class Read implements Admitted, Repairs {
  readonly ok = true
  readonly event: Event
  readonly corrected: boolean
  readonly unstamped: boolean
  readonly truncated: boolean
  readonly zeroTime: boolean
  #text: string | undefined
  #json: string | undefined

  /** @param text the event as it came, where its normal form only adds `received_at` */
  constructor(
    event: Event,
    { corrected, unstamped, truncated, zeroTime }: Repairs,
    text: string | undefined,
  ) {
    this.event = event
    this.corrected = corrected
    this.unstamped = unstamped
    this.truncated = truncated
    this.zeroTime = zeroTime
    this.#text = text
  }

  get json(): string {
    this.#json ??=
      this.#text === undefined
        ? JSON.stringify(this.event)
        : `${this.#text.slice(0, -1)},"received_at":"${this.event.received_at}"}`
    return this.#json
  }
}

/**
 * The first door: checks one event of a request and brings it to its normal form. Every later hop can
 * store what passes here: no NUL, no lone surrogate, no number outside the doubles, no year before
 * 1970, nothing too deep or too large.
 *
 * An event that has a `source`, from a caller that may forward, went through a first hop before; its
 * `received_at` is kept and its clock is judged only against what no first hop lets pass, because an
 * event must carry the same `at` on every retry.
 *
 * @param input parsed JSON; left as it is
 * @param hop used only when this is the first hop
 * @param plain true when no text in it can hold NUL or half of a surrogate pair; see `isPlain`
 * @param text the JSON that the input was read from, from brace to brace: writing it again costs more
 * than anything else here, so it is used where it can be
 */
export function readEvent(
  input: unknown,
  hop: FirstHop,
  limits: EventLimits,
  plain = false,
  text?: string,
): ReadEvent {
  const bound = boundUsual(input, plain)
  const refusal = bound === unusual ? checkAll(input) : undefined
  if (refusal) return refuse(input, refusal)
  const isStamped = !!(input as Event).source && hop.sender?.mayForward !== false
  const normal = normalize(input as Event, isStamped ? undefined : hop.receivedAt, limits.siteZone)
  if (!normal.ok) return refuse(input, normal.refusal)
  const { event, zeroTime } = normal
  const source = isStamped ? event.source?.id : undefined
  const foreign = hop.sender && checkSender(event.site_id, source, hop.sender)
  if (foreign) return refuse(input, foreign)
  const unstamped = !isStamped && !!event.source
  const corrected = isStamped
    ? boundStamp(event, hop.receivedAt)
    : atFirstHop(event, hop, limits.maxSkewS)
  const truncated = bound > maxMetadataBytes || bound === unusual ? cutIfOver(event) : false
  const repairs = { corrected, unstamped, truncated, zeroTime }
  const most = bound === unusual ? Infinity : bound + maxAddedBytes
  const kept =
    !truncated &&
    most <= limits.maxEventBytes &&
    mayKeep(text, bound, limits.maxEventBytes) &&
    isSame(input as Event, event)
  const read = new Read(event, repairs, kept ? text : undefined)
  const tooLarge = checkSize(read, most, limits.maxEventBytes)
  if (tooLarge) return refuse(input, tooLarge)
  return addStart(event, hop) ? new Read(event, repairs, undefined) : read
}

/** @returns true when there was too much metadata, and values were cut */
function cutIfOver({ event }: Event): boolean {
  if (!event.metadata) return false
  const cut = cutMetadata(event.metadata)
  if (cut === event.metadata) return false
  event.metadata = cut
  return true
}

/**
 * Adds the start of the job where this first hop saw it, marked as added; of one that was added
 * before the earlier stays. Last, so that nothing depends on it: whether an event is small enough and
 * whether its clocks are right is a matter of what its sender said. Only to the first attempt: what it
 * remembers of a job may be the start of an earlier one.
 *
 * @returns true when the event has changed
 */
function addStart({ entity, event, source }: Event, { startOf }: FirstHop): boolean {
  if (source || !startOf || event.kind === 'started' || (entity.attempt ?? 1) > 1) return false
  if (event.started_at && !event.started_at_added) return false
  const seen = startOf(entity)
  if (seen === undefined || (event.started_at && event.started_at <= seen)) return false
  event.started_at = seen
  event.started_at_added = true
  return true
}

/**
 * A text stands for an event that is small for sure, so that what every hop measures, its normal form,
 * never depends on how the text was written. Longer than its values can be, it is mostly white space.
 */
const mayKeep = (text: string | undefined, bound: number, maxBytes: number): boolean =>
  text !== undefined &&
  text.length <= bound &&
  (text.length * 3 <= maxBytes || Buffer.byteLength(text) <= maxBytes)

/** True when the normal form of an event has the values that came, and `received_at` besides. */
function isSame(input: Event, normal: Event): boolean {
  const { app, entity } = input
  return (
    input.received_at === undefined &&
    input.source === undefined &&
    input.traceparent === normal.traceparent &&
    input.idempotency_key === normal.idempotency_key &&
    app.app_id === normal.app.app_id &&
    app.version === normal.app.version &&
    entity.id === normal.entity.id &&
    entity.parent_id === normal.entity.parent_id &&
    eventTimes.every((name) => input.event[name] === normal.event[name])
  )
}

const refuse = (input: unknown, refusal: Refusal): ReadEvent => ({
  ok: false,
  idempotencyKey: readKey(input),
  ...refusal,
})

const checkAll = (input: unknown): Refusal | undefined =>
  checkTree(input, maxDepth) ?? checkSchema(input) ?? checkRules(input as Event)

function checkSchema(input: unknown): Refusal | undefined {
  const result = eventSchema.safeParse(input)
  if (result.success) return undefined
  const issue = result.error.issues[0]!
  return {
    field: pathToText(issue.path),
    detail: `${issue.message}; ${describeAt(input, issue.path)}`,
  }
}

/** Checks that no schema can say, because they are about several fields. */
function checkRules({ entity, event }: Event): Refusal | undefined {
  if (entity.type === 'subjob' && !entity.parent_id) {
    return { field: 'entity.parent_id', detail: 'is needed on a subjob: the id of its job' }
  }
  if (entity.parent_id?.toLowerCase() === entity.id.toLowerCase()) {
    return {
      field: 'entity.parent_id',
      detail: 'is the id of the entity itself; send the id of its parent',
    }
  }
  if (event.kind === 'finished' && event.status && isOpen(event.status)) {
    return {
      field: 'event.status',
      detail: `cannot be ${event.status} on a finished event; omit it, or send succeeded, failed, canceled or unknown`,
    }
  }
  const metric = event.metrics && Object.getOwnPropertyDescriptor(event.metrics, '__proto__')
  // The schema's own check passes over this one name.
  if (metric && typeof metric.value !== 'number') {
    return {
      field: 'event.metrics.__proto__',
      detail: `must be a finite number; ${describeValue(metric.value)}`,
    }
  }
  return undefined
}

const reportedTimes = ['reported_at', 'reported_started_at', 'reported_ended_at'] as const

/** The work of the first hop alone. @returns true when a clock was corrected */
function atFirstHop(envelope: Event, hop: FirstHop, maxSkewS: number): boolean {
  // Deleting makes an object slow, so only where there is something to delete.
  if ('source' in envelope) delete envelope.source
  // What a clock said before it was corrected is for hops to say: a sender says it in the time itself.
  for (const name of reportedTimes) if (name in envelope.event) delete envelope.event[name]
  if (!envelope.traceparent && hop.traceparent) envelope.traceparent = hop.traceparent
  return correctClocks(envelope, envelope.received_at, maxSkewS)
}

/** @param bound bytes of the event as JSON, at most: what is small for sure is not measured */
function checkSize(read: Admitted, bound: number, maxEventBytes: number): Refusal | undefined {
  const { source } = read.event
  const most = source ? maxEventBytes + maxStampBytes : maxEventBytes
  if (bound > most && Buffer.byteLength(read.json) > most) {
    return { field: '', detail: `the event must be at most ${maxEventBytes} bytes as JSON` }
  }
  return undefined
}
