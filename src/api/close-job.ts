import * as z from 'zod'
import type { Closed, Closing } from '../core/closing.ts'
import { endStatuses } from '../core/job.ts'
import { named, time } from './answers.ts'
import { addressOf, nameActor, readJsonBody, smallIntake, textTo } from './json-body.ts'
import { uuidId } from './path-id.ts'
import type { Route } from './route.ts'

export type CloseOptions = {
  /** @throws AppError not_found, or conflict for a job that has ended */
  close: (id: string, closing: Closing) => Promise<Closed>
  readTimeoutMs: number
}

const statusMessage = `must be one of ${endStatuses.join(', ')}`

const closing = named(
  'Closing',
  z.object({
    status: z
      .enum(endStatuses, statusMessage)
      .optional()
      .describe('How the job ended. Default: unknown.'),
    reason: textTo(
      500,
      'Why it is closed; kept in the audit, and shown as `metadata.reason` of the job.',
    ),
    by: textTo(100, 'Who closes it, beside the token.').optional(),
  }),
)

const done = named(
  'JobClosed',
  z.object({
    ok: z.literal(true),
    closed: z.boolean().describe('False when it had been closed with this status before.'),
    status: z.enum(endStatuses),
    ended_at: time('Its end: its last event before it was closed.'),
  }),
)

/** Closes a job whose program does not say how it ended. */
export function closeRoutes({ close, readTimeoutMs }: CloseOptions): Route[] {
  const intake = smallIntake(readTimeoutMs)
  return [
    {
      method: 'post',
      path: '/v1/jobs/{id}/close',
      id: uuidId,
      tag: 'Jobs',
      summary: 'Closes a job or subjob that waits or runs',
      description:
        'Ends its attempt by an event like any other, of the source `local-api`: it happens now, and tells the last event of the job as its end. Closed as unknown, a job takes the end that its program reports, also one from before. The same request again changes nothing and is answered with `closed: false`. Who, when and why are kept.',
      scope: 'operate',
      body: {
        schema: closing,
        mediaTypes: ['application/json'],
        example: '{"status": "unknown", "reason": "node 7 was switched off", "by": "Kim"}',
      },
      answer: { 'application/json': [done] },
      problems: [400, 404, 409, 413, 415, 422, 503],
      async handle(c) {
        const id = uuidId.read(c)
        const { status = 'unknown', reason, by: name } = await readJsonBody(c, intake, closing)
        const by = { actor: nameActor(c, name), address: addressOf(c) }
        const closed = await close(id, { status, reason, ...by })
        return c.json({
          ok: true,
          closed: closed.closed,
          status: closed.status,
          ended_at: closed.endedAt,
        })
      },
    },
  ]
}
