import type { Outcome, Verdict } from './post.ts'
import type { Item } from './queue.ts'

/** The result of a sidecar's answer for the events of a batch: each is in exactly one place. */
export type Judgement = {
  /** How many were taken. */
  delivered: number
  /** Refused permanently. */
  refused: { item: Item; verdict: Verdict }[]
  /** To be sent again, in their order. */
  again: Item[]
  /** Would have to be sent again, but was sent too often already. */
  spent: Item[]
}

/** Good events are taken whatever the others are. */
export function judge(batch: readonly Item[], outcome: Outcome, maxRetries: number): Judgement {
  const listed = outcome.rejected.map((verdict) => ({ item: batch[verdict.index]!, verdict }))
  const deferred = listed.filter(({ verdict }) => verdict.retryable).map(({ item }) => item)
  const isSpent = (item: Item) => !outcome.halve && item.attempts > maxRetries
  return {
    delivered: batch.length - listed.length,
    refused: listed.filter(({ verdict }) => !verdict.retryable),
    again: deferred.filter((item) => !isSpent(item)),
    spent: deferred.filter(isSpent),
  }
}
