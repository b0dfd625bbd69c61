import { ProtobufTraceSerializer } from '@opentelemetry/otlp-transformer'
import {
  type Delivery,
  type Outgoing,
  type Refusal,
  type Sink,
  toJudged,
  type Verdict,
} from '../../core/delivery.ts'
import type { Event } from '../../core/event.ts'
import { findUnfit } from '../../core/event-columns.ts'
import { isRefusal, type JobSpan, toSpan } from '../../core/event-span.ts'
import { must } from '../../core/must.ts'
import { HttpClient } from '../../platform/http-client.ts'
import { explainNoAnswer, readTls } from '../http.ts'
import type { SinkContext } from '../kind.ts'
import { type Judgment, judge } from './judge.ts'
import type { Settings } from './settings.ts'
import { SpanMaker } from './spans.ts'

/** Maximum size of an answer, in bytes. */
const maxBytes = 2 ** 20

/** The span of an event; why it has none; undefined when it does not end its job. */
type Item = { event: Event; span: JobSpan } | Refusal | undefined

export function openOtlp(settings: Settings, { log }: SinkContext): Sink {
  const { endpoint } = settings
  const client = new HttpClient({
    baseUrl: endpoint.endsWith('/v1/traces') ? endpoint : `${endpoint}/v1/traces`,
    timeoutMs: settings.timeout * 1000,
    maxBytes,
    maxRetryAfterMs: 3_600_000,
    tls: readTls(settings),
    headers: { ...settings.headers, 'content-type': 'application/x-protobuf' },
  })

  async function send(spans: readonly Sent[], signal: AbortSignal): Promise<Judgment> {
    const maker = new SpanMaker()
    const made = spans.map(({ event, span }) => maker.make(event, span))
    const body = must(ProtobufTraceSerializer.serializeRequest(made), 'spans have a form')
    try {
      const answer = await client.ask({ method: 'POST', path: '', body }, signal)
      return judge(answer, spans.length, ProtobufTraceSerializer.deserializeResponse)
    } catch (error) {
      return explainNoAnswer(error as Error)
    }
  }

  return {
    async deliver(batch, signal) {
      const items = batch.map(toItem)
      const spans = items.filter(isSent)
      const judgment = spans.length > 0 ? await send(spans, signal) : taken
      if (judgment.kind === 'failed' || judgment.kind === 'too_large') return judgment
      if (judgment.kind === 'taken' && judgment.words !== '') {
        log.warn({ said: judgment.words }, 'the receiver of traces took all spans with a warning')
      }
      return toDelivery(batch, items, judgment)
    },
    // A request without spans is one that every receiver takes.
    async probe(signal) {
      const judgment = await send([], signal)
      if (judgment.kind === 'failed') return judgment.reason
      return judgment.kind === 'taken' ? undefined : 'it refuses a request without spans'
    },
    close: () => client.close(),
  }
}

type Sent = Exclude<Item, Refusal | undefined>

const taken: Judgment = { kind: 'taken', words: '' }

const isSent = (item: Item): item is Sent => item !== undefined && 'span' in item

function toItem({ event }: Outgoing): Item {
  const unfit = findUnfit(event)
  if (unfit || !event) return unfit
  const span = toSpan(event)
  return span === undefined || isRefusal(span) ? span : { event, span }
}

/** Our own refusals and those of the receiver; all else is taken. */
function toDelivery(
  batch: readonly Outgoing[],
  items: readonly Item[],
  judgment: Extract<Judgment, { kind: 'taken' | 'partial' | 'refused' }>,
): Delivery {
  const count = items.filter(isSent).length
  let sent = 0
  const verdicts = items.map((item): Verdict => {
    if (item === undefined) return 'taken'
    return isSent(item) ? toVerdict(judgment, sent++, count) : item
  })
  return toJudged(batch, verdicts)
}

/** Which spans a partial success rejects is known only when it rejects all: else the first stands for them. */
function toVerdict(
  judgment: Extract<Judgment, { kind: 'taken' | 'partial' | 'refused' }>,
  place: number,
  count: number,
): Verdict {
  if (judgment.kind === 'taken') return 'taken'
  if (judgment.kind === 'refused') return { field: '', detail: judgment.detail }
  const { rejected, words } = judgment
  const said = words === '' ? '' : `: ${words}`
  if (rejected === count) return { field: '', detail: `the receiver rejected it${said}` }
  if (place > 0) return 'taken'
  return {
    field: '',
    detail: `the receiver rejected ${rejected} of the ${count} spans sent with this one${said}`,
  }
}
