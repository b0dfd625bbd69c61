import type { Failure, Refusal } from '../../core/delivery.ts'

/**
 * What became of one request. `put`: it was taken, but for the events with these ids. `refused`: nothing was, for
 * good, because of something in it.
 */
export type Outcome =
  | { kind: 'put'; refused: ReadonlyMap<string, Refusal> }
  | { kind: 'refused'; refusal: Refusal }
  | Failure
