import { Backoff, sleep } from '../../platform/backoff.ts'
import { refusal, type Sidecar, tokenHeader, unreachable } from '../sidecar.ts'

/** The outcomes of the events so far. */
export type Tally = {
  accepted: number
  duplicates: number
  rejected: Map<string, number>
  retries: number
}

/** Where events go, and who is told why they wait. */
export type Way = { sidecar: Sidecar; signal: AbortSignal; onWait: (why: string) => void }

type Answer = {
  total: number
  duplicates: number
  rejected: { index: number; field: string; detail: string; retryable?: boolean }[]
}

/** Longest that one request may take. */
const timeoutMs = 30_000

/**
 * Sends a batch until each of its events is taken, known, or refused for good, and no later batch
 * before that: order is kept. Ends early only when the signal aborts.
 *
 * @throws AppError when waiting would not help: a token is missing, or it is not a sidecar
 */
export async function sendAll(way: Way, events: readonly object[], tally: Tally): Promise<void> {
  const { signal } = way
  const backoff = new Backoff({ firstMs: 200, maxMs: 10_000 })
  let left = events
  while (left.length > 0 && !signal.aborted) {
    const answer = await post(way, left)
    if (answer === 'too large') return sendHalves(way, left, tally)
    if ('total' in answer) left = settle(left, answer, tally)
    if (left.length === 0 || signal.aborted) return
    tally.retries++
    way.onWait('why' in answer ? answer.why : 'the sidecar accepts no more events for now')
    await sleep(Math.max(backoff.next(), 'waitMs' in answer ? answer.waitMs : 0), signal)
  }
}

async function sendHalves(way: Way, events: readonly object[], tally: Tally): Promise<void> {
  if (events.length === 1) return count(tally, 'larger than the sidecar accepts')
  const half = Math.ceil(events.length / 2)
  await sendAll(way, events.slice(0, half), tally)
  await sendAll(way, events.slice(half), tally)
}

type Wait = { why: string; waitMs: number }

async function post(
  { sidecar, signal }: Way,
  events: readonly object[],
): Promise<Answer | Wait | 'too large'> {
  const { url } = sidecar
  const response = await fetch(`${url}/v1/ingest/events:batch`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', ...tokenHeader(sidecar) },
    body: JSON.stringify(events),
    signal: AbortSignal.any([signal, AbortSignal.timeout(timeoutMs)]),
  }).catch((error: unknown) => unreachable(url, error))
  if (response instanceof Error) return { why: response.message, waitMs: 0 }
  const body = (await response.json().catch(() => undefined)) as Partial<Answer> | undefined
  if (response.status === 200 && body?.total === events.length) return body as Answer
  if (response.status === 413) return 'too large'
  const error = refusal(url, response.status, body)
  if ([401, 403, 404, 405].includes(response.status)) throw error
  return {
    why: error.message,
    waitMs: Math.min(timeoutMs, Number(response.headers.get('retry-after') ?? 0) * 1000 || 0),
  }
}

/** @returns what is to be sent again */
function settle(events: readonly object[], answer: Answer, tally: Tally): object[] {
  const again: object[] = []
  for (const { index, field, detail, retryable } of answer.rejected) {
    if (retryable) again.push(events[index]!)
    else count(tally, `${field} ${detail}`.trim())
  }
  tally.duplicates += answer.duplicates
  tally.accepted += answer.total - answer.duplicates - answer.rejected.length
  return again
}

const count = ({ rejected }: Tally, why: string) =>
  void rejected.set(why, (rejected.get(why) ?? 0) + 1)
