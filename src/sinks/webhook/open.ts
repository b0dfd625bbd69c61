import {
  type Delivery,
  type Outgoing,
  type Refusal,
  type Sink,
  toJudged,
  type Verdict,
} from '../../core/delivery.ts'
import { findUnfit } from '../../core/event-columns.ts'
import { eventId } from '../../core/event-id.ts'
import { must } from '../../core/must.ts'
import { clock } from '../../platform/clock.ts'
import { HttpClient } from '../../platform/http-client.ts'
import { explainNoAnswer, probeHttp, readTls } from '../http.ts'
import type { SinkContext } from '../kind.ts'
import { type Judgment, judge } from './judge.ts'
import type { Settings } from './settings.ts'
import { signHeaders } from './sign.ts'

/** Maximum size of an answer, in bytes: no more than its begin is ever looked at. */
const maxBytes = 2 ** 20

export function openWebhook(settings: Settings, _context: SinkContext): Sink {
  const { origin, pathname, search } = new URL(settings.webhook_url)
  const path = pathname + search
  const client = new HttpClient({
    baseUrl: origin,
    timeoutMs: settings.timeout * 1000,
    maxBytes,
    maxRetryAfterMs: 3_600_000,
    tls: readTls(settings),
    headers: { 'content-type': 'application/json', ...settings.headers },
  })
  const method = settings.method.toUpperCase() as 'POST' | 'PUT' | 'PATCH'

  const send: Send = async (id, body, signal) => {
    const headers = signHeaders({ id, body, nowMs: clock.nowMs() }, settings.secret ?? [])
    try {
      const answer = await client.ask({ method, path, headers, body }, signal)
      return judge(answer, settings.reject_on)
    } catch (error) {
      return explainNoAnswer(error as Error)
    }
  }
  const isThere = (status: number) => status < 500 && ![401, 403, 404].includes(status)
  return {
    deliver: settings.batch
      ? (batch, signal) => deliverTogether(batch, send, signal)
      : (batch, signal) => deliverEach(batch, send, signal),
    // Any answer to a request that changes nothing will do: receivers rarely know HEAD.
    probe: (signal) => probeHttp(client, { method: 'HEAD', path }, signal, isThere),
    close: () => client.close(),
  }
}

type Send = (id: string, body: string, signal: AbortSignal) => Promise<Judgment>

/** One after the other, up to the first that fails: what follows may depend on it. */
async function deliverEach(
  batch: readonly Outgoing[],
  send: Send,
  signal: AbortSignal,
): Promise<Delivery> {
  const verdicts: Verdict[] = []
  for (const sent of batch) {
    const refusal = findUnfit(sent.event)
    const judgment = refusal
      ? { kind: 'refused' as const, refusal }
      : await send(idOf(sent), sent.body, signal)
    if (judgment.kind === 'failed') {
      if (verdicts.length === 0) return judgment
      break
    }
    verdicts.push(judgment.kind === 'taken' ? 'taken' : judgment.refusal)
  }
  const later = batch.slice(verdicts.length).map(() => 'later' as const)
  return toJudged(batch, [...verdicts, ...later])
}

/** All in one request. Which of them is refused shows only when fewer are sent. */
async function deliverTogether(
  batch: readonly Outgoing[],
  send: Send,
  signal: AbortSignal,
): Promise<Delivery> {
  const refusals = batch.map(({ event }) => findUnfit(event))
  const fit = batch.filter((_, i) => refusals[i] === undefined)
  const [first] = fit
  if (!first) return toJudged(batch, refusals.map(toVerdict))
  const body = `{"events":[${fit.map((sent) => sent.body).join(',')}],"count":${fit.length}}`
  const judgment = await send(`${idOf(first)}-${fit.length}`, body, signal)
  if (judgment.kind === 'failed') return judgment
  if (judgment.kind === 'taken') return toJudged(batch, refusals.map(toVerdict))
  if (batch.length > 1) return { kind: 'too_large' }
  return toJudged(batch, [judgment.refusal])
}

const toVerdict = (refusal: Refusal | undefined): Verdict => refusal ?? 'taken'

const idOf = ({ event }: Outgoing) => eventId(must(event, 'only an event that is JSON is sent'))
