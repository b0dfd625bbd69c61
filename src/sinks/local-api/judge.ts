import { type Delivery, type Outgoing, toJudged, type Verdict } from '../../core/delivery.ts'
import type { HttpAnswer } from '../../platform/http-client.ts'
import { problemType } from '../../platform/problem.ts'
import { explainStatus } from '../http.ts'

/*
 * The delivery that an answer of the local API stands for. It is believed only as far as it adds up: a 200
 * counts when it accounts for exactly the events that were sent. Anything else (an outage, a proxy's
 * page, a wrong token, half an answer) is a failure to be retried, and never refuses an event.
 */

type Batch = readonly Outgoing[]

/** The verdicts in an answer, or why it has none. */
export function judge(answer: HttpAnswer, batch: Batch): Delivery {
  const text = answer.body.toString('utf8')
  if (answer.status === 200) return judgeTaken(text, batch)
  if (answer.status === 413) return judgeTooLarge(text, batch)
  if (answer.status === 422 || answer.status === 400)
    return judgeRefused(answer.status, text, batch)
  return explainStatus(answer, hints)
}

/** The setting to check, where waiting does not help. */
const hints: Readonly<Record<number, string>> = {
  401: 'check LOCAL_API_TOKEN',
  403: 'check LOCAL_API_TOKEN',
  404: 'check LOCAL_API_BASE',
}

/**
 * A batch can be made smaller. A single event that is too large can only be refused, and only when
 * our own API says so: a proxy with a small limit must not empty the spool.
 */
function judgeTooLarge(text: string, batch: Batch): Delivery {
  if (batch.length > 1) return { kind: 'too_large' }
  if (!ownProblem(text)) {
    return {
      kind: 'failed',
      reason:
        'it answered 413 to one event, but not with a problem document of wafermon (a proxy?)',
    }
  }
  return toJudged(batch, [{ field: '', detail: 'larger than the local API accepts (413)' }])
}

/**
 * Our own API refused the whole request, which it does not do for one bad event among good ones. So
 * offer less, down to one event; only then, and only when the answer is a problem document of ours,
 * the event is refused. A proxy that answers 400 to everything must not empty the spool. Nor must one
 * that spoils requests: our API then says 400, but an event that can be read here is not to blame.
 */
function judgeRefused(status: number, text: string, batch: Batch): Delivery {
  const problem = ownProblem(text)
  if (!problem) {
    return {
      kind: 'failed',
      reason: 'it refused a batch, but not with a problem document of wafermon (a proxy?)',
    }
  }
  if (batch.length > 1) return { kind: 'too_large' }
  if (status === 400 && batch[0]?.event !== undefined) {
    return { kind: 'failed', reason: `it could not read the request (400): ${problem.detail}` }
  }
  const field = typeof problem.field === 'string' ? problem.field : ''
  return toJudged(batch, [{ field, detail: String(problem.detail) }])
}

/** A problem document of our own API; undefined when the answer is from something else. */
function ownProblem(text: string) {
  const problem = parse(text) as
    | { type?: unknown; detail?: unknown; field?: unknown }
    | null
    | undefined
  const own = typeof problem?.type === 'string' && problem.type.startsWith(problemType)
  return own ? problem : undefined
}

function judgeTaken(text: string, batch: Batch): Delivery {
  const answer = parse(text) as
    | { total?: unknown; success?: unknown; failed?: unknown; rejected?: unknown }
    | null
    | undefined
  const rejected = readRejected(answer?.rejected, batch.length)
  const addsUp =
    answer?.total === batch.length &&
    rejected !== undefined &&
    answer.failed === rejected.size &&
    answer.success === batch.length - rejected.size
  if (!addsUp) {
    const reason = `it answered 200, but its verdicts do not match the ${batch.length} events sent`
    return { kind: 'failed', reason }
  }
  return toJudged(
    batch,
    batch.map((_, index) => rejected.get(index) ?? 'taken'),
  )
}

/** Verdicts by index, or undefined when the list is not one about this batch. */
function readRejected(value: unknown, length: number): Map<number, Verdict> | undefined {
  if (!Array.isArray(value)) return undefined
  const verdicts = new Map<number, Verdict>()
  for (const item of value as (Record<string, unknown> | null)[]) {
    const index = item?.index
    const ofBatch = Number.isInteger(index) && (index as number) >= 0 && (index as number) < length
    if (!ofBatch) return undefined
    verdicts.set(index as number, toVerdict(item ?? {}))
  }
  return verdicts.size === value.length ? verdicts : undefined
}

const toVerdict = ({ retryable, field, detail }: Record<string, unknown>): Verdict =>
  retryable === true ? 'later' : { field: String(field ?? ''), detail: String(detail ?? '') }

function parse(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}
