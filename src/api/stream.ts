import { setTimeout as wait } from 'node:timers/promises'
import { type Context, Hono } from 'hono'
import type { Logger } from 'pino'
import * as z from 'zod'
import { AppError } from '../core/errors.ts'
import type { LiveBatch, LiveEvent, LiveFeed, LiveSites } from '../core/live.ts'
import type { Metrics } from '../platform/metrics.ts'
import { siteParam } from './job-params.ts'
import { oneOf, readParams, text, uuid } from './query-params.ts'
import { streamBody } from './stream-body.ts'

/** What `GET /v1/stream` can be asked. */
export const streamParams = z.object({
  site: siteParam('Only events of this site.'),
  app: text(200, 'Contained in the name of the app, whatever its case.'),
  entity_type: oneOf(['job', 'subjob'], 'Only events of jobs, or of subjobs.').optional(),
  job_id: uuid('Only events of this job or subjob, and of its subjobs.').optional(),
  last_event_id: text(8192, 'Resume behind this id, for readers that cannot send Last-Event-ID.'),
})
type StreamFilter = z.infer<typeof streamParams>

/** Of one site, or of several. */
type Batch = LiveBatch | LiveSites

export type StreamRouteOptions = {
  feed: LiveFeed<Batch>
  metrics: Metrics
  log: Logger
  /** Ends every stream: the role is stopping. */
  stopping: AbortSignal
  /** Most readers at once; 1000. */
  maxClients?: number
  /** How often a quiet stream shows that it is alive, in milliseconds; 15,000. */
  heartbeatMs?: number
  /** Longest time a reader may take for what it was last sent, in milliseconds; 10,000. */
  stallMs?: number
}

/** Events as they are committed, as server-sent events. */
export function streamRoutes(options: StreamRouteOptions): Hono {
  const { maxClients = 1000 } = options
  let clients = 0
  return new Hono().get('/v1/stream', (c) => {
    const filter = readParams(c, streamParams)
    const headers = {
      'content-type': 'text/event-stream; charset=utf-8',
      'x-accel-buffering': 'no',
    }
    if (c.req.method === 'HEAD') return c.body(null, 200, headers)
    if (clients >= maxClients) {
      throw new AppError('overloaded', `there are already ${maxClients} readers of the stream`, {
        retryAfterS: 10,
      })
    }
    clients += 1
    const left = () => {
      clients -= 1
    }
    return c.body(streamOf(c, filter, options, left), 200, headers)
  })
}

function streamOf(c: Context, filter: StreamFilter, options: StreamRouteOptions, left: () => void) {
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
    onError: (error) => log.warn({ error }, 'live stream broken off'),
  })
}

/** Hands the pieces on; `over` is called once, however it ends: also before the first was asked for. */
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
      // First: what the generator waits for ends by the signal.
      finish()
      return pieces.return(value)
    },
  }
  return watched as unknown as AsyncGenerator<string>
}

/** Longest piece of text handed on at once, in characters. */
const maxPiece = 65_536

async function* follow(
  filter: StreamFilter,
  after: string | undefined,
  { feed, heartbeatMs = 15_000 }: StreamRouteOptions,
  signal: AbortSignal,
): AsyncGenerator<string> {
  yield 'retry: 2000\n: this is the live stream\n\n'
  let position = ''
  for await (const batch of withHeartbeat(feed.subscribe({ after, signal }), heartbeatMs, signal)) {
    if (batch === 'alive') {
      // The id moves a reader on whose filter lets nothing pass: it would resume from long ago.
      yield `${position}: alive\n\n`
    } else if (batch === 'reset') {
      yield 'event: reset\ndata: {}\n\n'
    } else if ('missing' in batch) {
      yield `event: sites\ndata: ${JSON.stringify(batch)}\n\n`
    } else {
      const last = batch.at(-1)
      if (last) position = idLine(last.id)
      yield* texts(batch, filter)
    }
  }
}

function* texts(batch: readonly LiveEvent[], filter: StreamFilter): Generator<string> {
  let piece = ''
  for (const { id, event } of batch) {
    if (!passes(event, filter)) continue
    piece += `${idLine(id)}event: ${kindOf(event)}\ndata: ${JSON.stringify(event)}\n\n`
    if (piece.length < maxPiece) continue
    yield piece
    piece = ''
  }
  if (piece !== '') yield piece
}

const idLine = (id: string) => `id: ${id.replaceAll(/[\r\n\0]/g, '')}\n`

type Envelope = {
  site_id?: string
  app?: { name?: string }
  entity?: { type?: string; id?: string; parent_id?: string | null }
  event?: { kind?: string }
}

const kindOf = (event: Envelope) => (event.event?.kind ?? 'message').replaceAll(/[\r\n]/g, '')

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

/** The batches of a feed, and `alive` whenever none came for a while. Ends when the signal aborts. */
async function* withHeartbeat(
  batches: AsyncIterable<Batch>,
  everyMs: number,
  signal: AbortSignal,
): AsyncGenerator<Batch | 'alive'> {
  const iterator = batches[Symbol.asyncIterator]()
  let next = iterator.next()
  try {
    while (!signal.aborted) {
      const pause = new AbortController()
      const either = AbortSignal.any([signal, pause.signal])
      const beat = wait(everyMs, 'alive' as const, { signal: either }).catch(() => undefined)
      const first = await Promise.race([next, beat])
      pause.abort()
      if (first === 'alive') yield first
      else if (first?.done) return
      else if (first) {
        yield first.value
        next = iterator.next()
      }
    }
  } finally {
    // What is still awaited ends by the signal; nobody is there to hear of its failure.
    next.catch(() => {})
    void iterator.return?.().catch(() => {})
  }
}
