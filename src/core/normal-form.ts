import { describeValue, type Refusal } from './describe-fault.ts'
import { type Event, timeMessage } from './event.ts'
import { isZeroTime, readTime } from './event-time.ts'
import { type Micros, parseTime } from './time.ts'
import { isUuid, uuidV5 } from './uuid.ts'

/* The normal form of an event: times canonical, ids in lower case, its key a UUID. */

type Normalized = { ok: true; event: Event; zeroTime: boolean } | { ok: false; refusal: Refusal }

/**
 * A copy with canonical times and ids, or the field that cannot be read.
 *
 * @param receivedAt at the first hop; absent for a stamped event, which has it
 * @param siteZone of times that have none
 */
export function normalize(
  input: Event,
  receivedAt: Micros | undefined,
  siteZone: string | undefined,
): Normalized {
  const event = { ...input.event }
  let zeroTime = false
  for (const name of eventTimes) {
    const given = event[name]
    if (given === undefined || given === null) continue
    const read = readTime(given, siteZone)
    if (read === given) continue
    if (read !== undefined) event[name] = read
    else if ((name === 'started_at' || name === 'ended_at') && isZeroTime(given)) {
      delete event[name]
      zeroTime = true
    } else return { ok: false, refusal: badTime(`event.${name}`, given) }
  }
  const received = receivedAt ?? parseTime(input.received_at ?? '')
  if (received === undefined) {
    return { ok: false, refusal: badTime('received_at', input.received_at) }
  }
  const { app_id, version } = input.app
  const app = { ...input.app, app_id: app_id.toLowerCase(), version: version ?? '' }
  const entity = { ...input.entity, id: input.entity.id.toLowerCase() }
  if (entity.parent_id) entity.parent_id = entity.parent_id.toLowerCase()
  const idempotency_key = identityOf(input)
  return {
    ok: true,
    event: { ...input, idempotency_key, app, entity, event, received_at: received },
    zeroTime,
  }
}

/** The times of an event. */
export const eventTimes = [
  'at',
  'started_at',
  'ended_at',
  'reported_at',
  'reported_started_at',
  'reported_ended_at',
] as const

const badTime = (field: string, given: unknown): Refusal => ({
  field,
  detail: `${timeMessage}; ${describeValue(given)}`,
})

/** Keeps a UUID; makes one of any other key, within its site and job (wire.md, section 2). */
function identityOf({ idempotency_key: key, site_id, entity }: Event): string {
  if (isUuid(key)) return key.toLowerCase()
  return uuidV5(`${site_id}\n${entity.id.toLowerCase()}\n${key}`)
}
