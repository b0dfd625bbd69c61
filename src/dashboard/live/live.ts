import type { Fresh, MissingSite, Plant } from '../../../views/page.ts'
import { type Job, maxJobIds } from '../../core/job.ts'
import { fromMs, type Micros } from '../../core/time.ts'
import { Backoff, sleep } from '../../platform/backoff.ts'
import { clock } from '../../platform/clock.ts'
import type { Backend, LiveMessage } from '../model/backend.ts'
import { describeOutage } from '../model/error-text.ts'
import { firstTime } from '../model/query.ts'
import { parseEntity, parseSites } from './stream-data.ts'

/** The changes since the last call; handed to every page that listens. */
export type Change = {
  /** Jobs (not subjobs) that changed, as they are now. */
  jobs: readonly Job[]
  /** Ids of jobs and subjobs with an event, and of their parents. */
  touched: ReadonlySet<string>
  /** There was more than can be listed: any part of a page may be outdated. */
  reset: boolean
}

export type LiveOptions = {
  backend: Pick<Backend, 'follow' | 'getJobs' | 'findJobs' | 'health'>
  signal: AbortSignal
  onError: (error: unknown) => void
  /** Called before the listeners: earlier answers are outdated. */
  onChange?: () => void
  /** How long changes are gathered, in milliseconds. */
  gatherMs?: number
  /** The pause between two questions that show whether the API answers, in milliseconds. */
  probeMs?: number
  /** How long such an answer may take until the API counts as away, in milliseconds. */
  patienceMs?: number
  now?: () => number
  /** Milliseconds since 1970; for tests. */
  timeOfDay?: () => number
}

/** Maximum changed jobs that wait to be looked up. With more, pages are told to reload. */
const mostWaiting = 2000
/** The health of a central API takes 3 s while one of its sites does not answer. */
const patienceOfManyMs = 3300
const patienceOfOneMs = 2500
/** Without an open page the pauses between two questions are longer by this. */
const unheardFactor = 10
/** However long ago: without a start the API looks back a week. */
const newestEvent = { from: firstTime, time: 'seen', order: 'desc', limit: 1 } as const
const noAnswer = 'It does not answer a question.'
/** The API sends a heartbeat every 15 s; a stream that misses more than two is not live. */
const silenceMs = 40_000

/**
 * Follows the live stream of one API, once for all browsers, and gathers the changes into one call a
 * second. Nothing here grows with the number of events.
 */
export class Live {
  readonly #options: LiveOptions
  readonly #now: () => number
  readonly #listeners = new Set<(change: Change) => void>()
  readonly #waiting = new Set<string>()
  #touched = new Set<string>()
  #reset = false
  #connected = false
  #failed = false
  #heardAt: number | undefined
  /** Why the API does not answer, according to the stream and to the probe. */
  #streamFault: string | undefined
  #probeFault: string | undefined
  #answeredAt: number | undefined
  /** When the question was asked to which there is no answer yet. */
  #askedAt: number | undefined
  /** The newest event of the site; null before its first one, undefined until that is known. */
  #lastEventAt: Micros | null | undefined
  #silentSidecars = 0
  #newest: Promise<void> | undefined
  /** The latest word of a merged stream about its sites. */
  #sites: { total: number; missing: MissingSite[] } | undefined

  constructor(options: LiveOptions) {
    this.#options = options
    this.#now = options.now ?? (() => performance.now())
  }

