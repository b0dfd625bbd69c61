import type { Failure } from '../../core/delivery.ts'
import type { HttpAnswer } from '../../platform/http-client.ts'
import { explainStatus, quoteBody, toLine } from '../http.ts'
import { isWholeMessage } from './protobuf.ts'

/*
 * What an answer to spans stands for. A 200 is believed when it is empty or an OTLP response that adds up. What a
 * partial success rejects is not sent again: its receiver has taken the rest, and would count that twice. One that
 * says it rejected more than it was sent has rejected all.
 */

/**
 * `partial`: of the spans that were sent the receiver rejected so many, and does not say which. `refused`: the
 * only span is refused for good. `words`: those of the receiver, as one line.
 */
export type Judgment =
  | { kind: 'taken'; words: string }
  | { kind: 'partial'; rejected: number; words: string }
  | { kind: 'refused'; detail: string }
  | { kind: 'too_large' }
  | Failure

/** The response of OTLP, read from protobuf; throws when it is something else. */
type ReadResponse = (body: Uint8Array) => {
  partialSuccess?: { rejectedSpans?: number; errorMessage?: string }
}

/** A response has a partial_success, and that an error_message. */
const response = { messages: { 1: { texts: [2] } } }

/** @param sent how many spans */
export function judge(answer: HttpAnswer, sent: number, read: ReadResponse): Judgment {
  const { status, body } = answer
  if (status === 200) return judgeResponse(answer, sent, read)
  if (status === 400 && sent === 1) {
    return { kind: 'refused', detail: `the receiver answered 400${quoteBody(body)}` }
  }
  if ((status === 400 || status === 413) && sent > 1) return { kind: 'too_large' }
  return explainStatus(answer, hints)
}

/** The setting to check, where waiting does not help. */
const hints: Readonly<Record<number, string>> = {
  401: 'check headers',
  403: 'check headers',
  404: 'check endpoint',
  405: 'check endpoint',
  413: 'it takes less than one span; raise its limit',
  415: 'it takes no protobuf (port 4317 is gRPC)',
}

function judgeResponse({ body, headers }: HttpAnswer, sent: number, read: ReadResponse): Judgment {
  if (body.length === 0) return { kind: 'taken', words: '' }
  const garbage = {
    kind: 'failed',
    reason: 'it answered 200, but not with a response of OTLP in protobuf (a proxy?)',
  } as const
  if (!/^application\/(x-)?protobuf\b/i.test(headers['content-type'] ?? '')) return garbage
  if (!isWholeMessage(body, response)) return garbage
  try {
    const { rejectedSpans = 0, errorMessage = '' } = read(body).partialSuccess ?? {}
    const words = toLine(errorMessage)
    if (rejectedSpans === 0) return { kind: 'taken', words }
    // A negative one is read as one near 2^64.
    if (!Number.isSafeInteger(rejectedSpans) || rejectedSpans < 0) {
      const reason = `it answered that it rejected ${rejectedSpans} of ${sent} spans`
      return { kind: 'failed', reason }
    }
    if (rejectedSpans <= sent) return { kind: 'partial', rejected: rejectedSpans, words }
    // It counts otherwise than we do, and will each time: what is sent again would be counted again.
    const said = `it says that it rejected ${rejectedSpans} spans`
    return { kind: 'partial', rejected: sent, words: words === '' ? said : `${words} (${said})` }
  } catch {
    return garbage
  }
}
