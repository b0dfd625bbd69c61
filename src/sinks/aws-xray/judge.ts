import type { Failure, Verdict } from '../../core/delivery.ts'
import { toLine } from '../http.ts'

/*
 * What an answer of X-Ray says of the documents that it left out, in a 200, by the ids of their segments. It is
 * believed when it names what was sent.
 */

type Unprocessed = {
  Id?: string | undefined
  ErrorCode?: string | undefined
  Message?: string | undefined
}

/** Codes that say nothing of the document: it is sent again. */
const passing = /thrott|internal|unavailable|timeout/i

/** @returns a verdict on each id; `too_large` when an answer to several does not say which it is about */
export function judge(
  unprocessed: readonly Unprocessed[],
  ids: readonly string[],
): Verdict[] | { kind: 'too_large' } | Failure {
  const verdicts = new Map<string, Verdict>()
  for (const { Id, ErrorCode, Message } of unprocessed.map((one) => Object(one) as Unprocessed)) {
    const id = Id ?? (ids.length === 1 ? ids[0] : undefined)
    if (id === undefined) return { kind: 'too_large' }
    if (!ids.includes(id)) {
      return { kind: 'failed', reason: 'it answered 200 about segments that were not sent' }
    }
    const code = toLine(String(ErrorCode ?? ''))
    const detail = `X-Ray answered ${code}: ${toLine(String(Message ?? ''))}`
    verdicts.set(id, passing.test(code) ? 'later' : { field: '', detail })
  }
  return ids.map((id) => verdicts.get(id) ?? 'taken')
}
