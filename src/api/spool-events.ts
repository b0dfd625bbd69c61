import * as z from 'zod'
import type { Outgoing } from '../core/delivery.ts'
import { AppError } from '../core/errors.ts'
import { named, text, time, whole } from './answers.ts'
import { spoolSeq } from './path-id.ts'
import { limitParam, number, text as textParam } from './query-params.ts'
import { type Route, route } from './route.ts'

/** An event on disk, and the sinks that are owed it. */
export type SpooledView = { sent: Outgoing; owed: readonly string[] }

export type SpoolEventsOptions = {
  /** @returns what was found, and the number to continue after; null at the end */
  look: (how: { after: number; limit: number; maxBytes: number; sink?: string | undefined }) => {
    events: readonly SpooledView[]
    next: number | null
  }
}

/** With their texts a thousand events may be large. */
const maxBytes = 4 * 2 ** 20
const defaultLimit = 100
/** Before the first number of events that were carried over from a damaged spool. */
const beforeAll = -Number.MAX_SAFE_INTEGER

const item = z.object({
  seq: z
    .int()
    .describe('Number of the event; below 1 where it was carried over from a damaged spool.'),
  received_at: time('When it was accepted; null where it cannot be read.').nullable(),
  bytes: whole('Its size as it is sent.'),
  kind: text('Kind of event.').nullable(),
  entity_type: text('`job` or `subjob`.').nullable(),
  entity_id: text('Id of the job or subjob.').nullable(),
  business_key: text('Usually the lot.').nullable(),
  app: text('Name of the app.').nullable(),
  site_id: text('Its site.').nullable(),
  owed: z.array(z.string()).describe('The sinks that have not dealt with it.'),
  event: z
    .record(z.string(), z.unknown())
    .nullable()
    .optional()
    .describe('The event as it is sent; with `whole`, or alone. Null where it cannot be read.'),
})
const list = named(
  'SpooledEvents',
  z.object({
    items: z.array(item),
    next: z
      .int()
      .nullable()
      .describe('Value of `after` for what follows; null at the end of the spool.'),
  }),
)
const one = named('SpooledEvent', item)

/** The events that a sidecar has on disk. */
export const spoolEventRoutes = ({ look }: SpoolEventsOptions): Route[] => [
  route({
    method: 'get',
    path: '/v1/spool/events',
    tag: 'Pipeline',
    summary: 'Lists the events in the spool, in the order they came',
    description:
      'Those that some sink is owed, and those that are about to be deleted. A page may have fewer events than `limit`, also none: continue with `next`.',
    scope: 'read',
    query: z.object({
      after: number(
        { min: beforeAll, max: Number.MAX_SAFE_INTEGER, whole: true },
        'Only events with a higher number.',
      ).optional(),
      limit: limitParam({ defaultLimit, maxLimit: 1000 }),
      sink: textParam(128, 'Only events that this sink is owed.'),
      whole: z.enum(['true', 'false']).optional().meta({ description: 'With the events.' }),
    }),
    answer: { 'application/json': [list] },
    problems: [422],
    handle(c, { after = beforeAll, limit = defaultLimit, sink, whole: withEvents }) {
      const { events, next } = look({ after, limit, maxBytes, sink })
      return c.json({ items: events.map((found) => toItem(found, withEvents === 'true')), next })
    },
  }),
  {
    method: 'get',
    path: '/v1/spool/events/{id}',
    id: spoolSeq,
    tag: 'Pipeline',
    summary: 'Shows one event in the spool',
    scope: 'read',
    answer: { 'application/json': [one] },
    problems: [404, 422],
    handle(c) {
      const seq = spoolSeq.read(c)
      const [found] = look({ after: seq - 1, limit: 1, maxBytes }).events
      if (found?.sent.seq === seq) return c.json(toItem(found, true))
      throw new AppError('not_found', `no event ${seq} is in the spool`, { field: 'id' })
    },
  },
]

function toItem({ sent, owed }: SpooledView, withEvent: boolean) {
  const { event, seq, bytes } = sent
  const { type, id, business_key } = event?.entity ?? {}
  return {
    ...{ seq, received_at: event?.received_at ?? null, bytes, kind: event?.event?.kind ?? null },
    ...{ entity_type: type ?? null, entity_id: id ?? null, business_key: business_key ?? null },
    ...{ app: event?.app?.name ?? null, site_id: event?.site_id ?? null, owed },
    ...(withEvent ? { event: event ?? null } : {}),
  }
}
