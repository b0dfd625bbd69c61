import { setTimeout as wait } from 'node:timers/promises'
import type { Context } from 'hono'
import type { Logger } from 'pino'
import * as z from 'zod'
import { AppError } from '../core/errors.ts'
import type { LiveBatch, LiveEvent, LiveFeed, LiveSites } from '../core/live.ts'
import type { Metrics } from '../platform/metrics.ts'
import { logSparsely } from '../platform/sparse-log.ts'
import { formatSse, formatSseComment } from '../platform/sse.ts'
import { appNameParam, siteParam } from './job-params.ts'
import { choice, text, uuid } from './query-params.ts'
import { type Route, route } from './route.ts'
import { streamBody } from './stream-body.ts'

const streamParams = z.object({
  site: siteParam('Only events of this site.'),
  app: appNameParam,
  entity_type: choice(['job', 'subjob'], 'Only events of jobs, or only of subjobs.').optional(),
  job_id: uuid('Only events of this job or subjob and of its subjobs.').optional(),
  last_event_id: text(8192, 'Resume after this id, for clients that cannot send Last-Event-ID.'),
})
type StreamFilter = z.infer<typeof streamParams>

/** Of one site, or of several. */
type Batch = LiveBatch | LiveSites

export type StreamRouteOptions = {
  feed: LiveFeed<Batch>
  metrics: Metrics
  log: Logger
  /** Ends every stream when the role stops. */
  stopping: AbortSignal
  /** Maximum concurrent readers (default 1000). */
  maxClients?: number
  /** Time between signs of life of a quiet stream, in milliseconds (default 15,000). */
  heartbeatMs?: number
  /** Maximum time a reader may take to read what it was sent, in milliseconds (default 10,000). */
  stallMs?: number
}

/** Events as they are committed, as server-sent events. */
export function streamRoutes(options: StreamRouteOptions): Route[] {
  const clients = { count: 0 }
  return [
    route({
      method: 'get',
      path: '/v1/stream',
      tag: 'Live',
      summary: 'Streams events as they are committed',
      description:
        'Server-sent events: `id` to resume from (send it as Last-Event-ID), `event` is the kind, `data` one event as JSON. `event: reset` means that events were missed; reload the lists. A comment is sent every 15 seconds. A reader that is too slow is disconnected and can resume.',
      scope: 'read',
      query: streamParams,
      answer: { 'text/event-stream': 'text' },
      problems: [422, 503],
      examples: [{ query: 'entity_type=job', about: 'jobs only' }],
      handle: (c, filter) => answerStream(c, filter, options, clients),
    }),
  ]
}

function answerStream(
  c: Context,
  filter: StreamFilter,
  options: StreamRouteOptions,
  clients: { count: number },
): Response {
  const { maxClients = 1000 } = options
  const headers = {
    'content-type': 'text/event-stream; charset=utf-8',
    'x-accel-buffering': 'no',
  }
  if (c.req.method === 'HEAD') return c.body(null, 200, headers)
  if (clients.count >= maxClients) {
    throw new AppError('overloaded', `the stream already has ${maxClients} readers`, {
      retryAfterS: 10,
    })
  }
  clients.count += 1
  const left = () => {
    clients.count -= 1
  }
  return c.body(bodyOf(c, filter, options, left), 200, headers)
}

function bodyOf(c: Context, filter: StreamFilter, options: StreamRouteOptions, left: () => void) {
  const { metrics, log, stallMs = 10_000 } = options
  const gone = new AbortController()
  const signal = AbortSignal.any([c.req.raw.signal, options.stopping, gone.signal])
  const after = c.req.header('last-event-id') ?? filter.last_event_id
  const pieces = follow(filter, after || undefined, options, signal)
  metrics.streamClients.inc()
  const counted = whenOver(pieces, () => {
    gone.abort()
    metrics.streamClients.dec()
    left()
  })
  return streamBody(c, counted, {
    stallMs,
    onStall: () => metrics.streamCutOff.inc(),
    onError: (error) => {
      const line = { level: 'warn', fields: { error }, event: 'live stream interrupted' } as const
      logSparsely(log, line.event, line)
    },
  })
}

