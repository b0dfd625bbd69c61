import type { Context } from 'hono'
import * as z from 'zod'
import { AppError } from '../core/errors.ts'
import { named, whole } from './answers.ts'
import { sinkId } from './path-id.ts'
import { number } from './query-params.ts'
import { type Route, route } from './route.ts'

/** What an operator does to the sink of a name. Each returns false, or undefined, when there is none. */
export type SpoolSinksOptions = {
  /** Gives up what a sink is owed that is not configured. */
  forget: (name: string) => boolean
  pause: (name: string, reason: string) => boolean
  resume: (name: string) => boolean
  /** @param upTo up to the last event unless given @returns how many events were skipped */
  skip: (name: string, reason: string, upTo?: number) => number | undefined
}

const handled = named('SinkHandled', z.object({ ok: z.literal(true) }))
const skippedAnswer = named(
  'SinkSkipped',
  z.object({
    ok: z.literal(true),
    skipped: whole('Events that the sink does without; 0 when it was owed none of them.'),
  }),
)

const reasonMessage = 'must be text of 1 to 200 characters that says why'
const reason = z
  .string(reasonMessage)
  .regex(/^[^\p{Cc}]{1,200}$/u, reasonMessage)
  .meta({ description: 'Why; kept, and shown.', minLength: 1, maxLength: 200 })

/** The sinks that a sidecar keeps events for. */
export const spoolSinkRoutes = ({ forget, pause, resume, skip }: SpoolSinksOptions): Route[] => [
  {
    ...change(
      'forget',
      'Gives up what a sink is owed that is not configured any more, permanently',
    ),
    problems: [404, 409, 422],
    handle: (c) => answerDone(c, forget(sinkId.read(c))),
  },
  route({
    ...change('pause', 'Lets a sink be offered nothing until it is resumed, also after a restart'),
    query: z.object({ reason }),
    handle: (c, query) => answerDone(c, pause(sinkId.read(c), query.reason)),
  }),
  {
    ...change('resume', 'Offers a sink events again'),
    handle: (c) => answerDone(c, resume(sinkId.read(c))),
  },
  route({
    ...change('skip', 'Lets a sink do without what it is owed, permanently: a gap with the reason'),
    query: z.object({
      reason,
      up_to: number(
        { min: -Number.MAX_SAFE_INTEGER, max: Number.MAX_SAFE_INTEGER, whole: true },
        'Number of the last event to skip; all that it is owed now unless given.',
      ).optional(),
    }),
    answer: { 'application/json': [skippedAnswer] },
    handle(c, query) {
      const skipped = skip(sinkId.read(c), query.reason, query.up_to)
      if (skipped === undefined) throw noSuchSink(c)
      return c.json({ ok: true, skipped })
    },
  }),
]

const change = (does: string, summary: string) => ({
  method: 'post' as const,
  path: `/v1/spool/sinks/{id}/${does}`,
  id: sinkId,
  tag: 'Pipeline' as const,
  summary,
  scope: 'operate' as const,
  answer: { 'application/json': [handled] },
  problems: [404, 422],
})

function answerDone(c: Context, isThere: boolean): Response {
  if (isThere) return c.json({ ok: true })
  throw noSuchSink(c)
}

const noSuchSink = (c: Context) =>
  new AppError('not_found', `there is no sink ${sinkId.read(c)}`, { field: 'id' })
