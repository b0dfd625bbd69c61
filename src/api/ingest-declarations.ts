import * as z from 'zod'
import { eventSchema } from '../core/event.ts'
import { event, named, seconds, text, whole } from './answers.ts'
import type { Declaration } from './route.ts'

const accepted = named(
  'Accepted',
  z.object({
    ok: z.literal(true),
    duplicate: z.boolean().describe('True when the event was already stored.'),
    truncated: z
      .literal(true)
      .optional()
      .describe('The event had over 32 KiB of metadata: its largest values were cut.'),
    duration_s: seconds('Time to answer, in seconds.').optional(),
  }),
)

const verdict = z.object({
  index: whole('Position in the batch, from 0.'),
  idempotency_key: text(
    'Its key: as sent in an invalid event, in its normal form in another; null when unreadable.',
  ).nullable(),
  field: text('Dotted path of the invalid field.'),
  detail: text('The error and its remedy.'),
  retryable: z.boolean().optional().describe('True when the same event may be sent again later.'),
})

const batchVerdict = named(
  'BatchVerdict',
  z.object({
    ok: z.boolean().describe('True unless every event was refused.'),
    total: whole('Events in the batch.'),
    success: whole('Events accepted, duplicates included.'),
    failed: whole('Events refused.'),
    duplicates: whole('Accepted events that were already stored.'),
    rejected: z.array(verdict),
    stamps: z
      .literal('ignored')
      .optional()
      .describe('The token lacks the scope `forward`: stamps were dropped, the events were not.'),
    truncated: z
      .array(whole('Position in the batch, from 0.'))
      .optional()
      .describe('Events with over 32 KiB of metadata, whose largest values were cut.'),
    duration_s: seconds('Time to answer, in seconds.').optional(),
  }),
)

const eventBatch = named('EventBatch', z.array(eventSchema))

const example = {
  idempotency_key: '0193581e-7c42-7d10-9a35-6f0c41c2b7e8',
  site_id: 'fab1',
  app: { app_id: '5f0c41c2-7c42-4d10-9a35-0193581eb7e8', name: 'litho-apc', version: '2.1.0' },
  entity: {
    type: 'job',
    id: '0193581e-7c42-7d10-9a35-000000000001',
    business_key: 'LOT-4711',
  },
  event: {
    kind: 'finished',
    at: '2026-03-01T12:00:05.250000Z',
    status: 'succeeded',
    metrics: { duration_s: 5.25, cpu_user_s: 1.5, mem_max_mb: 120 },
    metadata: { recipe: 'R-17' },
  },
}

const problems = [400, 413, 415, 422, 503]

/** Takes one event; the same on the sidecar and on the local API. */
export const ingestEvent = {
  method: 'post',
  path: '/v1/ingest/events',
  tag: 'Ingest',
  summary: 'Accepts one event',
  description: 'Answered once the event is on disk. Sending it again with the same key is safe.',
  scope: 'ingest',
  body: {
    schema: event,
    mediaTypes: ['application/json'],
    example: JSON.stringify(example, null, 2),
  },
  answer: { 'application/json': [accepted] },
  problems,
} satisfies Declaration

/** Takes many events; the same on the sidecar and on the local API. */
export const ingestBatch = {
  method: 'post',
  path: '/v1/ingest/events:batch',
  tag: 'Ingest',
  summary: 'Accepts many events, with a verdict for each',
  description:
    'A JSON array, or NDJSON with one event per line; gzip or zstd by Content-Encoding. Valid events are kept even when others are refused; a body without any event is 422.',
  scope: 'ingest',
  body: {
    schema: eventBatch,
    mediaTypes: ['application/json', 'application/x-ndjson'],
    example: JSON.stringify([example], null, 2),
  },
  answer: { 'application/json': [batchVerdict] },
  problems,
} satisfies Declaration
