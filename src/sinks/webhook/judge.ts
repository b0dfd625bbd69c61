import type { Failure, Refusal } from '../../core/delivery.ts'
import type { HttpAnswer } from '../../platform/http-client.ts'
import { explainStatus, quoteBody } from '../http.ts'

/*
 * What the answer of a receiver stands for. Any program may be the receiver, or a proxy before it, so an
 * answer is believed only as far as its status goes.
 */

/** `refused`: the request is refused for good, whatever is in it. */
export type Judgment = { kind: 'taken' } | { kind: 'refused'; refusal: Refusal } | Failure

export function judge(answer: HttpAnswer, rejectOn: readonly number[]): Judgment {
  const { status, ok, body } = answer
  if (ok) return { kind: 'taken' }
  if (rejectOn.includes(status)) {
    return {
      kind: 'refused',
      refusal: { field: '', detail: `the receiver answered ${status}${quoteBody(body)}` },
    }
  }
  return explainStatus(answer, hints)
}

/** The setting to check, where waiting does not help. */
const hints: Readonly<Record<number, string>> = {
  401: 'check headers and secret',
  403: 'check headers and secret',
  404: 'check webhook_url',
  405: 'check method',
}
