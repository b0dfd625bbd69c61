import * as z from 'zod'
import { must } from '../../core/must.ts'
import { Backoff, sleep } from '../../platform/backoff.ts'
import type { HttpClient } from '../../platform/http-client.ts'
import { HttpFailure } from '../../platform/http-failure.ts'
import { isProblem, parseOrUndefined, toRefusal, toUnreachable } from '../sidecar.ts'

/** The outcome of the events so far. */
export type Tally = {
  accepted: number
  duplicates: number
  rejected: Map<string, number>
  retries: number
}

export const newTally = (): Tally => ({
  accepted: 0,
  duplicates: 0,
  rejected: new Map(),
  retries: 0,
})

/** Maximum events of one request. */
export const batchSize = 500

/** Where events go. */
export type Target = {
  client: HttpClient
  /** The address of the sidecar, for messages. */
  url: string
  signal: AbortSignal
  /** Called with the reason when events have to wait. */
  onWait: (why: string) => void
}

const count = z.int().min(0)
const answerSchema = z.object({
  total: count,
  success: count,
  failed: count,
  duplicates: count,
  rejected: z.array(
    z.object({
      index: count,
      field: z.string().default(''),
      detail: z.string().default(''),
      retryable: z.boolean().nullish(),
    }),
  ),
})
type Answer = z.infer<typeof answerSchema>

/** The verdicts about exactly these events; undefined when the answer does not add up (wire.md, section 3). */
function readAnswer(json: unknown, sent: number): Answer | undefined {
  const { data } = answerSchema.safeParse(json)
  if (!data) return undefined
  const { total, success, failed, duplicates, rejected } = data
  const named = new Set(rejected.map(({ index }) => index))
  const fits = total === sent && success + failed === total && duplicates <= success
  const isAbout = named.size === failed && rejected.length === failed
  return fits && isAbout && [...named].every((index) => index < sent) ? data : undefined
}

/** Longest time for one request, and longest wait that a Retry-After can ask for. */
export const timeoutMs = 30_000

/**
 * Sends a batch until each of its events is accepted, known, or rejected permanently, and no later
 * batch before that: order is kept. Ends early only when the signal aborts.
 *
 * @throws AppError when waiting would not help: a token is missing, or this is not a sidecar
 */
export async function sendAll(
  target: Target,
  events: readonly object[],
  tally: Tally,
): Promise<void> {
  const { signal } = target
  const backoff = new Backoff({ firstMs: 200, maxMs: 10_000 })
  let left = events
  while (left.length > 0 && !signal.aborted) {
    const answer = await post(target, left)
    if (answer === 'too large') return sendHalves(target, left, tally)
    if ('total' in answer) left = settle(left, answer, tally)
    if (left.length === 0 || signal.aborted) return
    tally.retries++
    target.onWait('why' in answer ? answer.why : 'the sidecar accepts no more events at the moment')
    await sleep(Math.max(backoff.next(), 'waitMs' in answer ? answer.waitMs : 0), signal)
  }
}

async function sendHalves(target: Target, events: readonly object[], tally: Tally): Promise<void> {
  if (events.length === 1) return countRejected(tally, 'larger than the sidecar accepts')
  const half = Math.ceil(events.length / 2)
  await sendAll(target, events.slice(0, half), tally)
  await sendAll(target, events.slice(half), tally)
}

type Wait = { why: string; waitMs: number }

async function post(
  { client, url, signal }: Target,
  events: readonly object[],
): Promise<Answer | Wait | 'too large'> {
  const body = JSON.stringify(events)
  const headers = { 'content-type': 'application/json' }
  const request = { method: 'POST', path: '/v1/ingest/events:batch', headers, body } as const
  const answer = await client.ask(request, signal).catch((error: unknown) => {
    if (error instanceof HttpFailure) return toUnreachable(url, error)
    if (signal.aborted) return new Error('stopped')
    throw error
  })
  if (answer instanceof Error) return { why: answer.message, waitMs: 0 }
  const { status, retryAfterMs = 0 } = answer
  const json = parseOrUndefined(answer.body)
  const verdicts = status === 200 ? readAnswer(json, events.length) : undefined
  if (verdicts) return verdicts
  // About one event only a problem document is a verdict: a proxy's limit must not lose it.
  if (status === 413 && (events.length > 1 || isProblem(json))) return 'too large'
  const error = toRefusal(url, status, json)
  if ([401, 403, 404, 405].includes(status)) throw error
  return { why: error.message, waitMs: Math.min(timeoutMs, retryAfterMs) }
}

/** @returns the events to send again */
function settle(events: readonly object[], answer: Answer, tally: Tally): object[] {
  const again: object[] = []
  for (const { index, field, detail, retryable } of answer.rejected) {
    if (retryable) again.push(must(events[index], 'an answer that adds up is about these events'))
    else countRejected(tally, `${field} ${detail}`.trim())
  }
  tally.duplicates += answer.duplicates
  tally.accepted += answer.total - answer.duplicates - answer.rejected.length
  return again
}

const countRejected = ({ rejected }: Tally, why: string) =>
  void rejected.set(why, (rejected.get(why) ?? 0) + 1)
