import * as z from 'zod'
import type { Fresh, MissingSite } from '../../../views/page.ts'
import { type Job, maxJobIds } from '../../core/job.ts'
import { parseText } from '../../core/json.ts'
import { Backoff, sleep } from '../../platform/backoff.ts'
import type { Backend, LiveMessage } from '../model/backend.ts'
import { reasonFor } from '../model/error-text.ts'

/** What happened since the last time; handed to every page that listens. */
export type Change = {
  /** Jobs (not subjobs) that changed, as they are now. */
  jobs: readonly Job[]
  /** Ids of jobs and subjobs an event came for, and of their parents. */
  touched: ReadonlySet<string>
  /** More happened than can be told one by one: what is on a page may be old in any part. */
  reset: boolean
}

export type LiveOptions = {
  backend: Pick<Backend, 'follow' | 'getJobs' | 'listSources'>
  signal: AbortSignal
  onError: (error: unknown) => void
  /** Called before the listeners: answers given before are outdated. */
  onChange?: () => void
  /** How long changes are gathered, in milliseconds. */
  gatherMs?: number
  /** How often the API is asked something while somebody looks, in milliseconds. */
  probeMs?: number
  now?: () => number
}

/** Changed jobs that may wait to be looked up. Beyond, pages are told to look for themselves. */
const mostWaiting = 2000
/** The API comments every 15 s; a stream that is silent for longer than two of these is not live. */
const silenceMs = 40_000

/**
 * Follows the live stream of one API, once for all browsers, and gathers what changed into a few
 * messages a second. Nothing here grows with the number of events.
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
  /** Why the API is not to be had, as far as the stream and the probe know. */
  #streamFault: string | undefined
  #probeFault: string | undefined
  #answeredAt: number | undefined
  /** Of a merged stream: what it said last of its sites. */
  #sites: { total: number; missing: MissingSite[] } | undefined

  constructor(options: LiveOptions) {
    this.#options = options
    this.#now = options.now ?? Date.now
  }

  /** Runs until the signal aborts. */
  async run(): Promise<void> {
    await Promise.all([this.#follow(), this.#tell(), this.#probe()])
  }

  /** Calls `listener` with every change until the returned function is called. */
  subscribe(listener: (change: Change) => void): () => void {
    this.#listeners.add(listener)
    return () => this.#listeners.delete(listener)
  }

  get fresh(): Fresh {
    const since = (at: number | undefined) => (at === undefined ? null : this.#now() - at)
    const ageMs = since(this.#heardAt)
    if (this.#probeFault !== undefined) {
      const at = since(this.#answeredAt ?? this.#heardAt)
      return { state: 'stale', ageS: at === null ? null : at / 1000, reason: this.#probeFault }
    }
    if (this.#connected && ageMs !== null && ageMs < silenceMs) {
      const ageS = ageMs / 1000
      if (!this.#sites?.missing.length) return { state: 'live', ageS }
      return { state: 'partial', ageS, ...this.#sites }
    }
    // Not an outage yet: the first word is still to come.
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
          // What happened while nobody listened: not every event may come again.
          if (!this.#connected && this.#failed) this.#reset = true
          this.#connected = true
          this.#heardAt = this.#now()
          backoff.reset()
          if (message.id !== '') lastEventId = message.id
          this.#take(message)
        }
      } catch (error) {
        if (signal.aborted) return
        this.#failed = true
        this.#streamFault = reasonFor(error)
        if (backoff.failures === 0) onError(error)
      }
      this.#connected = false
      await sleep(backoff.next(), signal)
    }
  }

  /**
   * Whether the API can still answer. A stream that is open shows only that the API runs: one whose
   * database is away goes on saying that it is alive.
   */
  async #probe(): Promise<void> {
    const { backend, signal, probeMs = 5000 } = this.#options
    while (!signal.aborted) {
      await sleep(probeMs, signal)
      if (this.#listeners.size === 0 || signal.aborted) continue
      try {
        await backend.listSources(signal)
        if (this.#probeFault !== undefined) this.#reset = true
        this.#answeredAt = this.#now()
        this.#probeFault = undefined
      } catch (error) {
        if (!signal.aborted) this.#probeFault = reasonFor(error)
      }
    }
  }

  #take({ event, data }: LiveMessage): void {
    if (event === 'comment') return
    if (event === 'reset') {
      this.#reset = true
      return
    }
    if (event === 'sites') {
      this.#sites = sitesOf(data)
      return
    }
    const entity = entityOf(data)
    if (entity === undefined) return
    this.#touched.add(entity.id)
    if (entity.parentId !== null) this.#touched.add(entity.parentId)
    if (entity.type === 'job') this.#waiting.add(entity.id)
    if (this.#touched.size > mostWaiting || this.#waiting.size > mostWaiting) {
      this.#reset = true
      this.#touched.clear()
      this.#waiting.clear()
    }
  }

  async #tell(): Promise<void> {
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
      this.#tellAll({ jobs, touched, reset })
    }
  }

  /** A page that cannot be told must not keep the others from being told. */
  #tellAll(change: Change): void {
    for (const listener of this.#listeners) {
      try {
        listener(change)
      } catch (error) {
        this.#options.onError(error)
      }
    }
  }

  /** The jobs that changed, as the API has them now. Without a listener nobody needs them. */
  async #lookUp(): Promise<Job[]> {
    if (this.#listeners.size === 0) this.#waiting.clear()
    // More of them wait for the next look.
    const ids = [...this.#waiting].slice(0, maxJobIds)
    for (const id of ids) this.#waiting.delete(id)
    if (ids.length === 0) return []
    const { backend, signal, onError } = this.#options
    try {
      return await backend.getJobs(ids, signal)
    } catch (error) {
      if (!signal.aborted) onError(error)
      // The rows on the page are old now and will not be sent again: pages look for themselves.
      this.#reset = true
      return []
    }
  }
}

/** Which sites a merged stream does not hear; undefined when it says it in no way that we know. */
function sitesOf(data: string): { total: number; missing: MissingSite[] } | undefined {
  const parsed = sitesSchema.safeParse(parsedOr(data))
  return parsed.data
}

const sitesSchema = z.object({
  total: z.number(),
  missing: z.array(z.object({ id: z.string(), since: z.string() })),
})

function parsedOr(data: string): unknown {
  try {
    return parseText(data)
  } catch {
    return undefined
  }
}

type Entity = { id: string; parentId: string | null; type: string }

/** Of which job or subjob an event speaks; undefined when it is no event. */
function entityOf(data: string): Entity | undefined {
  const event = parsedOr(data) as { entity?: Record<string, unknown> } | null | undefined
  const entity = event?.entity
  if (typeof entity?.id !== 'string') return undefined
  const parentId = typeof entity.parent_id === 'string' ? entity.parent_id : null
  return { id: entity.id, parentId, type: String(entity.type) }
}
