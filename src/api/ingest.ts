import type { IncomingMessage } from 'node:http'
import type { Context } from 'hono'
import type { Accept, Admitted, Verdict } from '../core/admission.ts'
import { AppError } from '../core/errors.ts'
import { isPlain, parseJson } from '../core/json.ts'
import { ensure, must } from '../core/must.ts'
import { type EventLimits, type FirstHop, type ReadEvent, readEvent } from '../core/read-event.ts'
import type { Sender } from '../core/sender.ts'
import { fromMs, type Micros } from '../core/time.ts'
import { type BodyLimits, readBody } from '../platform/body.ts'
import { checkJsonType } from '../platform/callers.ts'
import type { Metrics } from '../platform/metrics.ts'
import { activeTraceparent, runInTraces } from '../platform/tracing.ts'
import { ingestBatch, ingestEvent } from './ingest-declarations.ts'
import { IngestTally } from './ingest-tally.ts'
import { BadLine, type Batch, readBatch } from './read-batch.ts'
import type { Declaration, Route } from './route.ts'

export type IngestOptions = {
  accept: Accept
  metrics: Metrics
  /** The rights of a caller, by its Authorization header. */
  senderOf: (authorization: string | undefined) => Sender
  limits: BodyLimits & EventLimits & { maxBatchItems: number }
  /** When a job started, if this hop saw it; the sidecar fills it in. */
  startOf?: (id: string) => Micros | undefined
  /** Answers say how long they took; the local API's do. */
  timed?: boolean
  /** Events are forwarded as JSON, as the sidecar does: their texts are worth keeping. */
  forwards?: boolean
}

/** How soon to come back when there was no room, in seconds. */
const retryAfterS = 5

type Rejected = {
  index: number
  idempotency_key: string | null
  field: string
  detail: string
  retryable?: true
}

/**
 * The routes that take events (docs/wire.md, section 3). Each event gets a verdict of its own; a bad
 * one never costs a good one. Both are answered before the framework, see platform/bare-routes.ts.
 */
export function ingestRoutes(options: IngestOptions): Route[] {
  return [
    toRoute(ingestEvent, options, (text, request) => takeOne(text, request, options)),
    toRoute(ingestBatch, options, (text, request) => takeBatch(text, request, options)),
  ]
}

type Take = (text: string, request: IncomingMessage) => Promise<object>

function toRoute(declaration: Declaration, { limits, timed }: IngestOptions, take: Take): Route {
  const bare = async (request: IncomingMessage) => {
    const startedAt = performance.now()
    checkJsonType((name) => request.headers[name] as string | undefined)
    const said = await take(await readBody(request, limits), request)
    return timed ? { ...said, duration_s: secondsSince(startedAt) } : said
  }
  return { ...declaration, bare, handle: async (c) => c.json(await bare(incoming(c))) }
}

const incoming = ({ env }: Context): IncomingMessage =>
  must((env as { incoming?: IncomingMessage }).incoming, 'the app is served by node:http')

const secondsSince = (startedAt: number) => Math.round((performance.now() - startedAt) * 1000) / 1e6

const toHop = (request: IncomingMessage, { startOf, senderOf }: IngestOptions): FirstHop => ({
  sender: senderOf(request.headersDistinct.authorization?.join(', ')),
  receivedAt: fromMs(performance.timeOrigin + performance.now()),
  traceparent: activeTraceparent(),
  ...(startOf ? { startOf } : {}),
})

async function takeOne(
  text: string,
  request: IncomingMessage,
  options: IngestOptions,
): Promise<object> {
  const { metrics, limits, forwards } = options
  const input = parseJson(text)
  if (Array.isArray(input)) {
    throw new AppError('invalid', 'must be one event; send lists to /v1/ingest/events:batch')
  }
  const tally = new IngestTally()
  const own = forwards ? text.trim() : undefined
  const read = tally.see(readEvent(input, toHop(request, options), limits, isPlain(text), own))
  try {
    if (!read.ok) throw invalid(read)
    const [verdict] = await acceptTraced([read], options)
    tally.add(read.event, must(verdict, 'accept gives a verdict per event'))
    return { ok: true, duplicate: isDuplicate(verdict) }
  } finally {
    tally.countIn(metrics)
  }
}

