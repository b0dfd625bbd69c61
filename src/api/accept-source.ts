import * as z from 'zod'
import type { Acceptance, Accepted } from '../core/accept.ts'
import { named, whole } from './answers.ts'
import { addressOf, nameActor, readJsonBody, smallIntake, textTo } from './json-body.ts'
import { sourceId } from './path-id.ts'
import type { Route } from './route.ts'

export type AcceptOptions = {
  /** @throws AppError not_found, or conflict when there is nothing to accept */
  accept: (id: string, acceptance: Acceptance) => Promise<Accepted>
  readTimeoutMs: number
}

const acceptance = named(
  'Acceptance',
  z.object({
    reason: textTo(500, 'Why the loss is accepted; kept in the audit.'),
    by: textTo(100, 'Who accepts it, beside the token.').optional(),
    missing: z
      .int()
      .min(0)
      .optional()
      .describe(
        'How many events were missing in all openings of the source when you looked: with another number nothing is done.',
      ),
  }),
)

const done = named(
  'SourceAccepted',
  z.object({
    ok: z.literal(true),
    accepted: whole('Missing events that were accepted as lost.'),
    retired: z.boolean().describe('It was silent or never reported, and is expected no longer.'),
  }),
)

/** Accepts what a source has lost. */
export function acceptRoutes({ accept, readTimeoutMs }: AcceptOptions): Route[] {
  const intake = smallIntake(readTimeoutMs)
  return [
    {
      method: 'post',
      path: '/v1/sources/{id}/accept',
      id: sourceId,
      tag: 'Pipeline',
      summary: 'Accepts what a source has lost',
      description:
        'Its missing events no longer count as missing, and one that is silent, or never reported and has not delivered for 10 min, retires, with what it may still hold. Numbers that came with two events are accepted too. They stay in the ledger, as accepted; an event that arrives later counts as received. Who, when and why are kept.',
      scope: 'operate',
      body: {
        schema: acceptance,
        mediaTypes: ['application/json'],
        example: '{"reason": "disk of node 7 was replaced", "by": "Kim"}',
      },
      answer: { 'application/json': [done] },
      problems: [400, 404, 409, 413, 415, 422, 503],
      async handle(c) {
        const id = sourceId.read(c)
        const { reason, by, missing } = await readJsonBody(c, intake, acceptance)
        const accepted = await accept(id, {
          ...{ reason, expected: missing, address: addressOf(c) },
          actor: nameActor(c, by),
        })
        return c.json({ ok: true, ...accepted })
      },
    },
  ]
}
