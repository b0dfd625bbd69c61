import type { IncomingMessage } from 'node:http'
import type { Context } from 'hono'
import * as z from 'zod'
import type { Acceptance, Accepted } from '../core/accept.ts'
import { AppError } from '../core/errors.ts'
import { checkTree, parseJson } from '../core/json.ts'
import { must } from '../core/must.ts'
import { nameCaller, readCaller } from '../platform/auth.ts'
import { Intake } from '../platform/body.ts'
import { checkJsonType } from '../platform/callers.ts'
import { named, whole } from './answers.ts'
import { sourceId } from './path-id.ts'
import type { Route } from './route.ts'

export type AcceptOptions = {
  /** @throws AppError not_found, or conflict when there is nothing to accept */
  accept: (id: string, acceptance: Acceptance) => Promise<Accepted>
  readTimeoutMs: number
}

const textTo = (max: number, description: string) => {
  const message = `must be text of 1 to ${max} characters`
  return z.string(message).trim().min(1, message).max(max, message).describe(description)
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

const maxBytes = 16 * 1024

/** Accepts what a source has lost. */
export function acceptRoutes({ accept, readTimeoutMs }: AcceptOptions): Route[] {
  const intake = new Intake({ maxBytes, maxDecompressedBytes: maxBytes, readTimeoutMs })
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
        const { reason, by, missing } = await readBody(c, intake)
        const name = nameCaller(readCaller(c))
        const accepted = await accept(id, {
          ...{ reason, expected: missing, address: incoming(c).socket.remoteAddress ?? null },
          actor: by === undefined ? name : `${name}, ${by}`,
        })
        return c.json({ ok: true, ...accepted })
      },
    },
  ]
}

async function readBody(c: Context, intake: Intake): Promise<z.infer<typeof acceptance>> {
  checkJsonType(c.req.header('content-type'))
  const { text, done: release } = await intake.read(incoming(c), readCaller(c))
  try {
    const input = parseJson(text)
    const fault = checkTree(input, 2)
    if (fault) throw invalid(fault.field, fault.detail)
    const read = acceptance.safeParse(input)
    if (read.success) return read.data
    const [issue] = read.error.issues
    throw invalid(issue?.path.join('.') ?? '', issue?.message ?? '')
  } finally {
    release()
  }
}

const incoming = ({ env }: Context): IncomingMessage =>
  must((env as { incoming?: IncomingMessage }).incoming, 'the app is served by node:http')

const invalid = (field: string, detail: string) =>
  new AppError('invalid', `${field} ${detail}`.trim(), { field })
