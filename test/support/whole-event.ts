import type { Event } from '../../src/core/event.ts'
import { uuidV5 } from '../../src/core/uuid.ts'

/** An event as a spool hands it out, with all that it may have and its number in the spool. */
export const wholeEvent = (seq: number, more: Partial<Event['event']> = {}): Event => ({
  idempotency_key: uuidV5(`event ${seq}`),
  site_id: 'fab1',
  app: { app_id: '5f0c41c2-7c42-4d10-9a35-0193581eb7e8', name: 'litho-apc', version: '1.2' },
  entity: {
    type: 'subjob',
    id: uuidV5(`job ${seq % 4}`),
    parent_id: uuidV5('parent'),
    business_key: 'LOT-1',
    sub_key: `W${seq}`,
  },
  event: {
    kind: 'finished',
    at: '2026-03-01T12:00:00.000000Z',
    status: 'succeeded',
    metrics: { duration_s: 1.5, cpu_user_s: 0.5, cpu_system_s: 0.25, mem_max_mb: 100, cd_nm: 38.1 },
    metadata: { tool: 'SCN-05', note: 'two\nlines; "quoted", =1' },
    ...more,
  },
  received_at: '2026-03-01T12:00:01.000000Z',
  source: { id: 'spool-1', epoch: 'e1', seq },
})
