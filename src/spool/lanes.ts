import type { Spooled } from './spool.ts'

/** Batches under way at once while a backlog is worked off. */
const laneCount = 2
/** How far to read ahead of the oldest event that is not dealt with, in full batches. */
const aheadBatches = 4

export type Dealt = {
  upTo: number
  refused: readonly { seq: number; field: string; detail: string }[]
}

export type LanesOptions = {
  /** Events behind a number, at most so many, in their order. */
  read: (after: number, limit: number) => readonly Spooled[]
  /** Everything up to here was dealt with before. */
  after: number
  /** Most events, and about the most bytes of them, in a batch. */
  batchSize: number
  maxBytes: number
}

/**
 * Deals a backlog out to lanes that go on side by side, each in order: all events of a job, and of
 * its subjobs, go the same lane, so what is said of a job arrives in the order in which it came. What
 * is acknowledged is always a beginning of the spool, so a lane that stops loses nothing: what others
 * delivered beyond it is offered again.
 */
export class Lanes {
  readonly #options: LanesOptions
  /** Read and not handed out yet, by lane. */
  readonly #queues: Spooled[][] = Array.from({ length: laneCount }, () => [])
  /** Read and not dealt with, in the order of the spool. */
  #open: { seq: number; bytes: number }[] = []
  #openBytes = 0
  readonly #closed = new Set<number>()
  #refused: Dealt['refused'][number][] = []
  #read: number

  constructor(options: LanesOptions) {
    this.#options = options
    this.#read = options.after
  }

  get lanes(): number[] {
    return [...this.#queues.keys()]
  }

  /** The next batch of a lane; empty when nothing more can be read for it at the moment. */
  take(lane: number): Spooled[] {
    const { batchSize, maxBytes } = this.#options
    const queue = this.#queues[lane]!
    while (queue.length < batchSize && this.#readMore()) {}
    let bytes = 0
    const cut = queue.findIndex(({ body }, i) => {
      bytes += body.length
      return i >= batchSize || (i > 0 && bytes > maxBytes)
    })
    return queue.splice(0, cut < 0 ? queue.length : cut)
  }

  /** @returns whether there was anything, and room for it */
  #readMore(): boolean {
    const { batchSize, maxBytes, read } = this.#options
    const room = aheadBatches * batchSize - this.#open.length
    if (room <= 0 || this.#openBytes >= aheadBatches * maxBytes) return false
    const found = read(this.#read, Math.min(room, batchSize))
    for (const event of found) {
      this.#queues[laneOf(event)]!.push(event)
      this.#open.push({ seq: event.seq, bytes: event.body.length })
      this.#openBytes += event.body.length
      this.#read = event.seq
    }
    return found.length > 0
  }

  /**
   * Notes what became of a batch that was taken from a lane.
   *
   * @returns what can be acknowledged now, if there is anything; it is forgotten when `confirm` says
   * that it was, and comes again with the next batch if not
   */
  deal(batch: readonly Spooled[], { upTo, refused }: Dealt): Dealt | undefined {
    for (const { seq } of batch) if (seq <= upTo) this.#closed.add(seq)
    this.#refused.push(...refused)
    let acked = -1
    for (const { seq } of this.#open) {
      if (!this.#closed.has(seq)) break
      acked = seq
    }
    if (acked < 0) return undefined
    return { upTo: acked, refused: this.#refused.filter(({ seq }) => seq <= acked) }
  }

  confirm({ upTo }: Dealt): void {
    const left = this.#open.findIndex(({ seq }) => seq > upTo)
    for (const { seq, bytes } of this.#open.splice(0, left < 0 ? this.#open.length : left)) {
      this.#closed.delete(seq)
      this.#openBytes -= bytes
    }
    this.#refused = this.#refused.filter(({ seq }) => seq > upTo)
  }
}

type Entity = { type?: string; id?: string; parent_id?: string | null }

/** By the job: its own id, or that of the job above. Ids end in random digits. */
function laneOf({ body }: Spooled): number {
  const { entity } = JSON.parse(body) as { entity?: Entity }
  const id = (entity?.type === 'subjob' ? entity.parent_id : undefined) ?? entity?.id ?? ''
  return id === '' ? 0 : id.charCodeAt(id.length - 1) % laneCount
}
