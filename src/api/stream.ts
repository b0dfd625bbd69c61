import type { Context } from 'hono'
import { AppError } from '../core/errors.ts'
import { type Route, route } from './route.ts'
import { streamParams } from './stream-frames.ts'
import { StreamReaders, type StreamRouteOptions } from './stream-readers.ts'

/** Events as they are committed, as server-sent events. */
export function streamRoutes(options: StreamRouteOptions): Route[] {
  // The documents are made from routes without options.
  let open: StreamReaders | undefined
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
      handle: (c, { last_event_id, ...filter }) => {
        if (c.req.method === 'HEAD') return c.body(null, 200, headers)
        const { maxClients = 1000 } = options
        open ??= new StreamReaders(options)
        if (open.count >= maxClients) {
          throw new AppError('overloaded', `the stream already has ${maxClients} readers`, {
            retryAfterS: 10,
          })
        }
        const after = c.req.header('last-event-id') ?? last_event_id
        return c.body(open.open(filter, after || undefined, toConnection(c)), 200, headers)
      },
    }),
  ]
}

const headers = {
  'content-type': 'text/event-stream; charset=utf-8',
  'x-accel-buffering': 'no',
}

const toConnection = (c: Context) => ({
  signal: c.req.raw.signal,
  breakOff: () => {
    const { outgoing } = (c.env ?? {}) as { outgoing?: { destroy(): void } }
    outgoing?.destroy()
  },
})
