import { AppError } from '../core/errors.ts'
import type { Event } from '../core/event.ts'
import { ensure } from '../core/must.ts'
import type { Micros } from '../core/time.ts'
import { clock } from '../platform/clock.ts'
import type { Store } from './connect.ts'
import { type Ingested, ingest, type StoreVerdict } from './ingest.ts'

export type IngestQueueOptions = {
  /** Maximum concurrent transactions. */
  writers: number
  /** Maximum events in one transaction. */
  maxEvents: number
  /** Maximum events that wait; beyond it `add` throws `overloaded`. */
  maxWaiting: number
  /** Called after every commit with its number of events, and what came of them. */
  onCommit?: (events: number, ingested: Ingested) => void
}

/** Progress of ingest, for health. */
export type IngestProgress = {
  /** Events that wait, or are being committed. */
  waiting: number
  /** Age of the oldest of them in milliseconds; 0 without any. */
  oldestMs: number
  /** How long nothing was committed although events waited, in milliseconds. */
  stalledMs: number
  /** The last commit; null before the first. */
  lastCommitAt: Micros | null
}

type Waiting = {
  events: readonly Event[]
  since: number
  resolve: (verdicts: StoreVerdict[]) => void
  reject: (error: unknown) => void
}

/**
 * Group commit: what arrives while all writers are busy shares the next transaction. So a thousand
 * single events a second cost a few dozen commits, and a lone event does not wait.
 */
export class IngestQueue {
  readonly #store: Store
  readonly #options: IngestQueueOptions
  #waiting: Waiting[] = []
  #waitingEvents = 0
  #busy = 0
  /** The requests that are being committed. */
  readonly #underWay = new Set<Waiting>()
  #lastCommit: { at: Micros; ms: number } | undefined

  constructor(store: Store, options: IngestQueueOptions) {
    this.#store = store
    this.#options = options
  }

  /**
   * @returns a verdict per event, once they are committed
   * @throws AppError unreachable or overloaded: nothing was stored, or the answer was lost
   */
  add(events: readonly Event[]): Promise<StoreVerdict[]> {
    if (this.#waitingEvents + events.length > this.#options.maxWaiting && this.#waitingEvents > 0) {
      throw new AppError('overloaded', 'too many events are waiting for the database', {
        retryAfterS: 1,
      })
    }
    return new Promise((resolve, reject) => {
      this.#waiting.push({ events, since: performance.now(), resolve, reject })
      this.#waitingEvents += events.length
      // After the other requests of this turn of the event loop have had the chance to join.
      setImmediate(() => this.#start())
    })
  }

  progress(): IngestProgress {
    const now = performance.now()
    const all = [...this.#underWay, ...this.#waiting]
    const oldest = all.reduce((min, { since }) => Math.min(min, since), now)
    return {
      waiting: all.reduce((sum, { events }) => sum + events.length, 0),
      oldestMs: now - oldest,
      stalledMs: now - Math.max(oldest, Math.min(this.#lastCommit?.ms ?? 0, now)),
      lastCommitAt: this.#lastCommit?.at ?? null,
    }
  }

  #start(): void {
    while (this.#busy < this.#options.writers && this.#waiting.length > 0) {
      const group = this.#takeGroup()
      this.#busy++
      void this.#commit(group).finally(() => {
        this.#busy--
        this.#start()
      })
    }
  }

  /** Requests in the order in which they came, as many as fit; at least one. */
  #takeGroup(): Waiting[] {
    let size = 0
    let count = 0
    for (const { events } of this.#waiting) {
      if (count > 0 && size + events.length > this.#options.maxEvents) break
      size += events.length
      count++
    }
    this.#waitingEvents -= size
    return this.#waiting.splice(0, count)
  }

  async #commit(group: readonly Waiting[]): Promise<void> {
    const events = group.flatMap((waiting) => waiting.events)
    for (const waiting of group) this.#underWay.add(waiting)
    try {
      const ingested = await ingest(this.#store, events)
      const { verdicts } = ingested
      ensure(verdicts.length === events.length, 'ingest gives a verdict for each event')
      let next = 0
      for (const waiting of group) {
        waiting.resolve(verdicts.slice(next, next + waiting.events.length))
        next += waiting.events.length
      }
      this.#lastCommit = { at: clock.now(), ms: performance.now() }
      this.#options.onCommit?.(events.length, ingested)
    } catch (error) {
      for (const waiting of group) waiting.reject(error)
    } finally {
      for (const waiting of group) this.#underWay.delete(waiting)
    }
  }
}
