import type { StoredEvent } from '../src/core/job.ts'
import { type Micros, parseTime } from '../src/core/time.ts'
import { cut, measured, plain } from './format.ts'

/**
 * The parts of an event that pages show. A stored event is what a program sent, so every part may
 * be missing or of another type.
 */
export function readEvent(event: StoredEvent) {
  const body = toRecord(event.event)
  const metrics = Object.entries(toRecord(body.metrics)).map(
    ([name, value]) => `${name} ${typeof value === 'number' ? measured(value) : plain(value)}`,
  )
  const metadata = Object.entries(toRecord(body.metadata)).map(
    ([name, value]) => `${name}: ${cut(plain(value), 120)}`,
  )
  const kind = toText(body.kind)
  const status = toText(body.status)
  const implied =
    { queued: 'queued', finished: 'succeeded', canceled: 'canceled' }[kind] ?? 'running'
  const parts = [...(status === implied ? [] : [status]), ...metrics, ...metadata]
  return {
    kind,
    at: toTime(body.at),
    detail: cut(parts.filter((part) => part !== '').join(', '), 400),
  }
}

export const toText = (value: unknown): string => (typeof value === 'string' ? value : '')

export const toTime = (value: unknown): Micros | undefined =>
  typeof value === 'string' ? parseTime(value) : undefined

export const toRecord = (value: unknown): Record<string, unknown> =>
  typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : {}
