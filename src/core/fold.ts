import type { Event } from './event.ts'
import type { JobStatus } from './job.ts'
import { fromMicros, type Micros, secondsBetween, toMicros } from './time.ts'

/**
 * The state of a job as a fold over its events. Rules: wire.md, "State of a job".
 *
 * The state is a row of slots, and each slot takes events in any order and any split: it keeps the
 * smallest, the largest, or what the event with the greatest (`at`, `idempotency_key`) said. So
 * folding a batch here and merging it into the stored row with the same rules in SQL (store/ingest)
 * gives the same row as folding everything at once. Only the two counters add up; whoever folds
 * passes each event once.
 *
 * A slot's name is the name of its column, because a row of them goes to the database as it is.
 * Absent means null.
 */
export type Slots = {
  id: string
  given_started_at?: Micros
  started_event_at?: Micros
  first_event_at: Micros
  last_event_at: Micros
  last_event_key: string
  app_id: string
  app_name: string
  app_version: string
  site_id: string
  parent_id?: string
  job_key?: string
  sub_key?: string
  end_event_at?: Micros
  end_event_key?: string
  end_status?: JobStatus
  ended_at?: Micros
  given_duration_s?: number
  end_metadata?: Metadata
  start_meta_at?: Micros
  start_meta_key?: string
  start_metadata?: Metadata
  progress_meta_at?: Micros
  progress_meta_key?: string
  progress_metadata?: Metadata
  progress_at?: Micros
  progress_key?: string
  progress?: number
  error_at?: Micros
  error_key?: string
  last_error?: string
  cpu_user_s?: number
  cpu_system_s?: number
  mem_max_mb?: number
  /** name -> [`at` and key of the event that gave it, the value]. */
  metrics?: Record<string, MetricSlot>
  event_count: number
  error_count: number
}

type Metadata = Record<string, unknown>
type MetricSlot = [order: string, value: number]

/** Longest error text that is kept, in UTF-16 units. */
const maxErrorLength = 2000
/** Most metric names of one job; of more, the first by code point stay. */
const maxMetricNames = 64
/** A duration beyond this (31 years) is no duration, and would overflow an interval. */
const maxDurationS = 1e9

/** Metrics with a slot of their own. */
const ownSlot = new Set(['duration_s', 'cpu_user_s', 'cpu_system_s', 'mem_max_mb', 'progress'])

/** Folds events, each given once, to one row of slots per job and per subjob. */
export function foldEvents(events: Iterable<Event>): { jobs: Slots[]; subjobs: Slots[] } {
  const jobs = new Map<string, Slots>()
  const subjobs = new Map<string, Slots>()
  for (const event of events) {
    const rows = event.entity.type === 'job' ? jobs : subjobs
    const slots = slotsOf(event)
    const known = rows.get(slots.id)
    if (known) mergeInto(known, slots)
    else rows.set(slots.id, slots)
  }
  return { jobs: [...jobs.values()], subjobs: [...subjobs.values()] }
}

/** What a single event says of its job. */
export function slotsOf(envelope: Event): Slots {
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
    event_count: 1,
    error_count: isFailure(envelope) ? 1 : 0,
  }
  if (entity.parent_id) slots.parent_id = entity.parent_id
  if (typeof entity.business_key === 'string') slots.job_key = entity.business_key
  if (typeof entity.sub_key === 'string') slots.sub_key = entity.sub_key
  if (event.started_at) slots.given_started_at = event.started_at
  if (event.kind === 'started') slots.started_event_at = event.at
  if (slots.error_count) setError(slots, envelope)
  if (endStatusOf(envelope)) setEnd(slots, envelope)
  setMetadata(slots, envelope)
  setMetrics(slots, envelope)
  return slots
}

/** The status that an event ends its job with; undefined when it does not end it. */
export function endStatusOf({ event }: Event): JobStatus | undefined {
  const given = event.status === 'running' ? undefined : event.status
  if (event.kind === 'finished') return given ?? 'succeeded'
  if (event.kind === 'canceled') return given ?? 'canceled'
  if (event.kind === 'error' && given === 'failed') return 'failed'
  return undefined
}

const isFailure = (envelope: Event) =>
  envelope.event.kind === 'error' || endStatusOf(envelope) === 'failed'

function setError(slots: Slots, { event, idempotency_key }: Event): void {
  slots.error_at = event.at
  slots.error_key = idempotency_key
  slots.last_error = errorText(event)
}

function errorText({ metadata, kind }: Event['event']): string {
  for (const value of [metadata?.error, metadata?.message]) {
    if (value === undefined || value === null || value === '') continue
    const text = typeof value === 'string' ? value : JSON.stringify(value)
    // Cutting between the halves of a surrogate pair would make text that cannot be stored.
    return text.length > maxErrorLength ? text.slice(0, maxErrorLength).toWellFormed() : text
  }
  return kind
}

function setEnd(slots: Slots, envelope: Event): void {
  const { event, idempotency_key } = envelope
  const duration = event.metrics?.duration_s
  slots.end_event_at = event.at
  slots.end_event_key = idempotency_key
  slots.end_status = endStatusOf(envelope)!
  slots.ended_at = event.ended_at ?? event.at
  if (isDuration(duration)) slots.given_duration_s = duration
  if (carries(event.metadata)) slots.end_metadata = event.metadata
}

const isDuration = (value: number | undefined): value is number =>
  value !== undefined && value >= 0 && value <= maxDurationS

const isProgress = (value: number | undefined): value is number =>
  value !== undefined && value >= 0 && value <= 1

const carries = (metadata: Metadata | null | undefined): metadata is Metadata =>
  !!metadata && Object.keys(metadata).length > 0

