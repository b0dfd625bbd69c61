import { zstdDecompressSync } from 'node:zlib'
import { runPeer } from '../peer.ts'
import { toSeen } from '../seen.ts'

/* A local API. It knows an event by its key and its time, as the real one does. */

type Event = Parameters<typeof toSeen>[1] & { event: { at: string } }

runPeer(() => ({
  isEvents: ({ path }) => path === '/v1/ingest/events:batch',
  read: ({ body }) =>
    (JSON.parse(String(zstdDecompressSync(body))) as Event[]).map((one) =>
      toSeen(`${one.event.at} ${one.idempotency_key}`, one),
    ),
  other: () => ({ status: 404 }),
  answer(events, taken) {
    const rejected = events.flatMap((_, index) =>
      taken[index] ? [] : { index, field: '', detail: 'planted', retryable: true },
    )
    const success = events.length - rejected.length
    return {
      status: 200,
      body: { total: events.length, success, failed: rejected.length, rejected },
    }
  },
  tooLarge: ({ length }) =>
    length > 5
      ? { status: 413, body: { type: 'urn:wafermon:problem:planted', detail: 'planted' } }
      : undefined,
}))
