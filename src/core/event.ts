import * as z from 'zod'
import { type JobStatus, statuses } from './job.ts'
import { type Kind, kinds } from './kinds.ts'
import { siteIdMessage, siteIdPattern } from './site-id.ts'
import type { Micros } from './time.ts'
import { isUuid } from './uuid.ts'

/**
 * The event of wire.md, section 2, version 1. Its names stay as they are on the wire, snake_case,
 * because an event is forwarded as it came, unknown fields included.
 *
 * Every check carries its own message: what is wanted, in words that a person can act on.
 */

/** Text of 1 to `max` characters (code points, as other languages count them). */
function textTo(max: number, { empty = false } = {}) {
  const message = `must be text of ${empty ? 'at most' : '1 to'} ${max} characters`
  return z
    .string(message)
    .refine((s) => (empty || s !== '') && (s.length <= max || [...s].length <= max), message)
    .meta({ maxLength: max, ...(empty ? {} : { minLength: 1 }) })
}

const uuid = () => {
  const message = 'must be a UUID such as 0193581e-7c42-7d10-9a35-6f0c41c2b7e8'
  return z.string(message).refine(isUuid, message).meta({ format: 'uuid' })
}

/** Only its being text is checked here; `normalize` reads it, once. */
export const timeMessage =
  'must be an RFC 3339 time with an offset, from 1970 on, such as 2026-03-01T12:00:00.123456Z'
const time = () => z.string(timeMessage).meta({ format: 'date-time' })

export const siteIdSchema = z.string(siteIdMessage).regex(siteIdPattern, siteIdMessage)

const object = 'must be an object'

/** Far more tries than any job has, and far fewer than its column holds. */
export const maxAttempt = 1_000_000
const attemptMessage = `must be a whole number from 1 to ${maxAttempt}: which try of the job this is`

export const eventSchema = z
  .looseObject(
    {
      idempotency_key: textTo(128).describe(
        'Chosen by the sender, the same on every retry. Together with `at` it identifies the event.',
      ),
      site_id: siteIdSchema.describe('The site (fab).'),
      app: z
        .looseObject(
          {
            app_id: uuid(),
            name: textTo(200),
            version: textTo(64, { empty: true }).nullish().describe('Default: empty.'),
          },
          object,
        )
        .describe('The app that reports.'),
      entity: z
        .looseObject(
          {
            type: z.enum(['job', 'subjob'], 'must be job or subjob'),
            id: uuid().describe("The job's or subjob's id."),
            parent_id: uuid().nullish().describe('For a subjob, the job or subjob it belongs to.'),
            business_key: textTo(256, { empty: true }).nullish().describe('Usually the lot.'),
            sub_key: textTo(256, { empty: true }).nullish().describe('Usually the wafer or step.'),
            attempt: z
              .int(attemptMessage)
              .min(1, attemptMessage)
              .max(maxAttempt, attemptMessage)
              .nullish()
              .describe('Which try of the job this is, from 1. Default: 1.'),
          },
          object,
        )
        .describe('The job or subjob that the event is about.'),
      event: z
        .looseObject(
          {
            kind: z.enum(kinds, `must be one of ${kinds.join(', ')}`),
            at: time().describe("Time of the event, by the sender's clock."),
            status: z
              .enum(statuses, `must be one of ${statuses.join(', ')}`)
              .nullish()
              .describe(
                'Default: succeeded for finished, canceled for canceled, queued for queued, otherwise running.',
              ),
            metrics: z
              .record(
                z.string(),
                z.number('must be a finite number'),
                'must be an object of finite numbers',
              )
              .refine((m) => Object.keys(m).length <= 64, 'must have at most 64 entries')
              .nullish()
              .describe(
                'Known: duration_s, cpu_user_s, cpu_system_s (seconds), mem_max_mb (MiB), progress (0 to 1).',
              ),
            metadata: z
              .record(z.string(), z.unknown(), object)
              .nullish()
              .describe(
                'Any JSON object. Over 32 KiB its largest values are cut. Some names are well known.',
              ),
            started_at: time().nullish().describe('Start of the job; recommended on every event.'),
            started_at_added: z
              .boolean('must be true or false')
              .nullish()
              .describe(
                'True when a hop added `started_at` from a `started` that it saw. It counts as one more `started`.',
              ),
            ended_at: time().nullish().describe('End of the job. Default: `at`.'),
            reported_at: time()
              .nullish()
              .describe('The original `at`, before the clock was corrected.'),
            reported_started_at: time().nullish(),
            reported_ended_at: time().nullish(),
          },
          object,
        )
        .describe('The event itself.'),
      traceparent: z
        .string('must be a W3C traceparent')
        .regex(/^[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}/, 'must be a W3C traceparent')
        .nullish(),
      source: z
        .looseObject(
          {
            id: textTo(128),
            epoch: textTo(64),
            seq: z.int('must be a whole number from 1').min(1, 'must be a whole number from 1'),
          },
          object,
        )
        .nullish()
        .describe('Stamped by the first spool: its id, its epoch, and the number of the event.'),
      received_at: time().nullish().describe('Time of arrival at the first hop, stamped there.'),
      historical: z
        .boolean('must be true or false')
        .nullish()
        .describe('Replayed or back-filled: updates history, without live events or alerts.'),
    },
    'must be an object, the envelope of an event',
  )
  .meta({ id: 'Event' })

/** An event as it travels once it passed the first door: times canonical, ids in lower case. */
export type Event = {
  idempotency_key: string
  site_id: string
  app: { app_id: string; name: string; version: string; [unknown: string]: unknown }
  entity: {
    type: 'job' | 'subjob'
    id: string
    parent_id?: string | null
    business_key?: string | null
    sub_key?: string | null
    attempt?: number | null
    [unknown: string]: unknown
  }
  event: {
    kind: Kind
    at: Micros
    status?: JobStatus | null
    metrics?: Record<string, number> | null
    metadata?: Record<string, unknown> | null
    started_at?: Micros | null
    started_at_added?: boolean | null
    ended_at?: Micros | null
    reported_at?: Micros | null
    reported_started_at?: Micros | null
    reported_ended_at?: Micros | null
    [unknown: string]: unknown
  }
  traceparent?: string | null
  source?: EventSource | null
  received_at: Micros
  historical?: boolean | null
  [unknown: string]: unknown
}

/** Who forwarded an event first: the spool's id, since which creation, as which number from 1. */
export type EventSource = { id: string; epoch: string; seq: number; [unknown: string]: unknown }

/** `progress` and `metric` may be refused at the door of a filling spool; the others never first. */
export const isTick = (kind: Kind): boolean => kind === 'progress' || kind === 'metric'