  /** Runs until the signal aborts. */
  async run(): Promise<void> {
    await Promise.all([this.#follow(), this.#report(), this.#probe()])
  }

  /** Calls `listener` with every change until the returned function is called. */
  subscribe(listener: (change: Change) => void): () => void {
    this.#listeners.add(listener)
    return () => this.#listeners.delete(listener)
  }

  /** What is known of the plant, whatever the state of the connection to its API. */
  get plant(): Plant {
    return { lastEventAt: this.#lastEventAt, silentSidecars: this.#silentSidecars }
  }

  /** The state of the connection to the API. */
  get fresh(): Fresh {
    const since = (at: number | undefined) => (at === undefined ? null : this.#now() - at)
    const ageMs = since(this.#heardAt)
    const { patienceMs = this.#sites ? patienceOfManyMs : patienceOfOneMs } = this.#options
    if (this.#askedAt !== undefined && this.#now() - this.#askedAt > patienceMs) {
      const at = since(this.#answeredAt ?? this.#heardAt)
      return { state: 'stale', ageS: at === null ? null : at / 1000, reason: noAnswer }
    }
    if (this.#probeFault !== undefined) {
      const at = since(this.#answeredAt ?? this.#heardAt)
      return { state: 'stale', ageS: at === null ? null : at / 1000, reason: this.#probeFault }
    }
    if (this.#connected && ageMs !== null && ageMs < silenceMs) {
      const ageS = ageMs / 1000
      if (!this.#sites?.missing.length) return { state: 'live', ageS }
      return { state: 'partial', ageS, ...this.#sites }
    }
    // Not an outage yet: the first message is still to come.
    if (ageMs === null && !this.#failed) return { state: 'loaded' }
    return {
      state: 'stale',
      ageS: ageMs === null ? null : ageMs / 1000,
      reason: this.#streamFault,
    }
  }

  async #follow(): Promise<void> {
    const { backend, signal, onError } = this.#options
    const backoff = new Backoff({ firstMs: 500, maxMs: 10_000 })
    let lastEventId: string | undefined
    while (!signal.aborted) {
      try {
        for await (const message of backend.follow(lastEventId, signal)) {
          // Events of the time without a connection may not all come again.
          if (!this.#connected && this.#failed) this.#reset = true
          this.#connected = true
          this.#heardAt = this.#now()
          backoff.reset()
          if (message.id !== '') lastEventId = message.id
          this.#receive(message)
        }
      } catch (error) {
        if (signal.aborted) return
        this.#failed = true
        this.#streamFault = describeOutage(error)
        if (backoff.failures === 0) onError(error)
      }
      this.#connected = false
      await sleep(backoff.next(), signal)
    }
  }

  /**
   * Asks for the newest event, which shows two things: how long the plant has been silent, and that the
   * API can answer. An open stream shows only that it runs: it sends heartbeats even while its
   * database is away, and while it hangs none is due for a while.
   */
  async #probe(): Promise<void> {
    const { signal, probeMs = 600 } = this.#options
    while (!signal.aborted) {
      await this.#askIfAlive()
      await sleep(this.#listeners.size > 0 ? probeMs : unheardFactor * probeMs, signal)
    }
  }

  async #askIfAlive(): Promise<void> {
    const { backend, signal } = this.#options
    this.#askedAt = this.#now()
    try {
      // Over several sites an answer waits for the slowest, and says nothing about the API itself.
      if (this.#sites) void this.#askNewest().catch(() => {})
      await (this.#sites ? backend.health(signal) : this.#askNewest())
      if (this.#probeFault !== undefined) this.#reset = true
      this.#answeredAt = this.#now()
      this.#probeFault = undefined
    } catch (error) {
      if (!signal.aborted) this.#probeFault = describeOutage(error)
    } finally {
      this.#askedAt = undefined
    }
  }

  #askNewest(): Promise<void> {
    const { backend, signal } = this.#options
    this.#newest ??= backend
      .findJobs(newestEvent, signal)
      .then(({ items: [newest], completeness }) => {
        this.#sawEvent(newest ? this.#boundByArrival(newest.lastEventAt, newest.updatedAt) : null)
        this.#silentSidecars = completeness.sourcesSilent
      })
      .finally(() => {
        this.#newest = undefined
      })
    return this.#newest
  }

  /** A sender's clock may run ahead: an event is no newer than its arrival, nor than now. */
  #boundByArrival(at: Micros, arrivedAt: Micros | undefined): Micros {
    const now = fromMs((this.#options.timeOfDay ?? clock.nowMs)())
    const arrival = arrivedAt !== undefined && arrivedAt < now ? arrivedAt : now
    return at < arrival ? at : arrival
  }

  #sawEvent(at: Micros | null): void {
    if (this.#lastEventAt == null || (at !== null && at > this.#lastEventAt)) this.#lastEventAt = at
  }

  #receive({ event, data }: LiveMessage): void {
    if (event === 'comment') return
    if (event === 'reset') {
      this.#reset = true
      return
    }
    if (event === 'sites') {
      this.#sites = parseSites(data)
      return
    }
    const entity = parseEntity(data)
    if (entity === undefined) return
    // By its own time: what a sidecar had held back says nothing about the plant of now.
    if (entity.at !== undefined) this.#sawEvent(this.#boundByArrival(entity.at, entity.receivedAt))
    this.#touched.add(entity.id)
    if (entity.parentId !== null) this.#touched.add(entity.parentId)
    if (entity.type === 'job') this.#waiting.add(entity.id)
    if (this.#touched.size > mostWaiting || this.#waiting.size > mostWaiting) {
      this.#reset = true
      this.#touched.clear()
      this.#waiting.clear()
    }
  }

  async #report(): Promise<void> {
    const { signal, gatherMs = 1000, onChange } = this.#options
    while (!signal.aborted) {
      await sleep(gatherMs, signal)
      if (this.#touched.size === 0 && this.#waiting.size === 0 && !this.#reset) continue
      const touched = this.#touched
      const reset = this.#reset
      this.#touched = new Set()
      this.#reset = false
      const jobs = await this.#lookUp()
      if (signal.aborted) return
      onChange?.()
      this.#notify({ jobs, touched, reset })
    }
  }

  /** A listener that fails must not keep the others from being called. */
  #notify(change: Change): void {
    for (const listener of this.#listeners) {
      try {
        listener(change)
      } catch (error) {
        this.#options.onError(error)
      }
    }
  }

  /** The jobs that changed, as the API has them now; not looked up without a listener. */
  async #lookUp(): Promise<Job[]> {
    if (this.#listeners.size === 0) this.#waiting.clear()
    // The others wait for the next round.
    const ids = [...this.#waiting].slice(0, maxJobIds)
    for (const id of ids) this.#waiting.delete(id)
    if (ids.length === 0) return []
    const { backend, signal, onError } = this.#options
    try {
      return await backend.getJobs(ids, signal)
    } catch (error) {
      if (!signal.aborted) onError(error)
      // The rows on the page are outdated and will not be sent again, so pages have to reload.
      this.#reset = true
      return []
    }
  }
}
