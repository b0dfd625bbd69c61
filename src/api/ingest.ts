import type { IncomingMessage } from 'node:http'
import type { Context } from 'hono'
import type { Accept, Admitted, Verdict } from '../core/admission.ts'
import { AppError } from '../core/errors.ts'
import { isPlain, parseJson } from '../core/json.ts'
import { ensure, must } from '../core/must.ts'
import { type FirstHop, readEvent } from '../core/read-event.ts'
import { type Caller, readCaller } from '../platform/auth.ts'
import { Intake } from '../platform/body.ts'
import { checkJsonType } from '../platform/callers.ts'
import { clock } from '../platform/clock.ts'
import type { BodyLimits } from '../platform/collect.ts'
import type { EventCounts } from '../platform/effect.ts'
import type { Metrics } from '../platform/metrics.ts'
import { activeTraceparent, runInTraces } from '../platform/tracing.ts'
import { Gate, Turns } from '../platform/turns.ts'
import { ingestBatch, ingestEvent } from './ingest-declarations.ts'
import { IngestTally } from './ingest-tally.ts'
import { type BatchLimits, readBatch, refuseHuge } from './read-batch.ts'
import type { Declaration, Route } from './route.ts'
import { later, takeBatch } from './take-batch.ts'

export type IngestOptions = {
  accept: Accept
  metrics: Metrics
  /** Outcomes of the last minutes, for health. */
  recent: EventCounts
  limits: BodyLimits & BatchLimits
  /** When a job started, if this hop saw it; the sidecar fills it in. */
  startOf?: NonNullable<FirstHop['startOf']>
  /** Answers say how long they took; the local API's do. */
  timed?: boolean
  /** Events are forwarded as JSON, as the sidecar does: their texts are worth keeping. */
  forwards?: boolean
}

/** Bodies below this are read in the turn in which they arrived. */
const smallText = 64 * 1024

/**
 * The routes that take events (docs/wire.md, section 3). Each event gets a verdict of its own; a bad
 * one never costs a good one. Both are answered before the framework, see platform/bare-routes.ts.
 */
export function ingestRoutes(options: IngestOptions): Route[] {
  const turns = new Turns()
  // One is read while the other is committed.
  const parts = new Gate(2)
  const one: Take = (text, from) =>
    text.length > smallText
      ? turns.next().then(() => takeOne(text, from, options))
      : takeOne(text, from, options)
  const batch: Take = async (text, from) => {
    const { request } = from
    if (text.length > smallText) await turns.next()
    const items = readBatch(text, request.headers['content-type'] ?? '', options.limits)
    const accept = (some: readonly Admitted[]) => acceptTraced(some, options)
    const isGone = () => request.socket.destroyed
    return takeBatch(items, {
      ...options,
      hop: toHop(from, options),
      isGone,
      turns,
      parts,
      accept,
    })
  }
  let made: Intake | undefined
  const intake = () => {
    made ??= new Intake(options.limits)
    return made
  }
  return [toDoor(ingestEvent, options, intake, one), toDoor(ingestBatch, options, intake, batch)]
}

type From = { request: IncomingMessage; caller: Caller }
/** What answers a body. */
type Take = (text: string, from: From) => Promise<object>

/** A route whose body is JSON, under the limits of `intake`; answered before the framework too. */
export function toDoor(
  declaration: Declaration,
  { timed = false }: Pick<IngestOptions, 'timed'>,
  intake: () => Intake,
  take: Take,
): Route {
  const bare = async (request: IncomingMessage, caller: Caller) => {
    const startedAt = performance.now()
    checkJsonType(request.headers['content-type'])
    const { text, done } = await intake().read(request, caller)
    try {
      const said = await take(text, { request, caller })
      return timed ? { ...said, duration_s: secondsSince(startedAt) } : said
    } finally {
      done()
    }
  }
  return {
    ...declaration,
    bare,
    handle: async (c) => c.json(await bare(incoming(c), readCaller(c))),
  }
}

const incoming = ({ env }: Context): IncomingMessage =>
  must((env as { incoming?: IncomingMessage }).incoming, 'the app is served by node:http')

const secondsSince = (startedAt: number) => Math.round((performance.now() - startedAt) * 1000) / 1e6

const toHop = ({ caller }: From, { startOf }: IngestOptions): FirstHop => ({
  sender: caller.sender,
  receivedAt: clock.now(),
  traceparent: activeTraceparent(),
  ...(startOf ? { startOf } : {}),
})

async function takeOne(text: string, from: From, options: IngestOptions): Promise<object> {
  const { metrics, limits, forwards, recent } = options
  const huge = refuseHuge(text, { start: 0, end: text.length }, limits)
  const input = huge ? undefined : parseJson(text)
  if (huge ? text.trimStart().startsWith('[') : Array.isArray(input)) {
    throw new AppError('invalid', 'must be one event; send lists to /v1/ingest/events:batch')
  }
  const tally = new IngestTally()
  const own = forwards ? text.trim() : undefined
  const read = tally.see(
    huge
      ? { ok: false, idempotencyKey: null, ...huge }
      : readEvent(input, toHop(from, options), limits, isPlain(text), own),
  )
  try {
    if (!read.ok) throw invalid(read)
    const [verdict] = await acceptTraced([read], options)
    tally.add(read.event, must(verdict, 'accept gives a verdict per event'))
    const answer = { ok: true, duplicate: isDuplicate(verdict) }
    return read.truncated ? { ...answer, truncated: true } : answer
  } finally {
    tally.countIn(metrics, recent)
  }
}

/** @throws AppError when the event was not kept */
function isDuplicate(verdict: Verdict | undefined): boolean {
  if (typeof verdict !== 'object') return verdict === 'duplicate'
  throw 'later' in verdict ? later(verdict.later) : invalid({ field: '', detail: verdict.refused })
}

async function acceptTraced(items: readonly Admitted[], { accept, recent }: IngestOptions) {
  const traces = items.map(({ event }) => event.traceparent)
  const verdicts = await runInTraces('ingest.accept', traces, () => accept(items)).catch(
    (error: unknown) => {
      recent.add('failed', items.length)
      throw error
    },
  )
  ensure(verdicts.length === items.length, 'accept gives a verdict per event')
  return verdicts
}

const invalid = ({ field, detail }: { field: string; detail: string }) =>
  new AppError('invalid', field === '' ? detail : `${field} ${detail}`, { field })
