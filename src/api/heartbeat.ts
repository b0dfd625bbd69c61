import * as z from 'zod'
import { AppError } from '../core/errors.ts'
import { type Heartbeat, heartbeatSchema, normalizeHeartbeat } from '../core/heartbeat.ts'
import { checkTree, parseJson } from '../core/json.ts'
import { checkSender, type Sender } from '../core/sender.ts'
import type { Micros } from '../core/time.ts'
import { Intake } from '../platform/body.ts'
import { clock } from '../platform/clock.ts'
import { named } from './answers.ts'
import { toDoor } from './ingest.ts'
import type { Declaration, Route } from './route.ts'

export type HeartbeatOptions = {
  /** Keeps it. */
  save: (said: Heartbeat, receivedAt: Micros) => Promise<void>
  /** Longest time for the body to arrive, in milliseconds. */
  readTimeoutMs: number
}

/** Of a hundred sinks with long names it has a quarter of this. */
const maxBytes = 64 * 1024
const maxDepth = 8

const kept = named(
  'Kept',
  z.object({
    ok: z.literal(true),
    stamps: z
      .literal('ignored')
      .optional()
      .describe('The token lacks the scope `forward`: the heartbeat was not kept.'),
  }),
)

const declaration = {
  method: 'post',
  path: '/v1/ingest/heartbeat',
  tag: 'Ingest',
  summary: 'Takes what a sidecar says of its spool',
  description:
    'Sent every ten seconds, also while events are refused. A source that sent one and then none for 30 s is silent. Kept only of callers that may forward: it is a stamp.',
  scope: 'ingest',
  body: {
    schema: named('Heartbeat', heartbeatSchema),
    mediaTypes: ['application/json'],
    example: JSON.stringify(
      {
        source: { id: 'b94d27b9', epoch: '20260301T120000000Z-5f0c41c2b7e80193', seq: 4711 },
        site_id: 'fab1',
        at: '2026-03-01T12:00:05.250000Z',
        waiting: 12,
        oldest_at: '2026-03-01T12:00:04.100000Z',
        rejects: 0,
        sinks: [{ name: 'local-api', lag_events: 12, lag_s: 1.15, state: 'ok' }],
        version: '1.0.0',
        spool: { bytes: 40_960, max_bytes: 1_073_741_824 },
        host: 'node7',
      },
      null,
      2,
    ),
  },
  answer: { 'application/json': [kept] },
  problems: [400, 409, 413, 415, 422, 503],
} satisfies Declaration

/** The route by which sidecars say how they are. */
export function heartbeatRoutes({ save, readTimeoutMs }: HeartbeatOptions): Route[] {
  let made: Intake | undefined
  const intake = () => {
    made ??= new Intake({ maxBytes, maxDecompressedBytes: maxBytes, readTimeoutMs })
    return made
  }
  return [
    toDoor(declaration, {}, intake, async (text, { caller: { sender } }) => {
      const receivedAt = clock.now()
      const said = readHeartbeat(text)
      if (!sender.mayForward) return { ok: true, stamps: 'ignored' }
      checkRights(said, sender)
      await save(said, receivedAt)
      return { ok: true }
    }),
  ]
}

/** @throws AppError unreadable or invalid, naming the field */
function readHeartbeat(text: string): Heartbeat {
  const input = parseJson(text)
  const fault = checkTree(input, maxDepth)
  if (fault) throw invalid(fault)
  const read = heartbeatSchema.safeParse(input)
  if (read.success) return normalizeHeartbeat(read.data)
  const [issue] = read.error.issues
  throw invalid({ field: issue?.path.join('.') ?? '', detail: issue?.message ?? '' })
}

/** @throws AppError forbidden for another source or site than those of the token */
function checkRights({ source, site_id }: Heartbeat, sender: Sender): void {
  const [anySite] = sender.sites ?? ['']
  const foreign = checkSender(site_id ?? anySite ?? '', source.id, sender)
  if (!foreign) return
  const { field, detail } = foreign
  throw new AppError('forbidden', `${field} ${detail}`, { field })
}

const invalid = ({ field, detail }: { field: string; detail: string }) =>
  new AppError('invalid', `${field} ${detail}`.trim(), { field })
