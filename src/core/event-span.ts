import { createHash } from 'node:crypto'
import type { Refusal } from './delivery.ts'
import type { Event } from './event.ts'
import { toEndStatus, toErrorText } from './event-slots.ts'
import type { EndStatus } from './job.ts'
import { isCanonical, toMicros } from './time.ts'

/*
 * A job or subjob as a span, for destinations that show traces: OpenTelemetry and AWS X-Ray. A span is
 * made of the event that ends its job, and of nothing else, so that a repeat makes the same span again and
 * nothing has to be remembered.
 */

/** Ids are lower-case hex. */
export type JobSpan = {
  /** Of the event's `traceparent`; else the first 16 bytes of SHA-256 of the id of the job. */
  traceId: string
  /** The first 8 bytes of SHA-256 of the id of the job or subjob. */
  spanId: string
  /** Of a subjob that of its job; of a job the span of its `traceparent`. */
  parentSpanId: string | undefined
  /** Of a subjob: the span of its `traceparent`, which is in the same trace. */
  linkedSpanId: string | undefined
  name: string
  status: EndStatus
  /** Why it failed; undefined when it did not. */
  error: string | undefined
  /** Since 1970. */
  startUs: bigint
  endUs: bigint
}

/** What a span says of its job, by name. `read` gives undefined or null where there is nothing. */
type Attribute = { name: string; about: string; read: (event: Event) => unknown }

export const spanAttributes: readonly Attribute[] = [
  { name: 'site_id', about: 'The site.', read: ({ site_id }) => site_id },
  { name: 'app_id', about: 'Id of the app: `app.app_id`.', read: ({ app }) => app.app_id },
  { name: 'app_version', about: 'Its version.', read: ({ app }) => app.version || undefined },
  { name: 'entity_type', about: '`job` or `subjob`.', read: ({ entity }) => entity.type },
  { name: 'entity_id', about: 'Id of the job or subjob.', read: ({ entity }) => entity.id },
  {
    name: 'parent_id',
    about: 'Id of the job that a subjob belongs to.',
    read: ({ entity }) => entity.parent_id,
  },
  { name: 'business_key', about: 'Usually the lot.', read: ({ entity }) => entity.business_key },
  { name: 'sub_key', about: 'Usually the wafer or step.', read: ({ entity }) => entity.sub_key },
  { name: 'attempt', about: 'Which try of the job this is.', read: ({ entity }) => entity.attempt },
  { name: 'status', about: 'How it ended.', read: (event) => toEndStatus(event) },
  {
    name: 'event_kind',
    about: 'Kind of the event that ended it.',
    read: ({ event }) => event.kind,
  },
  {
    name: 'idempotency_key',
    about: 'Key of that event.',
    read: ({ idempotency_key }) => idempotency_key,
  },
  {
    name: 'historical',
    about: 'True for what was replayed or filled in later.',
    read: ({ historical }) => historical,
  },
]

/** Nanoseconds in 64 bits end in 2554. */
const lastUs = (2n ** 64n - 1n) / 1000n

/**
 * The span of the job that an event ends.
 *
 * @returns undefined when the event does not end its job; why there can be no span of it, by field
 */
export function toSpan(envelope: Event): JobSpan | Refusal | undefined {
  const missing = findMissing(envelope)
  if (missing !== undefined) return { field: missing, detail: 'is missing: damaged on disk' }
  const status = toEndStatus(envelope)
  if (status === undefined) return undefined
  const times = readTimes(envelope)
  if ('detail' in times) return times
  const { entity, event, app } = envelope
  const isSubjob = entity.type === 'subjob'
  const caller = readTraceparent(envelope.traceparent)
  const jobId = isSubjob ? (entity.parent_id ?? entity.id) : entity.id
  const ofJob = isSubjob && entity.parent_id ? toSpanId(entity.parent_id) : undefined
  return {
    traceId: caller?.traceId ?? hashOf(jobId, 16),
    spanId: toSpanId(entity.id),
    parentSpanId: ofJob ?? caller?.spanId,
    linkedSpanId: ofJob && caller?.spanId,
    name: app.name,
    status,
    error: status === 'failed' ? toErrorText(event) : undefined,
    ...times,
  }
}

export const isRefusal = (span: JobSpan | Refusal): span is Refusal => 'detail' in span

/** Only what cannot be sent without; the door lets no event pass that lacks it. */
function findMissing(envelope: Event): string | undefined {
  const { entity, app, event } = envelope as Partial<Event>
  if (typeof entity?.id !== 'string') return 'entity.id'
  if (typeof app?.name !== 'string') return 'app.name'
  return typeof event?.at === 'string' && isCanonical(event.at) ? undefined : 'event.at'
}

const hashOf = (id: string, bytes: number) =>
  createHash('sha256')
    .update(id)
    .digest('hex')
    .slice(0, 2 * bytes)

const toSpanId = (id: string) => hashOf(id, 8)

const traceparentForm = /^(?!ff)[0-9a-f]{2}-(?!0{32})([0-9a-f]{32})-(?!0{16})([0-9a-f]{16})-/

/** Trace and span of a W3C `traceparent`; undefined when it names none. */
function readTraceparent(text: string | null | undefined) {
  const [, traceId, spanId] = traceparentForm.exec(text ?? '') ?? []
  return traceId !== undefined && spanId !== undefined ? { traceId, spanId } : undefined
}

/**
 * The end is what the event says, else its time. The start is what the event says, else the end less the
 * duration. A start that a hop added is the one of the first attempt.
 */
function readTimes({ event, entity }: Event): Pick<JobSpan, 'startUs' | 'endUs'> | Refusal {
  const { at, ended_at, started_at, started_at_added, metrics } = event
  const endUs = toMicros(isTime(ended_at) ? ended_at : at)
  const isOwn = !(started_at_added && (entity.attempt ?? 1) > 1)
  const seconds = metrics?.duration_s
  const duration = typeof seconds === 'number' && seconds >= 0 && seconds <= 1e9 ? seconds : 0
  const startUs =
    isOwn && isTime(started_at)
      ? toMicros(started_at)
      : endUs - BigInt(Math.round(duration * 1_000_000))
  const startField = isOwn && isTime(started_at) ? 'started_at' : 'metrics.duration_s'
  const begin = startUs < endUs ? startUs : endUs
  const endField = isTime(ended_at) ? 'ended_at' : 'at'
  if (endUs < 0n || begin < 0n) {
    return {
      field: `event.${endUs < 0n ? endField : startField}`,
      detail: 'puts it before 1970: spans have no such time',
    }
  }
  if (endUs > lastUs) {
    return { field: `event.${endField}`, detail: 'is after 2554-07-21: spans have no such time' }
  }
  return { startUs: begin, endUs }
}

const isTime = (time: string | null | undefined): time is string =>
  typeof time === 'string' && isCanonical(time)