/** Passes the pieces on; calls `over` once, however it ends, even before the first was read. */
function whenOver(pieces: AsyncGenerator<string>, over: () => void): AsyncGenerator<string> {
  let done = false
  const finish = () => {
    if (!done) over()
    done = true
  }
  const watched = {
    async next() {
      try {
        const result = await pieces.next()
        if (result.done) finish()
        return result
      } catch (error) {
        finish()
        throw error
      }
    },
    return(value: undefined) {
      // First: this ends by the signal what the generator waits for.
      finish()
      return pieces.return(value)
    },
  }
  return watched as unknown as AsyncGenerator<string>
}

/** Maximum characters of a piece of text that is passed on. */
const maxPiece = 65_536

async function* follow(
  filter: StreamFilter,
  after: string | undefined,
  { feed, heartbeatMs = 15_000 }: StreamRouteOptions,
  signal: AbortSignal,
): AsyncGenerator<string> {
  yield 'retry: 2000\n: this is the live stream\n\n'
  let position: string | undefined
  const quiet = new Quiet(heartbeatMs)
  for await (const batch of withHeartbeat(feed.subscribe({ after, signal }), quiet, signal)) {
    if (batch === 'alive') {
      // The id moves a reader on whose filter matches nothing: it would resume far in the past.
      yield formatSseComment('alive', position)
    } else if (batch === 'reset') {
      yield formatSse({ event: 'reset', data: '{}' })
    } else if ('missing' in batch) {
      yield formatSse({ event: 'sites', data: JSON.stringify(batch) })
    } else {
      position = batch.at(-1)?.id ?? position
      // Batches of which the filter lets nothing pass are silence to the reader.
      if (!(yield* texts(batch, filter))) continue
    }
    quiet.begin()
  }
}

/** The time since something was last sent to a reader. */
class Quiet {
  readonly #mostMs: number
  #since = performance.now()

  constructor(mostMs: number) {
    this.#mostMs = mostMs
  }

  begin(): void {
    this.#since = performance.now()
  }

  /** Until a sign of life is due, in milliseconds. */
  get leftMs(): number {
    return Math.max(0, this.#since + this.#mostMs - performance.now())
  }
}

/** @returns true when there was anything to send */
function* texts(batch: readonly LiveEvent[], filter: StreamFilter): Generator<string, boolean> {
  let piece = ''
  let any = false
  for (const { id, event } of batch) {
    if (!passes(event, filter)) continue
    any = true
    piece += formatSse({ id, event: kindOf(event), data: JSON.stringify(event) })
    if (piece.length < maxPiece) continue
    yield piece
    piece = ''
  }
  if (piece !== '') yield piece
  return any
}

type Envelope = {
  site_id?: string
  app?: { name?: string }
  entity?: { type?: string; id?: string; parent_id?: string | null }
  event?: { kind?: string }
}

const kindOf = (event: Envelope) => event.event?.kind ?? 'message'

function passes(envelope: Envelope, { site, app, entity_type, job_id }: StreamFilter): boolean {
  const { entity } = envelope
  const name = (envelope.app?.name ?? '').toLowerCase()
  return (
    (site === undefined || envelope.site_id === site) &&
    (app === undefined || name.includes(app.toLowerCase())) &&
    (entity_type === undefined || entity?.type === entity_type) &&
    (job_id === undefined || entity?.id === job_id || entity?.parent_id === job_id)
  )
}

/** The batches of a feed, and `alive` whenever it was quiet too long. Ends when the signal aborts. */
async function* withHeartbeat(
  batches: AsyncIterable<Batch>,
  quiet: Quiet,
  signal: AbortSignal,
): AsyncGenerator<Batch | 'alive'> {
  const iterator = batches[Symbol.asyncIterator]()
  let next = iterator.next()
  try {
    while (!signal.aborted) {
      const first = quiet.leftMs === 0 ? ('alive' as const) : await firstOf(next, quiet, signal)
      if (first === 'alive') yield first
      else if (first?.done) return
      else if (first) {
        yield first.value
        next = iterator.next()
      }
    }
  } finally {
    // The pending read ends by the signal, and no reader is left to see it fail.
    next.catch(() => {})
    void iterator.return?.().catch(() => {})
  }
}

/** What comes first: the next batch, or the moment at which a sign of life is due. */
async function firstOf<T>(next: Promise<T>, quiet: Quiet, signal: AbortSignal) {
  const pause = new AbortController()
  const either = AbortSignal.any([signal, pause.signal])
  const beat = wait(quiet.leftMs, 'alive' as const, { signal: either }).catch(() => undefined)
  const first = await Promise.race([next, beat])
  pause.abort()
  return first
}
