/** The kinds of events that a program can report about a job. */
export type EventKind =
  | 'queued'
  | 'started'
  | 'progress'
  | 'metric'
  | 'finished'
  | 'error'
  | 'canceled'

export type EventStatus = 'queued' | 'running' | 'succeeded' | 'failed' | 'canceled' | 'unknown'

/** Anything JSON can hold. */
export type Json = string | number | boolean | null | Json[] | { [key: string]: Json }

/** One event as it goes over the wire. Times are RFC 3339 in UTC with microseconds. */
export type WireEvent = {
  idempotency_key: string
  site_id: string
  app: { app_id: string; name: string; version: string }
  entity: {
    type: 'job' | 'subjob'
    id: string
    parent_id: string | null
    business_key: string | null
    sub_key: string | null
    attempt?: number
  }
  event: {
    kind: EventKind
    at: string
    status?: EventStatus
    metrics?: Record<string, number>
    metadata?: Record<string, Json>
    started_at?: string
    ended_at?: string
  }
  traceparent?: string
  historical?: boolean
}

/**
 * Takes events and never throws, waits or blocks. `SidecarEmitter` is the one that is used;
 * a test may hand in its own.
 */
export interface Emitter {
  send(event: WireEvent): void
  /** Called when a value of the program had to be changed to fit an event. */
  repaired?(): void
}

/** Events that may be dropped when room is short: the end of a job repeats their content. */
export function isLossy(kind: EventKind): boolean {
  return kind === 'progress' || kind === 'metric'
}
