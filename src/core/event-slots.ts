import type { Event } from './event.ts'
import { hashEvent } from './event-hash.ts'
import { readFact } from './facts.ts'
import { type EndStatus, isOpen } from './job.ts'
import type { NamedValue, Slots } from './slots.ts'

/*
 * The slots that a single event sets. Rules: wire.md, section 5.
 *
 * Only values that the columns can hold: one event never makes the rest of its batch fail.
 */

type Metadata = Record<string, unknown>

/** Maximum length of an error text, in UTF-16 units. */
const maxErrorLength = 2000
/** A longer duration (31 years) is ignored: it would overflow an interval. */
const maxDurationS = 1e9

/** Metrics with a slot of their own. */
const ownSlot = new Set(['duration_s', 'cpu_user_s', 'cpu_system_s', 'mem_max_mb', 'progress'])

/** The slots of a job or subjob of which only this event is known. */
export function slotsFromEvent(envelope: Event): Slots {
  const { event, entity, app, idempotency_key: key } = envelope
  const slots: Slots = {
    id: entity.id,
    first_event_at: event.at,
    last_event_at: event.at,
    last_event_key: key,
    app_id: app.app_id,
    app_name: app.name,
    app_version: app.version,
    site_id: envelope.site_id,
    attempt: entity.attempt ?? 1,
    event_count: 1,
    error_count: 0,
    event_hashes: [hashEvent(envelope)],
  }
  if (entity.parent_id) slots.parent_id = entity.parent_id
  if (typeof entity.business_key === 'string') slots.job_key = entity.business_key
  if (typeof entity.sub_key === 'string') slots.sub_key = entity.sub_key
  if (event.kind === 'queued') setQueued(slots, envelope)
  setStart(slots, event)
  const endStatus = toEndStatus(envelope)
  if (event.kind === 'error' || endStatus === 'failed') setError(slots, envelope)
  if (endStatus !== undefined) setEnd(slots, envelope, endStatus)
  setMetadata(slots, envelope)
  setMetrics(slots, envelope)
  return slots
}

/**
 * A start that a hop added is what a `started` said. It counts as that event, not as given: which
 * events a hop adds to depends on what it still remembers, and the state must not. Of a later attempt it
 * counts as nothing: a hop of an earlier version adds the start of the first.
 */
function setStart(slots: Slots, { kind, at, started_at, started_at_added }: Event['event']): void {
  if (kind === 'started') {
    slots.started_event_at = at
    slots.last_started_at = at
  }
  if (!started_at) return
  if (!started_at_added) slots.given_started_at = started_at
  else if (slots.attempt > 1) return
  else if (kind !== 'started' || started_at < at) slots.started_event_at = started_at
}

function setQueued(slots: Slots, { event, idempotency_key }: Event): void {
  slots.queued_at = event.at
  slots.last_queued_at = event.at
  if (!isFilled(event.metadata)) return
  slots.queue_meta_at = event.at
  slots.queue_meta_key = idempotency_key
  slots.queue_metadata = event.metadata
}

/** The status that an event ends its job with; undefined when it does not end it. */
export function toEndStatus({ event }: Event): EndStatus | undefined {
  const given = event.status && !isOpen(event.status) ? event.status : undefined
  if (event.kind === 'finished') return given ?? 'succeeded'
  if (event.kind === 'canceled') return given ?? 'canceled'
  if (event.kind === 'error' && given === 'failed') return 'failed'
  return undefined
}

function setError(slots: Slots, { event, idempotency_key }: Event): void {
  slots.error_count = 1
  slots.error_at = event.at
  slots.error_key = idempotency_key
  slots.last_error = toErrorText(event)
}

/** Why an event of a failure says it failed: the first that says something, in words or else in numbers. */
export function toErrorText({ metadata, kind }: Event['event']): string {
  for (const value of [metadata?.error, metadata?.message, metadata?.reason]) {
    if (value === undefined || value === null || value === '') continue
    const text = typeof value === 'string' ? value : JSON.stringify(value)
    // Cutting between the halves of a surrogate pair would make text that cannot be stored.
    return text.length > maxErrorLength ? text.slice(0, maxErrorLength).toWellFormed() : text
  }
  const exitCode = readFact(metadata?.exit_code)
  // A process that a signal ended may have the exit code 0, which says nothing of an error.
  if (exitCode !== undefined && exitCode !== '0') return `exit code ${exitCode}`
  const signal = readFact(metadata?.signal)
  return signal === undefined ? kind : `signal ${signal}`
}

function setEnd(slots: Slots, { event, idempotency_key }: Event, status: EndStatus): void {
  const duration = event.metrics?.duration_s
  slots.end_event_at = event.at
  slots.end_event_key = idempotency_key
  slots.end_status = status
  slots.ended_at = event.ended_at ?? event.at
  if (isDuration(duration)) slots.given_duration_s = duration
  if (isFilled(event.metadata)) slots.end_metadata = event.metadata
}

const isDuration = (value: number | undefined): value is number =>
  value !== undefined && value >= 0 && value <= maxDurationS

const isProgress = (value: number | undefined): value is number =>
  value !== undefined && value >= 0 && value <= 1

const isFilled = (metadata: Metadata | null | undefined): metadata is Metadata =>
  !!metadata && Object.keys(metadata).length > 0

function setMetadata(slots: Slots, { event, idempotency_key }: Event): void {
  if (!isFilled(event.metadata)) return
  if (event.kind === 'started') {
    slots.start_meta_at = event.at
    slots.start_meta_key = idempotency_key
    slots.start_metadata = event.metadata
  } else if (event.kind === 'progress') {
    slots.progress_meta_at = event.at
    slots.progress_meta_key = idempotency_key
    slots.progress_metadata = event.metadata
  }
}

/** How far it is, as programs say it that send no metric: a share, or so many of so many. */
function readProgress({ progress, current, total }: Metadata): number | undefined {
  if (typeof progress === 'number') return progress
  if (typeof current !== 'number' || typeof total !== 'number' || total <= 0) return undefined
  return current / total
}

function setMetrics(slots: Slots, { event, idempotency_key }: Event): void {
  const given = event.metrics
  const progress = given?.progress ?? (event.metadata ? readProgress(event.metadata) : undefined)
  if (isProgress(progress)) {
    slots.progress_at = event.at
    slots.progress_key = idempotency_key
    slots.progress = progress
  }
  if (!given) return
  for (const name of ['cpu_user_s', 'cpu_system_s', 'mem_max_mb'] as const) {
    const value = given[name]
    // The sum makes 0 of -0: which of two equal values stays depends on their order.
    if (value !== undefined && value >= 0) slots[name] = value + 0
  }
  const others = Object.keys(given).filter((name) => !ownSlot.has(name))
  if (others.length === 0) return
  const order = event.at + idempotency_key
  // No prototype: a metric may be called __proto__.
  slots.metrics = Object.create(null) as Record<string, NamedValue>
  for (const name of others) slots.metrics[name] = [order, given[name]!]
}
