import type { Agent } from 'node:http'
import { type Emitter, isLossy, type WireEvent } from './event.ts'
import { leave, stay } from './exit.ts'
import { agentFor, postBatch, type Verdict } from './post.ts'
import { EventQueue, type Item } from './queue.ts'
import { type EmitterOptions, longestTimerMs, type Settings, settle } from './settings.ts'
import { judge } from './verdicts.ts'

/** Counters of an emitter. */
export type EmitterStats = {
  /** Waiting or in flight. */
  queued: number
  queuedBytes: number
  /** Taken by the sidecar, repeats included. */
  delivered: number
  duplicates: number
  /** Refused permanently. */
  rejected: number
  /** Batches that had to be sent again, in whole or in part. */
  retries: number
  /** Never delivered: progress and metrics. */
  droppedTicks: number
  /** Never delivered: starts, ends and errors. */
  droppedEvents: number
  /** Values that had to be changed or left out to fit an event. */
  repaired: number
}

type Waiter = { upTo: number; done: (all: boolean) => void }

/** The wire takes events to 64 KiB; a batch is kept to a megabyte. */
const maxEventBytes = 64 * 1024
const maxBatchBytes = 1024 * 1024

/** While `flush` waits, an unsent batch is retried at least this often. */
const flushRetryMs = 250

/**
 * Sends events to a sidecar, in batches, in the background. `send` only puts an event in a bounded
 * queue; nothing here throws into the program or keeps it from ending, except `flush` for as long
 * as its deadline says.
 *
 * Invariants: at most one batch is in flight; an event leaves the queue only by a verdict of the
 * sidecar, by `maxRetries`, or by being counted as dropped; events of one job are sent in their
 * order (a progress tick that a full sidecar refuses for now may arrive after the job's end).
 */
