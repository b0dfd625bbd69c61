import type { Context } from 'hono'
import { AppError } from '../core/errors.ts'
import type { Event } from '../core/event.ts'
import { parseJson } from '../core/json.ts'
import { type EventLimits, type FirstHop, type ReadEvent, readEvent } from '../core/read-event.ts'
import { fromMs, type Micros } from '../core/time.ts'
import { type BodyLimits, readBody } from '../platform/body.ts'
import type { Metrics } from '../platform/metrics.ts'
import { activeTraceparent, inTracesOf } from '../platform/tracing.ts'
import { ingestBatch, ingestEvent } from './ingest-declarations.ts'
import type { Route } from './route.ts'

/** An event that passed the first door, with its JSON. */
export type Admitted = { event: Event; json: string }

/** What became of an event. `later` was not kept and may be sent again unchanged. */
export type IngestVerdict =
  | { kind: 'stored' }
  | { kind: 'duplicate' }
  | { kind: 'later'; detail: string; field?: string }
  | { kind: 'refused'; field: string; detail: string }

/**
 * Makes events durable: the sidecar appends them to its spool, the local API stores them. Resolves
 * with a verdict per event once what is `stored` survives a crash.
 */
export type Accept = (items: readonly Admitted[]) => Promise<IngestVerdict[]>

