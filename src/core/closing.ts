import type { Event } from './event.ts'
import type { EndStatus, Job } from './job.ts'
import type { Micros } from './time.ts'
import { uuidV5 } from './uuid.ts'

/*
 * Closing: a job is ended by an event that its program did not send. The local API makes that event, which is
 * like any other, so the fold alone decides what it comes to when the program reports later (wire.md, section 5).
 */

/** How a job is said to have ended, why, and who says so. */
export type Closing = {
  status: EndStatus
  /** Why, in a sentence. */
  reason: string
  /** Who: the token, with the name that was given; `system` for what the local API does by itself. */
  actor: string
  /** The address of the caller; null for the system. */
  address: string | null
}

/** `closed`: false for a job that had been closed with this status before. */
export type Closed = { closed: boolean; status: EndStatus; endedAt: Micros }

/** The facts of a job or subjob that its closing repeats. */
export type Closable = Pick<
  Job,
  | 'id'
  | 'entityType'
  | 'parentId'
  | 'appId'
  | 'appName'
  | 'appVersion'
  | 'siteId'
  | 'jobKey'
  | 'subKey'
  | 'attempt'
  | 'lastEventAt'
>

/** The id of the source that closings carry. Their numbers are not counted: none of them is on the way. */
export const closingSource = 'local-api'

/** The key of a closing: the same for every try to close an attempt with a status. */
export const closingKey = (id: string, attempt: number, status: EndStatus): string =>
  uuidV5(`close\n${id}\n${attempt}\n${status}`)

/**
 * The event that closes a job, in its normal form. It happens now; the end that it tells is the last sign of
 * life, because no more is known.
 *
 * @param seq which of the closings that are made together, from 1
 */
export function closingEvent(
  job: Closable,
  { status, reason }: Pick<Closing, 'status' | 'reason'>,
  now: Micros,
  seq: number,
): Event {
  const { id, entityType, parentId, attempt } = job
  const key = closingKey(id, attempt, status)
  return {
    idempotency_key: key,
    site_id: job.siteId,
    app: { app_id: job.appId, name: job.appName, version: job.appVersion },
    entity: {
      type: entityType,
      id,
      ...(parentId === null ? {} : { parent_id: parentId }),
      ...(job.jobKey === null ? {} : { business_key: job.jobKey }),
      ...(job.subKey === null ? {} : { sub_key: job.subKey }),
      ...(attempt > 1 ? { attempt } : {}),
    },
    event: {
      kind: status === 'canceled' ? 'canceled' : 'finished',
      at: now,
      status,
      ended_at: job.lastEventAt,
      metadata: { reason },
    },
    source: { id: closingSource, epoch: now, seq },
    received_at: now,
  }
}
