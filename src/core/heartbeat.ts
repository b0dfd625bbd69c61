import * as z from 'zod'
import { must } from './must.ts'
import { siteIdMessage, siteIdPattern } from './site-id.ts'
import { type Micros, parseTime } from './time.ts'

/*
 * A heartbeat: what a sidecar says of itself every ten seconds (docs/wire.md, section 4). The receiver
 * keeps the last one of each source. Names are those of the wire on both sides.
 */

/** Bounded, so that sums over all sources are. */
const count = (description: string) => z.int().min(0).max(1e14).describe(description)

const textTo = (max: number, description: string) =>
  z.string().min(1).max(max).describe(description)

const timeMessage = 'must be an RFC 3339 time with an offset, such as 2026-03-01T12:00:00Z'

/** In any form that can be read; {@link normalizeHeartbeat} brings it to ours. */
const time = (description: string) =>
  z
    .string(timeMessage)
    .refine((value) => parseTime(value) !== undefined, timeMessage)
    .meta({ description, format: 'date-time' })

const sinkSchema = z.object({
  name: textTo(128, 'Name of the sink.'),
  lag_events: count('Events that it has not taken yet.'),
  lag_s: z.number().min(0).describe('Age of the oldest of them, in seconds; 0 without any.'),
  state: z
    .enum(['ok', 'failing', 'stalled'])
    .describe(
      'ok; failing: the last delivery failed; stalled: events wait, and none was taken or refused for a while.',
    ),
  status: textTo(
    32,
    'ok, failing, stopped (an operator has to act, or has paused it), detached or disabled (its events are kept); absent from an earlier version.',
  ).optional(),
  required: z.boolean().optional().describe('What it is owed may close the door to programs.'),
  rejects: count('Events that it refused, and that are set aside.').optional(),
  skipped: count('Events that it does without.').optional(),
  last_gap: z
    .object({
      events: count('How many events it does without in that gap.'),
      at: time('When they were skipped.'),
      reason: z.string().max(200).describe('Why.'),
    })
    .optional()
    .describe('The last events that it was not offered; absent without any.'),
})

export const heartbeatSchema = z.object({
  source: z.object({
    id: textTo(128, 'The spool.'),
    epoch: textTo(64, 'This opening of it.'),
    seq: z.int().min(0).describe('The last number that it has given; 0 while it has given none.'),
  }),
  site_id: z
    .string()
    .regex(siteIdPattern, siteIdMessage)
    .optional()
    .describe('The site of the last event that it accepted; absent before the first.'),
  at: time('When this was sent, by the clock of the sidecar.'),
  waiting: count(
    'Events in the spool that this receiver has not taken, whatever other sinks have.',
  ),
  oldest_at: time('When the oldest of them was accepted; null without any.').nullable(),
  rejects: count('Events set aside because a sink refused them.'),
  sinks: z.array(sinkSchema).max(100),
  version: textTo(64, 'Version of the sidecar.'),
  spool: z
    .object({
      bytes: count('Bytes in use on disk.'),
      max_bytes: count('The cap: SPOOL_MAX_BYTES.'),
      trouble: z.string().max(1000).optional().describe('Why it accepts no events.'),
    })
    .optional(),
  host: z.string().max(255).optional().describe('Name of the machine.'),
  clock: z
    .object({
      steps: count('How often the clock of the machine was set since the sidecar started.'),
      suspends: count('How often the machine slept.'),
    })
    .optional(),
  goodbye: z
    .boolean()
    .optional()
    .describe('True in the last one before a clean stop; gone is a source only if nothing waits.'),
})

export type Heartbeat = z.output<typeof heartbeatSchema>
export type SinkReport = Heartbeat['sinks'][number]

/** With times in our form. A schema that changes them could not be shown in a document. */
export const normalizeHeartbeat = (said: Heartbeat): Heartbeat => ({
  ...said,
  at: canonical(said.at),
  oldest_at: said.oldest_at === null ? null : canonical(said.oldest_at),
  sinks: said.sinks.map(({ last_gap: gap, ...sink }) => ({
    ...sink,
    ...(gap ? { last_gap: { ...gap, at: canonical(gap.at) } } : {}),
  })),
})

const canonical = (text: string): Micros => must(parseTime(text), 'the schema has read it')
