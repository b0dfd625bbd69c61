import type { Admitted } from '../../src/core/admission.ts'
import type { Event } from '../../src/core/event.ts'
import type { Kind } from '../../src/core/kinds.ts'
import { fromMs } from '../../src/core/time.ts'

type Wanted = { json?: string; kind?: Kind; key?: string; stamped?: boolean }

/** An event as the door lets it in, with any JSON: for what stores it and does not look inside. */
export function admitted({ json = '{}', kind = 'started', key, stamped }: Wanted = {}): Admitted {
  const event = {
    idempotency_key: key ?? crypto.randomUUID(),
    event: { kind, at: '2026-03-01T12:00:00.000000Z' },
    received_at: fromMs(Date.now()),
    ...(stamped ? { source: { id: 'other', epoch: 'e', seq: 7 } } : {}),
  } as Event
  return { event, json }
}