/** @throws AppError when the event was not kept */
function isDuplicate(verdict: Verdict | undefined): boolean {
  if (typeof verdict !== 'object') return verdict === 'duplicate'
  throw 'later' in verdict ? later(verdict.later) : invalid({ field: '', detail: verdict.refused })
}

async function acceptTraced(items: readonly Admitted[], { accept }: IngestOptions) {
  const traces = items.map(({ event }) => event.traceparent)
  const verdicts = await runInTraces('ingest.accept', traces, () => accept(items))
  ensure(verdicts.length === items.length, 'accept gives a verdict per event')
  return verdicts
}

const invalid = ({ field, detail }: { field: string; detail: string }) =>
  new AppError('invalid', field === '' ? detail : `${field} ${detail}`, { field })

const later = (detail: string) => new AppError('overloaded', detail, { retryAfterS })

async function takeBatch(
  text: string,
  request: IncomingMessage,
  options: IngestOptions,
): Promise<object> {
  const { limits, forwards = false } = options
  const batch = readBatch(
    text,
    request.headers['content-type'] ?? '',
    limits.maxBatchItems,
    forwards,
  )
  const tally = new IngestTally()
  try {
    const reads = await readAll(
      batch,
      isPlain(text),
      { ...options, hop: toHop(request, options) },
      tally,
    )
    const good = reads.filter((read) => read.ok)
    const verdicts = good.length > 0 ? await acceptTraced(good, options) : []
    if (good.length === reads.length) refuseFull(verdicts)
    return answerBatch(reads, verdicts, tally)
  } finally {
    tally.countIn(options.metrics)
  }
}

/** @param verdicts of the good ones, in order */
function answerBatch(
  reads: readonly ReadEvent[],
  verdicts: readonly Verdict[],
  tally: IngestTally,
): object {
  const rejected: Rejected[] = []
  let duplicates = 0
  let next = 0
  for (const [index, read] of reads.entries()) {
    if (!read.ok) {
      const { idempotencyKey, field, detail } = read
      rejected.push({ index, idempotency_key: idempotencyKey, field, detail })
      continue
    }
    const verdict = must(verdicts[next++], 'accept gives a verdict per event')
    tally.add(read.event, verdict)
    if (verdict === 'duplicate') duplicates++
    if (typeof verdict === 'object') {
      rejected.push(toRejected(index, read.event.idempotency_key, verdict))
    }
  }
  const [total, failed] = [reads.length, rejected.length]
  const stamps = reads.some((read) => read.ok && read.unstamped) ? { stamps: 'ignored' } : {}
  return { ok: true, total, success: total - failed, failed, duplicates, rejected, ...stamps }
}

const toRejected = (index: number, key: string, verdict: Verdict & object): Rejected =>
  'later' in verdict
    ? { index, idempotency_key: key, field: '', detail: verdict.later, retryable: true }
    : { index, idempotency_key: key, field: '', detail: verdict.refused }

/** When there is room for none of them, the plain answer of a full spool is clearer than a list. */
function refuseFull(verdicts: readonly Verdict[]): void {
  const [first] = verdicts
  if (typeof first !== 'object' || !('later' in first)) return
  const isSame = (v: Verdict) => typeof v === 'object' && 'later' in v && v.later === first.later
  if (verdicts.every(isSame)) throw later(first.later)
}

/** How many events are checked before others get their turn. */
const slice = 500

async function readAll(
  { inputs, texts }: Batch,
  plain: boolean,
  { hop, limits }: IngestOptions & { hop: FirstHop },
  tally: IngestTally,
): Promise<ReadEvent[]> {
  const reads: ReadEvent[] = []
  for (let i = 0; i < inputs.length; i++) {
    if (i > 0 && i % slice === 0) await new Promise(setImmediate)
    const input = inputs[i]
    const read: ReadEvent =
      input instanceof BadLine
        ? { ok: false, idempotencyKey: null, field: '', detail: input.detail }
        : readEvent(input, hop, limits, plain, texts?.[i])
    reads.push(tally.see(read))
  }
  return reads
}
