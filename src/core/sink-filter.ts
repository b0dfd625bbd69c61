import type { Event } from './event.ts'
import { isTick } from './event.ts'
import { eventId } from './event-id.ts'
import type { EventClass } from './event-marks.ts'
import { impliedStatus, type JobStatus } from './job.ts'
import type { Kind } from './kinds.ts'

/** The events that a sink is offered: those that are in each of the lists. An absent list has all. */
export type SinkFilter = {
  readonly kind?: readonly Kind[]
  readonly entity?: readonly ('job' | 'subjob')[]
  /** Names of apps. */
  readonly app?: readonly string[]
  readonly site?: readonly string[]
  readonly status?: readonly JobStatus[]
  /** Share of `progress` and `metric` events, from 0 to 1; the same ones each time. Absent: all. */
  readonly tick_sample?: number
}

/** What a spool knows of an event: kind and entity type at once, the rest by parsing it. */
type Stored = { readonly class: EventClass | undefined; readonly event: Event | undefined }

/**
 * True for an event that a sink with this filter is offered. One that a damaged disk made unreadable is: the
 * sink may know what to do with it. Parses it only where the filter looks at more than kind and entity.
 */
export function isWanted(stored: Stored, { kind, entity, ...rest }: SinkFilter): boolean {
  if (kind || entity) {
    const known = stored.class
    if (known && !(has(kind, known.kind) && has(entity, known.entity))) return false
  }
  if (Object.keys(rest).length === 0) return true
  const { event } = stored
  return !event || fitsFilter(event, rest)
}

/** The same for an event that was parsed. */
export function fitsFilter(event: Event, filter: SinkFilter): boolean {
  const { kind } = event.event
  return (
    has(filter.kind, kind) &&
    has(filter.entity, event.entity.type) &&
    has(filter.app, event.app.name) &&
    has(filter.site, event.site_id) &&
    has(filter.status, statusOf(event)) &&
    (filter.tick_sample === undefined || !isTick(kind) || shareOf(event) < filter.tick_sample)
  )
}

const has = <T>(list: readonly T[] | undefined, value: T) => list?.includes(value) ?? true

/** The status that an event says, or the one that its kind stands for. */
export const statusOf = ({ event: { kind, status } }: Event): JobStatus =>
  status || impliedStatus(kind)

/** A number from 0 to 1 that depends on nothing but the identity of the event. */
const shareOf = (event: Event) => Number.parseInt(eventId(event).slice(0, 8), 16) / 2 ** 32