export class SidecarEmitter implements Emitter {
  readonly #settings: Settings
  readonly #agent: Agent
  #queue: EventQueue
  readonly #waiters = new Set<Waiter>()
  readonly #warned = new Set<string>()
  readonly #counts = {
    delivered: 0,
    duplicates: 0,
    rejected: 0,
    retries: 0,
    droppedTicks: 0,
    droppedEvents: 0,
    repaired: 0,
  }
  #seq = 0
  #timer: NodeJS.Timeout | undefined
  #timerAt = Infinity
  #failures = 0
  /** Not before, by `performance.now()`: the next batch, and the next progress. */
  #notBefore = 0
  #lossyNotBefore = 0
  /** Maximum events in the next batch; halved when a batch is refused as a whole. */
  #batchItems: number
  #closed = false

  /** An invalid option is replaced by its default, with a warning. */
  constructor(options: EmitterOptions = {}) {
    const { settings, bad } = settle(options)
    const { url, maxBatch, maxQueue, maxQueueBytes } = settings
    this.#settings = settings
    this.#batchItems = maxBatch
    this.#agent = agentFor(url)
    this.#queue = new EventQueue(maxQueue, maxQueueBytes)
    if (bad.length > 0) this.#warn(`invalid options, using the defaults: ${bad.join(', ')}`)
  }

  /** Counters since the start. */
  get stats(): EmitterStats {
    return { queued: this.#queue.size, queuedBytes: this.#queue.bytes, ...this.#counts }
  }

  /** Queues one event. Takes microseconds, whatever the sidecar does. Never throws. */
  send(event: WireEvent): void {
    try {
      const body = JSON.stringify(event)
      const bytes = Buffer.byteLength(body)
      const lossy = isLossy(event.event.kind)
      const item = { body, bytes, key: event.idempotency_key, lossy, seq: ++this.#seq, attempts: 0 }
      if (this.#closed || bytes > maxEventBytes) {
        this.#drop([item], this.#closed ? 'closed' : 'larger than 64 KiB')
        return
      }
      this.#drop(this.#queue.push(item), 'the queue is full')
      stay(this)
      this.#wakeIn(this.#settings.lingerMs)
    } catch {
      this.repaired()
    }
  }

  /** Counts a value that had to be changed to fit an event. */
  repaired(): void {
    this.#counts.repaired++
  }

  /**
   * Delivers what is queued now.
   *
   * @param deadlineMs how long to try; the program is kept alive meanwhile
   * @returns false when the deadline came first; the rest stays queued. Never rejects.
   */
  async flush(deadlineMs = 5000): Promise<boolean> {
    if (this.#queue.size === 0) return true
    return new Promise((resolve) => {
      const waiter: Waiter = {
        upTo: this.#seq,
        done: (all) => {
          clearTimeout(timer)
          this.#waiters.delete(waiter)
          resolve(all)
        },
      }
      const waitMs = Math.min(longestTimerMs, Math.max(0, Number(deadlineMs)) || 0)
      const timer = setTimeout(() => waiter.done(false), waitMs)
      this.#waiters.add(waiter)
      this.#notBefore = 0
      this.#lossyNotBefore = 0
      this.#pump()
    })
  }

  /** Flushes, then takes no more events. @returns whether everything was delivered. */
  async close(deadlineMs = 5000): Promise<boolean> {
    const all = await this.flush(deadlineMs)
    this.#closed = true
    clearTimeout(this.#timer)
    this.#agent.destroy()
    leave(this)
    const { vital, lossy, inFlight } = this.#queue
    this.#drop([...vital, ...lossy, ...inFlight], 'closed')
    this.#queue = new EventQueue(0, 0)
    return all
  }

  /** @internal The program has nothing left to do: the last chance, within a bounded time. */
  async lastChance(): Promise<void> {
    if (await this.flush(this.#settings.exitTimeoutMs)) return
    this.#warn(`${this.#queue.size} events were not delivered before exit`)
  }

  /** One timer; it never keeps the program alive. */
  #wakeIn(ms: number): void {
    const at = performance.now() + ms
    if (at >= this.#timerAt) return
    clearTimeout(this.#timer)
    this.#timerAt = at
    this.#timer = setTimeout(() => this.#pump(), ms).unref()
  }

  #pump(): void {
    clearTimeout(this.#timer)
    this.#timerAt = Infinity
    const { vital, inFlight, size } = this.#queue
    if (this.#closed || inFlight.length > 0 || size === 0) return
    const wait = this.#notBefore - performance.now()
    const lossyWait = this.#lossyNotBefore - performance.now()
    const idle = wait > 0 ? wait : vital.length === 0 ? lossyWait : 0
    if (idle > 0) this.#wakeIn(idle)
    else void this.#deliver(this.#queue.take(this.#batchItems, maxBatchBytes, lossyWait <= 0))
  }

  async #deliver(batch: Item[]): Promise<void> {
    const { url, maxRetries, maxBatch } = this.#settings
    for (const item of batch) item.attempts++
    const bodies = batch.map((item) => item.body)
    const outcome = await postBatch(url, bodies, { agent: this.#agent, ...this.#settings })
    if (this.#closed) return
    const { halve, why, afterMs, duplicates } = outcome
    const { delivered, refused, again, spent } = judge(batch, outcome, maxRetries)
    this.#queue.giveBack(again)
    this.#counts.delivered += delivered
    this.#counts.duplicates += duplicates
    this.#counts.rejected += refused.length
    if (why) this.#warn('events wait for', `${url.href}: ${why}`)
    for (const { item, verdict } of refused) this.#warn('refused', describe(item, verdict))
    this.#drop(spent, 'too many retries')
    this.#batchItems = halve ? Math.ceil(batch.length / 2) : maxBatch
    if (!halve) this.#hold(again, !why && again.every((item) => item.lossy), afterMs)
    this.#wakeWaiters()
    this.#pump()
  }

  /**
   * Waits before these are sent again: 200 ms doubling to 30 s, half of it at random so that many
   * spread out. Progress that a full sidecar refuses for now does not hold up the rest.
   */
  #hold(again: readonly Item[], lossyOnly: boolean, afterMs = 0): void {
    if (again.length === 0) {
      this.#failures = 0
      return
    }
    this.#counts.retries++
    const whole = Math.min(30_000, 200 * 2 ** this.#failures++)
    const waitMs = Math.max(afterMs, (whole / 2) * (1 + Math.random()))
    const until =
      performance.now() + (this.#waiters.size > 0 ? Math.min(waitMs, flushRetryMs) : waitMs)
    if (lossyOnly) this.#lossyNotBefore = until
    else this.#notBefore = until
  }

  #wakeWaiters(): void {
    const { oldest } = this.#queue
    for (const waiter of this.#waiters) if (oldest > waiter.upTo) waiter.done(true)
    if (oldest === Infinity) leave(this)
  }

  #drop(items: readonly Item[], why: string): void {
    if (items.length === 0) return
    const ticks = items.filter((item) => item.lossy).length
    this.#counts.droppedTicks += ticks
    this.#counts.droppedEvents += items.length - ticks
    this.#warn(`events are dropped: ${why}`)
  }

  /** Each topic once: the output belongs to the program. */
  #warn(topic: string, detail = ''): void {
    if (this.#warned.has(topic)) return
    this.#warned.add(topic)
    try {
      this.#settings.warn(`wafermon: ${topic} ${detail}`.trim())
    } catch {
      // The program's own `warn` threw.
    }
  }
}

function describe({ key }: Item, { field = '', detail = '' }: Verdict): string {
  return `${key}: ${field} ${detail}`
}

let shared: SidecarEmitter | undefined

/** The emitter of jobs that name none: one for the process, set up from the environment. */
export function defaultEmitter(): SidecarEmitter {
  shared ??= new SidecarEmitter()
  return shared
}

/** Delivers what the default emitter holds; see `SidecarEmitter.flush`. */
export async function flush(deadlineMs?: number): Promise<boolean> {
  return !shared || shared.flush(deadlineMs)
}
