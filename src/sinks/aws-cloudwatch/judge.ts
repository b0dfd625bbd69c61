import type { Failure, Refusal } from '../../core/delivery.ts'

/*
 * What an answer of CloudWatch Logs says of the lines that it left out, in a 200: those before an index were too
 * old, or older than the group keeps; those from an index on were too new. The answer is believed when it adds up.
 */

type Info = {
  tooOldLogEventEndIndex?: number | undefined
  expiredLogEventEndIndex?: number | undefined
  tooNewLogEventStartIndex?: number | undefined
}

/** @returns the refusals by index of the line, of `count` lines in order of time */
export function judge(info: Info | undefined, count: number): Map<number, Refusal> | Failure {
  const { tooOldLogEventEndIndex: old = 0, expiredLogEventEndIndex: expired = 0 } = info ?? {}
  const tooNew = info?.tooNewLogEventStartIndex ?? count
  const isIndex = (index: unknown) =>
    Number.isInteger(index) && Number(index) >= 0 && Number(index) <= count
  if (![old, expired, tooNew].every(isIndex) || Math.max(old, expired) > tooNew) {
    return {
      kind: 'failed',
      reason: `it answered 200 with indexes that do not fit the ${count} lines sent`,
    }
  }
  const refused = new Map<number, Refusal>()
  const refuse = (at: number, detail: string) => refused.set(at, { field: 'event.at', detail })
  for (let at = tooNew; at < count; at++) refuse(at, 'is too new, says CloudWatch Logs')
  for (let at = 0; at < expired; at++) refuse(at, 'is older than the log group keeps events')
  for (let at = 0; at < old; at++) refuse(at, 'is too old, says CloudWatch Logs')
  return refused
}
