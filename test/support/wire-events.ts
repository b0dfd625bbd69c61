import type { Event } from '../../src/core/event.ts'
import type { JobStatus } from '../../src/core/job.ts'
import type { Kind } from '../../src/core/kinds.ts'

/** The smallest event there is, as a program sends it. */
export function smallestEvent(event: Partial<Event['event']> & { kind?: Kind } = {}) {
  return {
    idempotency_key: '0193581e-7c42-7d10-9a35-6f0c41c2b7e8',
    site_id: 'fab1',
    app: { app_id: '5f0c41c2-7c42-4d10-9a35-0193581eb7e8', name: 'litho-apc' },
    entity: { type: 'job', id: '0193581e-7c42-7d10-9a35-000000000001' },
    event: { kind: 'progress', at: '2026-03-01T12:00:00Z', ...event },
  }
}

/** An event in its normal form. */
export function normalEvent(event: { kind: Kind; status?: JobStatus }): Event {
  const sent = smallestEvent(event)
  return {
    ...sent,
    app: { ...sent.app, version: '' },
    entity: { type: 'job', id: sent.entity.id },
    event: { ...event, at: '2026-03-01T12:00:00.000000Z' },
    received_at: '2026-03-01T12:00:00.000000Z',
  }
}

/** The start of a job of its own, as a program sends it now. */
export const startOfJob = <T extends object>(more?: T) => ({
  idempotency_key: crypto.randomUUID(),
  site_id: 'fab1',
  app: { app_id: '5f0c41c2-7c42-4d10-9a35-0193581eb7e8', name: 'etch' },
  entity: { type: 'job', id: crypto.randomUUID() },
  event: { kind: 'started', at: new Date().toISOString() },
  ...(more as T),
})

/** Sends an event, or with the path `:batch` a list of them, as JSON. */
export const postEvents = (url: string, body: unknown, path: '' | ':batch' = '') =>
  fetch(`${url}/v1/ingest/events${path}`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(body),
  })
