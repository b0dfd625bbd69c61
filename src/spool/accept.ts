import { AppError } from '../core/errors.ts'
import { type Event, isTick } from '../core/event.ts'
import type { StartTimes } from '../core/start-times.ts'
import { toMicros, toMs } from '../core/time.ts'
import { eventKey } from './seen-keys.ts'
import type { Append, AppendVerdict, Spool } from './spool.ts'

/** An event as the door lets it in, and its text as it will be forwarded. */
type Item = { event: Event; json: string }
type Verdict = { kind: 'stored' | 'duplicate' } | { kind: 'later'; detail: string }

/**
 * Appends to the spool and remembers the starts among what is new.
 *
 * @throws AppError overloaded when the disk fails; nothing was kept then
 */
export async function acceptInto(
  spool: Spool,
  items: readonly Item[],
  started: StartTimes,
): Promise<Verdict[]> {
  const verdicts = await spool.append(items.map(toAppend)).catch((cause: unknown) => {
    throw unwritable(cause)
  })
  return verdicts.map((verdict, i) => {
    if (verdict === 'stored') started.see(items[i]!.event)
    return verdictOf(verdict, spool)
  })
}

/**
 * Puts a reject back at the end of the spool.
 *
 * @returns false when there is no such reject
 * @throws AppError overloaded when the disk fails; it stays a reject then
 */
export function retryIn(spool: Spool, id: number): boolean {
  try {
    return spool.retryReject(id)
  } catch (error) {
    throw unwritable(error)
  }
}

const unwritable = (cause: unknown) =>
  new AppError('overloaded', 'the spool cannot be written', { cause, retryAfterS: 5 })

/** The sender's own time is part of the identity: a correction differs from one retry to the next. */
function toAppend({ event, json }: Item): Append {
  const { idempotency_key, event: body, received_at, source } = event
  return {
    key: eventKey(idempotency_key, toMicros(body.reported_at ?? body.at)),
    body: json,
    receivedMs: Math.floor(toMs(received_at)),
    tick: isTick(body.kind),
    stamped: !!source,
  }
}

function verdictOf(verdict: AppendVerdict, spool: Spool): Verdict {
  if (verdict === 'shed') {
    return {
      kind: 'later',
      detail: 'the spool is filling up: no progress and metric events for now',
    }
  }
  if (verdict === 'full') return { kind: 'later', detail: spool.trouble ?? 'the spool is full' }
  return { kind: verdict }
}