function setMetadata(slots: Slots, { event, idempotency_key }: Event): void {
  if (!carries(event.metadata)) return
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

function setMetrics(slots: Slots, { event, idempotency_key }: Event): void {
  const given = event.metrics
  if (!given) return
  for (const name of ['cpu_user_s', 'cpu_system_s', 'mem_max_mb'] as const) {
    const value = given[name]
    if (value !== undefined && value >= 0) slots[name] = value
  }
  if (isProgress(given.progress)) {
    slots.progress_at = event.at
    slots.progress_key = idempotency_key
    slots.progress = given.progress
  }
  const others = Object.keys(given).filter((name) => !ownSlot.has(name))
  if (others.length === 0) return
  const order = event.at + idempotency_key
  // No prototype: a metric may be called __proto__.
  slots.metrics = Object.create(null) as Record<string, MetricSlot>
  for (const name of others) slots.metrics[name] = [order, given[name]!]
}

/** Merges `other`, a fold of other events of the same job, into `into`. */
export function mergeInto(into: Slots, other: Slots): void {
  min(into, other, 'given_started_at')
  min(into, other, 'started_event_at')
  min(into, other, 'first_event_at')
  latest(into, other, 'last_event_at', 'last_event_key', [
    'app_id',
    'app_name',
    'app_version',
    'site_id',
  ])
  latest(into, other, 'end_event_at', 'end_event_key', [
    'end_status',
    'ended_at',
    'given_duration_s',
    'end_metadata',
  ])
  latest(into, other, 'start_meta_at', 'start_meta_key', ['start_metadata'])
  latest(into, other, 'progress_meta_at', 'progress_meta_key', ['progress_metadata'])
  latest(into, other, 'progress_at', 'progress_key', ['progress'])
  latest(into, other, 'error_at', 'error_key', ['last_error'])
  for (const name of ['cpu_user_s', 'cpu_system_s', 'mem_max_mb'] as const) {
    if (other[name] !== undefined) into[name] = Math.max(into[name] ?? other[name], other[name])
  }
  for (const name of ['parent_id', 'job_key', 'sub_key'] as const) greatest(into, other, name)
  mergeMetrics(into, other)
  into.event_count += other.event_count
  into.error_count += other.error_count
}

type TimeSlot = 'given_started_at' | 'started_event_at' | 'first_event_at'

function min(into: Slots, other: Slots, name: TimeSlot): void {
  const value = other[name]
  if (value !== undefined && (into[name] === undefined || value < into[name])) into[name] = value
}

function greatest(into: Slots, other: Slots, name: 'parent_id' | 'job_key' | 'sub_key'): void {
  const value = other[name]
  if (value === undefined) return
  if (into[name] === undefined || compareText(value, into[name]) > 0) into[name] = value
}

/** Takes a group of slots from whichever side's event is greater by (`at`, key). */
function latest<N extends keyof Slots>(
  into: Slots,
  other: Slots,
  at:
    | 'last_event_at'
    | 'end_event_at'
    | 'start_meta_at'
    | 'progress_meta_at'
    | 'progress_at'
    | 'error_at',
  key:
    | 'last_event_key'
    | 'end_event_key'
    | 'start_meta_key'
    | 'progress_meta_key'
    | 'progress_key'
    | 'error_key',
  names: readonly N[],
): void {
  const theirs = other[at]
  if (theirs === undefined) return
  const ours = into[at]
  if (ours !== undefined && theirs + other[key]! <= ours + into[key]!) return
  into[at] = theirs
  into[key] = other[key]!
  for (const name of names) {
    if (other[name] === undefined) delete into[name]
    else into[name] = other[name]
  }
}

function mergeMetrics(into: Slots, other: Slots): void {
  if (!other.metrics) return
  into.metrics ??= Object.create(null) as Record<string, MetricSlot>
  const merged = into.metrics
  for (const [name, slot] of Object.entries(other.metrics)) {
    const ours = merged[name]
    if (ours === undefined || slot[0] > ours[0]) merged[name] = slot
  }
  const names = Object.keys(merged)
  if (names.length <= maxMetricNames) return
  for (const name of names.sort(compareText).slice(maxMetricNames)) delete merged[name]
}

/** Order by code point, which is that of UTF-8 bytes and of PostgreSQL's collation "C". */
export function compareText(a: string, b: string): number {
  if (a === b) return 0
  return Buffer.compare(Buffer.from(a), Buffer.from(b))
}

/** What is shown of the slots; the database generates the same from the same columns. */
export function shownOf(slots: Slots) {
  const { ended_at, given_duration_s } = slots
  const known = slots.given_started_at ?? slots.started_event_at
  const counted =
    ended_at !== undefined && given_duration_s !== undefined
      ? fromMicros(toMicros(ended_at) - BigInt(roundHalfEven(given_duration_s * 1e6)))
      : undefined
  const startedAt = known ?? counted ?? slots.first_event_at
  return {
    status: slots.end_status ?? ('running' as JobStatus),
    startedAt,
    durationS:
      given_duration_s ??
      (ended_at === undefined ? null : Math.max(0, secondsBetween(startedAt, ended_at))),
    metadata: { ...slots.start_metadata, ...slots.progress_metadata, ...slots.end_metadata },
    endBeforeStart: ended_at !== undefined && ended_at < startedAt,
  }
}

/** As the C library's rint, which PostgreSQL uses for intervals. */
function roundHalfEven(value: number): number {
  const rounded = Math.round(value)
  return Math.abs(value % 1) === 0.5 && rounded % 2 !== 0 ? rounded - 1 : rounded
}
