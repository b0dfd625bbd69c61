import { Webhook } from 'standardwebhooks'
import { runPeer } from '../peer.ts'
import { toSeen } from '../seen.ts'

/*
 * A receiver of webhooks that verifies each by `standardwebhooks`. It knows an event by its `webhook-id`, or in a batch
 * by key and time.
 */

type Event = Parameters<typeof toSeen>[1] & { event: { at: string } }

runPeer<{ secret: string; batch: boolean }>(({ options: { secret, batch } }) => {
  const reader = new Webhook(secret)
  return {
    isEvents: ({ path }) => path === '/',
    takesBy200: true,
    read({ headers, body }) {
      const found = reader.verify(body, headers as Record<string, string>)
      if (!batch) return [toSeen(String(headers['webhook-id']), found as Event)]
      const { events, count } = found as { events: Event[]; count: number }
      if (count !== events.length) throw new Error(`count ${count} of ${events.length}`)
      return events.map((one) => toSeen(`${one.event.at} ${one.idempotency_key}`, one))
    },
    other: () => ({ status: 404 }),
    answer: () => ({ status: 204 }),
    // To a single event it is a refusal: not all of them.
    tooLarge: (events) =>
      (batch ? events.length > 5 : (events[0]?.seq ?? 0) % 3 === 0)
        ? { status: 413, body: 'planted' }
        : undefined,
  }
})
