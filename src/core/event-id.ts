import type { Event } from './event.ts'
import { uuidV5 } from './uuid.ts'

/**
 * The identity of an event, its key and its time, as one UUID: the same each time it is sent, so that a
 * destination knows a repeat by it.
 */
export const eventId = ({ idempotency_key, event: { at } }: Event): string =>
  uuidV5(`${idempotency_key}\n${at}`)
