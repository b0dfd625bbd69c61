import { maxAttempt } from './event.ts'
import { isOpen, type JobStatus, statuses } from './job.ts'
import { kinds } from './kinds.ts'
import { siteIdPattern } from './site-id.ts'
import { isUuid } from './uuid.ts'

/*
 * A check by hand for events of the usual form. It can only say yes: what it takes,
 * the schema of event.ts, the rules of read-event.ts and checkTree of json.ts take as well; what it
 * does not take may still be good, and is judged by them. A property test holds the two against each
 * other. It costs a tenth of what they cost together.
 */

/** The answer for an event that only the schema can judge. */
export const unusual = -1

/**
 * @param input parsed JSON
 * @param plain true when no text in it can hold NUL or half of a surrogate pair
 * @returns an upper bound of the event's bytes as JSON, or {@link unusual}
 */
export function boundUsual(input: unknown, plain: boolean): number {
  if (!plain || !isObject(input)) return unusual
  const { app, entity, event, source } = input
  if (!isText(input.idempotency_key, 1, 128)) return unusual
  if (typeof input.site_id !== 'string' || !siteIdPattern.test(input.site_id)) return unusual
  if (!isObject(app) || !isUsualApp(app)) return unusual
  if (!isObject(entity) || !isUsualEntity(entity)) return unusual
  if (!isObject(event) || !isUsualBody(event)) return unusual
  if (!isUsualHop(input) || !(isNone(source) || isUsualSource(source))) return unusual
  return boundObject(input, maxDepth)
}

type Fields = Record<string, unknown>

/** An object as JSON.parse makes them; objects of a class are left to the schema. */
const isObject = (value: unknown): value is Fields =>
  typeof value === 'object' &&
  value !== null &&
  !Array.isArray(value) &&
  Object.getPrototypeOf(value) === Object.prototype

const isNone = (value: unknown) => value === undefined || value === null

/** Code units are at least as many as the characters that the schema counts. */
const isText = (value: unknown, min: number, max: number) =>
  typeof value === 'string' && value.length >= min && value.length <= max

const isTextOrNone = (value: unknown, max: number) => isNone(value) || isText(value, 0, max)

const isFlagOrNone = (value: unknown) => isNone(value) || typeof value === 'boolean'

const isTimeOrNone = (value: unknown) => isNone(value) || typeof value === 'string'

const isId = (value: unknown): value is string => typeof value === 'string' && isUuid(value)

const isUsualApp = ({ app_id, name, version }: Fields) =>
  isId(app_id) && isText(name, 1, 200) && isTextOrNone(version, 64)

function isUsualEntity({ type, id, parent_id, business_key, sub_key, attempt }: Fields): boolean {
  if (attempt !== undefined && !isAttemptOrNull(attempt)) return false
  if (!isId(id) || !isTextOrNone(business_key, 256) || !isTextOrNone(sub_key, 256)) return false
  if (isNone(parent_id)) return type === 'job'
  if (type !== 'job' && type !== 'subjob') return false
  return isId(parent_id) && parent_id.toLowerCase() !== id.toLowerCase()
}

const isAttemptOrNull = (value: unknown) =>
  value === null ||
  (Number.isInteger(value) && (value as number) >= 1 && (value as number) <= maxAttempt)

const kindSet: ReadonlySet<unknown> = new Set(kinds)
const statusSet: ReadonlySet<unknown> = new Set(statuses)

function isUsualBody(event: Fields): boolean {
  const { kind, status, metrics, metadata } = event
  return (
    kindSet.has(kind) &&
    typeof event.at === 'string' &&
    (isNone(status) ||
      (statusSet.has(status) && !(kind === 'finished' && isOpen(status as JobStatus)))) &&
    (isNone(metrics) || areUsualMetrics(metrics)) &&
    (isNone(metadata) || isObject(metadata)) &&
    isTimeOrNone(event.started_at) &&
    isFlagOrNone(event.started_at_added) &&
    isTimeOrNone(event.ended_at) &&
    isTimeOrNone(event.reported_at) &&
    isTimeOrNone(event.reported_started_at) &&
    isTimeOrNone(event.reported_ended_at)
  )
}

function areUsualMetrics(metrics: unknown): boolean {
  if (!isObject(metrics)) return false
  const names = Object.keys(metrics)
  for (const name of names) if (!Number.isFinite(metrics[name])) return false
  return names.length <= 64
}

const traceparent = /^[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}/

const isUsualHop = (input: Fields) =>
  (isNone(input.traceparent) ||
    (typeof input.traceparent === 'string' && traceparent.test(input.traceparent))) &&
  isTimeOrNone(input.received_at) &&
  isFlagOrNone(input.historical)

const isUsualSource = (source: unknown) =>
  isObject(source) &&
  isText(source.id, 1, 128) &&
  isText(source.epoch, 1, 64) &&
  Number.isSafeInteger(source.seq) &&
  (source.seq as number) >= 1

/** As checkTree counts them; the event itself is the first. */
const maxDepth = 32

/**
 * Bytes of a value as JSON, at most, when all of it can be stored. The longest that a code unit
 * becomes is `\u001f`; the longest double has 24 characters.
 */
function bound(value: unknown, depth: number): number {
  switch (typeof value) {
    case 'string':
      return 6 * value.length + 2
    case 'number':
      return Number.isFinite(value) ? 24 : unusual
    case 'boolean':
      return 5
    case 'object':
      if (value === null) return 4
      return Array.isArray(value) ? boundList(value, depth) : boundObject(value as Fields, depth)
    default:
      return unusual
  }
}

function boundList(values: readonly unknown[], depth: number): number {
  if (depth === 0) return unusual
  let bytes = 2
  for (const value of values) {
    const more = bound(value, depth - 1)
    if (more === unusual) return unusual
    bytes += more + 1
  }
  return bytes
}

function boundObject(object: Fields, depth: number): number {
  if (depth === 0) return unusual
  let bytes = 2
  for (const name of Object.keys(object)) {
    const more = bound(object[name], depth - 1)
    if (more === unusual) return unusual
    bytes += 6 * name.length + more + 4
  }
  return bytes
}
