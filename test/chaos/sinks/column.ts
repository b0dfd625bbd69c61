import type { PeerFault } from './peer-state.ts'
import type { Seen, Sent, SentByKey } from './seen.ts'

/** What a row of the matrix may do to a sink and to what it delivers to. */
export type Counterpart = {
  /** Settings of its entry. */
  config: object
  /** What it can be told to do wrong. */
  faults: readonly PeerFault[]
  /** Tells it; undefined: it does right again. */
  tell(fault: PeerFault | undefined): Promise<void>
  /** How often it did wrong since it was told to. */
  hits(): Promise<number>
  /** What takes the events dies, and comes back. */
  life?: {
    kill(): Promise<void>
    start(): Promise<void>
    /** A worker: it counts as a hit, and happens in its next batch. */
    diesLater: boolean
  }
  /** Makes it dead for long. */
  die(): Promise<void>
  revive(): Promise<void>
  /** Files that it appends to now. */
  openFiles?(): string[]
  /**
   * Everything that its reader finds, in its order.
   *
   * @param sent the events that were acknowledged
   * @param how `restarted`: the sidecar was killed meanwhile
   */
  read(sent: SentByKey, how: { restarted: boolean }): Promise<Seen[]>
  /** What its reader did not believe, by now. */
  complaints(): string[]
}

/**
 * A sink of the matrix. A new kind is an entry in columns.ts: for one that speaks to a process of its own, `peerColumn`
 * and a peer.
 */
export type Column = {
  /** Name of the sink, and of the column. */
  name: string
  type: string
  /** Its reader has the events of a job in their order. */
  ordered: boolean
  /** The events that it delivers, where it does not deliver all: no other may be there. */
  shows?(sent: Sent): boolean
  /** How many events a reject is about that speaks of several without saying which. */
  standsFor?(detail: string): number | undefined
  /** Variables that its sidecar needs. */
  env?: Record<string, string>
  /** Why it cannot be had here. */
  missing?: string
  /** @param dir of its own */
  open(t: After, dir: string): Promise<Counterpart>
}

export type After = { after(end: () => unknown): void }
