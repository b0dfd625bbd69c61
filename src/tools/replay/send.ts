import { Backoff, sleep } from '../../platform/backoff.ts'

/** What became of the events so far. */
export type Tally = {
  accepted: number
  duplicates: number
  rejected: Map<string, number>
  retries: number
}

type Answer = {
  total: number
  duplicates: number
  rejected: { index: number; field: string; detail: string; retryable?: boolean }[]
}

/**
 * Sends a batch until each of its events is taken, known, or refused for good, and no later batch
 * before that: order is kept. Ends early only when the signal aborts.
 */
export async function sendAll(
  url: string,
  events: readonly object[],
  tally: Tally,
  signal: AbortSignal,
): Promise<void> {
  const backoff = new Backoff({ firstMs: 200, maxMs: 10_000 })
  let left = events
  while (left.length > 0 && !signal.aborted) {
    const answer = await post(url, left, signal)
    if (answer.ok) left = settle(left, answer.ok, tally)
    if (left.length === 0) return
    tally.retries++
    await sleep(Math.max(backoff.next(), answer.waitMs), signal)
  }
}

async function post(
  url: string,
  events: readonly object[],
  signal: AbortSignal,
): Promise<{ ok?: Answer; waitMs: number }> {
  try {
    const response = await fetch(`${url}/v1/ingest/events:batch`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify(events),
      signal: AbortSignal.any([signal, AbortSignal.timeout(30_000)]),
    })
    const body = (await response.json()) as Answer
    if (response.status === 200 && body.total === events.length) return { ok: body, waitMs: 0 }
    return { waitMs: Number(response.headers.get('retry-after') ?? 0) * 1000 }
  } catch {
    return { waitMs: 0 }
  }
}

/** @returns what is to be sent again */
function settle(events: readonly object[], answer: Answer, tally: Tally): object[] {
  const again: object[] = []
  for (const { index, field, detail, retryable } of answer.rejected) {
    if (retryable) again.push(events[index]!)
    else {
      const why = `${field} ${detail}`.trim()
      tally.rejected.set(why, (tally.rejected.get(why) ?? 0) + 1)
    }
  }
  tally.duplicates += answer.duplicates
  tally.accepted += answer.total - answer.duplicates - answer.rejected.length
  return again
}
