import type { Event } from '../../src/core/event.ts'

/*
 * The folder hours/ was written by the archiver of the version before days: two hours of 2026-03-01 with these events, and the
 * jobs that they ended.
 */

/** Five events in each of two hours, of four jobs and a subjob each. */
export function hourEvents(): Event[] {
  return [13, 14].flatMap((hour) => Array.from({ length: 5 }, (_, i) => hourEvent(hour, i)))
}

function hourEvent(hour: number, i: number): Event {
  const n = `${hour}000000000${i}`
  const at = `2026-03-01T${hour}:00:0${i}.000001Z`
  const ids = { id: `b1000000-0000-4000-8000-${n}`, business_key: `lot ${n}` }
  const parent_id = `b1000000-0000-4000-8000-${hour}0000000000`
  return {
    idempotency_key: `d1000000-0000-4000-8000-${n}`,
    site_id: 'fab1',
    app: { app_id: 'a1000000-0000-4000-8000-000000000001', name: 'etch', version: '1' },
    entity: i === 4 ? { type: 'subjob', ...ids, parent_id } : { type: 'job', ...ids },
    event: { kind: 'finished', at, metrics: { duration_s: 1.5 }, metadata: { tool: 'E1' } },
    received_at: at,
  }
}