export type IngestOptions = {
  accept: Accept
  metrics: Metrics
  limits: BodyLimits & EventLimits & { maxBatchItems: number }
  /** When a job started, if this hop saw it; the sidecar fills it in. */
  startOf?: (id: string) => Micros | undefined
  /** Whether answers tell how long it took; the local API's do. */
  timed?: boolean
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
 * The routes that take events, as wire.md has them. Each event gets a verdict of its own; a bad one
 * never costs a good one.
 */
export function ingestRoutes(options: IngestOptions): Route[] {
  return [
    { ...ingestEvent, handle: (c) => takeEvent(c, options) },
    { ...ingestBatch, handle: (c) => takeBatch(c, options) },
  ]
}

async function takeEvent(c: Context, options: IngestOptions): Promise<Response> {
  const startedAt = performance.now()
  const input = parseJson(await readBody(c.req.raw, options.limits))
  if (Array.isArray(input)) {
    throw new AppError('invalid', 'must be one event; send lists to /v1/ingest/events:batch')
  }
  const duplicate = await acceptOne(input, options)
  return c.json({ ok: true, duplicate, ...timing(options, startedAt) })
}

async function takeBatch(c: Context, options: IngestOptions): Promise<Response> {
  const startedAt = performance.now()
  const text = await readBody(c.req.raw, options.limits)
  const { maxBatchItems } = options.limits
  const inputs = readBatch(text, c.req.header('content-type') ?? '', maxBatchItems)
  const answer = await acceptMany(inputs, options)
  return c.json({ ok: true, ...answer, ...timing(options, startedAt) })
}

const timing = ({ timed }: IngestOptions, startedAt: number) =>
  timed ? { duration_s: Math.round((performance.now() - startedAt) * 1000) / 1e6 } : {}

const hopOf = ({ startOf }: IngestOptions): FirstHop => ({
  receivedAt: fromMs(performance.timeOrigin + performance.now()),
  traceparent: activeTraceparent(),
  ...(startOf ? { startOf } : {}),
})

/** @returns whether it was known before. @throws AppError when it was not kept */
async function acceptOne(input: unknown, options: IngestOptions): Promise<boolean> {
  const read = readEvent(input, hopOf(options), options.limits)
  count(options.metrics, read)
  if (!read.ok) throw invalid(read)
  const [verdict] = await acceptTraced([read], options)
  countVerdict(options.metrics, read.event, verdict!)
  if (verdict!.kind === 'later') throw later(verdict!.detail)
  if (verdict!.kind === 'refused') throw invalid(verdict!)
  return verdict!.kind === 'duplicate'
}

const acceptTraced = (items: readonly Admitted[], { accept }: IngestOptions) =>
  inTracesOf(
    'ingest.accept',
    items.map(({ event }) => event.traceparent),
    () => accept(items),
  )

const invalid = ({ field, detail }: { field: string; detail: string }) =>
  new AppError('invalid', field === '' ? detail : `${field} ${detail}`, { field })

const later = (detail: string) => new AppError('overloaded', detail, { retryAfterS })

async function acceptMany(inputs: readonly unknown[], options: IngestOptions) {
  const reads = await readAll(inputs, options)
  const good = reads.flatMap((read, index) => (read.ok ? [{ read, index }] : []))
  const verdicts =
    good.length > 0
      ? await acceptTraced(
          good.map(({ read }) => read),
          options,
        )
      : []
  const byIndex = new Map(good.map(({ index }, i) => [index, verdicts[i]!]))
  if (good.length > 0 && good.length === reads.length) refuseFull(verdicts)
  const rejected: Rejected[] = []
  const tally = new Tally()
  let duplicates = 0
  reads.forEach((read, index) => {
    if (!read.ok) {
      const { idempotencyKey, field, detail } = read
      rejected.push({ index, idempotency_key: idempotencyKey, field, detail })
      return
    }
    const verdict = byIndex.get(index)!
    tally.add(read.event.event.kind, statusOf[verdict.kind])
    if (verdict.kind === 'duplicate') duplicates++
    const item = rejectedItem(index, read.event.idempotency_key, verdict)
    if (item) rejected.push(item)
  })
  tally.countIn(options.metrics)
  const failed = rejected.length
  return { total: reads.length, success: reads.length - failed, failed, duplicates, rejected }
}

/** When there is room for none of them, the plain answer of a full spool is clearer than a list. */
function refuseFull(verdicts: readonly IngestVerdict[]): void {
  const [first] = verdicts
  if (first?.kind !== 'later') return
  if (verdicts.every((v) => v.kind === 'later' && v.detail === first.detail)) {
    throw later(first.detail)
  }
}

function rejectedItem(index: number, key: string, verdict: IngestVerdict): Rejected | undefined {
  if (verdict.kind !== 'later' && verdict.kind !== 'refused') return undefined
  return {
    index,
    idempotency_key: key,
    field: verdict.field ?? '',
    detail: verdict.detail,
    ...(verdict.kind === 'later' ? { retryable: true } : {}),
  }
}

/** How many events are checked before others get their turn. */
const slice = 500

async function readAll(inputs: readonly unknown[], options: IngestOptions): Promise<ReadEvent[]> {
  const hop = hopOf(options)
  const reads: ReadEvent[] = []
  for (let i = 0; i < inputs.length; i++) {
    if (i > 0 && i % slice === 0) await new Promise(setImmediate)
    const input = inputs[i]
    const read =
      input instanceof BadLine
        ? ({ ok: false, idempotencyKey: null, field: '', detail: input.detail } as const)
        : readEvent(input, hop, options.limits)
    count(options.metrics, read)
    reads.push(read)
  }
  return reads
}

class BadLine {
  readonly detail: string
  constructor(detail: string) {
    this.detail = detail
  }
}

/** A JSON array, or NDJSON: one event a line, where a line that is no JSON fails alone. */
function readBatch(text: string, contentType: string, maxItems: number): unknown[] {
  const begin = text.trimStart()[0]
  if (begin === undefined)
    throw new AppError('unreadable', 'the body is empty; send a JSON array or NDJSON')
  const lines = /ndjson|jsonl|json-seq/i.test(contentType) || begin === '{'
  if (lines) return readLines(text, maxItems)
  const input = parseJson(text)
  if (!Array.isArray(input)) {
    throw new AppError('invalid', 'must be a JSON array of events, or NDJSON with an event a line')
  }
  if (input.length > maxItems) throw tooMany(maxItems)
  return input
}

const tooMany = (maxItems: number) =>
  new AppError('too_large', `over ${maxItems} events in one request; send at most so many`)

/** Reads no line beyond the limit: a few kilobytes of gzip hold millions of bad ones. */
function readLines(text: string, maxItems: number): unknown[] {
  const inputs: unknown[] = []
  for (let start = 0, end = 0; end < text.length; start = end + 1) {
    end = text.indexOf('\n', start)
    if (end === -1) end = text.length
    const line = text.slice(start, end)
    if (line.trim() === '') continue
    if (inputs.length === maxItems) throw tooMany(maxItems)
    try {
      inputs.push(parseJson(line))
    } catch (error) {
      inputs.push(new BadLine((error as Error).message.replace('the body', 'the line')))
    }
  }
  return inputs
}

function count(metrics: Metrics, read: ReadEvent): void {
  if (!read.ok) metrics.eventsProcessed.inc({ event_type: 'unknown', status: 'rejected' })
  else if (read.corrected) {
    metrics.eventsProcessed.inc({ event_type: read.event.event.kind, status: 'corrected' })
  }
}

const statusOf = {
  stored: 'accepted',
  duplicate: 'duplicate',
  later: 'shed',
  refused: 'rejected',
} as const

/** Counts a batch in one go: a counter with labels costs a microsecond each time. */
class Tally {
  readonly #counts = new Map<string, number>()

  add(kind: string, status: string): void {
    const name = `${kind} ${status}`
    this.#counts.set(name, (this.#counts.get(name) ?? 0) + 1)
  }

  countIn({ eventsProcessed }: Metrics): void {
    for (const [name, count] of this.#counts) {
      const [event_type = '', status = ''] = name.split(' ')
      eventsProcessed.inc({ event_type, status }, count)
    }
  }
}

function countVerdict(metrics: Metrics, { event }: Event, { kind }: IngestVerdict): void {
  metrics.eventsProcessed.inc({ event_type: event.kind, status: statusOf[kind] })
}
