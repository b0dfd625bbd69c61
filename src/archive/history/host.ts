import { Worker } from 'node:worker_threads'
import { AppError } from '../../core/errors.ts'
import type { DayBatch, DayQuestion, DaySource } from './source.ts'
import { Turns } from './turns.ts'

/*
 * Reads days in a worker thread, so that decoding keeps nobody waiting: neither ingest nor questions to the hot store. The worker
 * begins with the first question to the archive, and opens its place.
 *
 * - An archive that cannot be read costs one question its time, and those of the next half minute nothing.
 * - A worker that does not give up a question, since a store or a disk never answers, is ended; the next question starts another.
 */

/** How long an archive that could not be read is not tried again, in milliseconds. */
const restMs = 30_000
/** How long a worker may take to load what it reads with, in milliseconds. */
const startMs = 5000
/** How long a worker may take to give up a question, in milliseconds. */
const giveUpMs = 5000

/** What is sent to the worker. */
export type HostMessage = { id: number } & ({ ask: DayQuestion } | { next: true } | { stop: true })
/** What it says once it has loaded everything; then an answer to each `ask` and `next`. `isUnreachable`: the place, not the file. */
export type WorkerMessage = { ready: true } | WorkerAnswer
export type WorkerAnswer = { id: number } & (
  | { batch: DayBatch; isLast: boolean }
  | { error: string; isUnreachable: boolean }
)

type Waiting = { resolve: (message: WorkerAnswer) => void; reject: (error: unknown) => void }

/** In the bundle this file is part of a chunk, and the worker lies beside the program. */
const workerUrl = new URL(
  import.meta.url.endsWith('.ts') ? './worker.ts' : '../archive-worker.js',
  import.meta.url,
)

export class ArchiveHost implements DaySource {
  readonly #given: Record<string, unknown>
  readonly #onTrouble: (why: string) => void
  #worker: Worker | undefined
  /** Settles when the worker has loaded everything. */
  #ready = Promise.withResolvers<void>()
  #rest: { until: number; why: string } | undefined
  #last = 0
  readonly #turns = new Turns()
  readonly #waiting = new Map<number, Waiting>()

  /**
   * @param given the settings of the archive's place
   * @param onTrouble called when it turns out that the archive cannot be read
   */
  constructor(given: Record<string, unknown>, onTrouble: (why: string) => void = () => {}) {
    this.#given = given
    this.#onTrouble = onTrouble
  }

  async open(signal: AbortSignal): Promise<void> {
    this.#assertReachable()
    this.#started()
    const { promise, reject } = Promise.withResolvers<never>()
    const timer = setTimeout(
      () => reject(this.#unreachable('the reader of the archive does not start; try later')),
      startMs,
    )
    const leave = () => reject(signal.reason)
    signal.addEventListener('abort', leave, { once: true })
    try {
      await Promise.race([this.#ready.promise, promise])
    } finally {
      clearTimeout(timer)
      signal.removeEventListener('abort', leave)
    }
  }

  async *readDay(
    question: DayQuestion,
    endsAt: number,
    signal: AbortSignal,
  ): AsyncGenerator<DayBatch> {
    this.#assertReachable()
    const endTurn = await this.#turns.take(endsAt, signal)
    const id = ++this.#last
    let isOver = true
    try {
      // It may have turned out while this one waited.
      this.#assertReachable()
      isOver = false
      let message = await this.#ask({ id, ask: question }, endsAt, signal)
      for (;;) {
        if ('error' in message) {
          isOver = true
          throw message.isUnreachable ? this.#unreachable(message.error) : new Error(message.error)
        }
        isOver = message.isLast
        yield message.batch
        if (isOver) return
        message = await this.#ask({ id, next: true }, endsAt, signal)
      }
    } finally {
      if (!isOver) this.#giveUp(id)
      endTurn()
    }
  }

  /** Ends the worker. */
  async close(): Promise<void> {
    await this.#end('the role is stopping')
  }

  #assertReachable(): void {
    if (this.#rest && performance.now() < this.#rest.until) {
      throw new AppError('unreachable', this.#rest.why)
    }
  }

  #unreachable(why: string): AppError {
    this.#rest = { until: performance.now() + restMs, why }
    this.#onTrouble(why)
    return new AppError('unreachable', why)
  }

  async #ask(message: HostMessage, endsAt: number, signal: AbortSignal): Promise<WorkerAnswer> {
    signal.throwIfAborted()
    const worker = this.#started()
    const { promise, resolve, reject } = Promise.withResolvers<WorkerAnswer>()
    this.#waiting.set(message.id, { resolve, reject })
    const late = () => reject(this.#unreachable('the archive did not answer in time; try later'))
    const timer = setTimeout(late, Math.max(0, endsAt - performance.now()))
    const leave = () => reject(signal.reason)
    signal.addEventListener('abort', leave, { once: true })
    try {
      worker.postMessage(message)
      return await promise
    } finally {
      clearTimeout(timer)
      signal.removeEventListener('abort', leave)
      this.#waiting.delete(message.id)
    }
  }

  #started(): Worker {
    if (this.#worker) return this.#worker
    const worker = new Worker(workerUrl, { workerData: this.#given })
    const ready = Promise.withResolvers<void>()
    // Whoever waits for it is told; nobody may.
    ready.promise.catch(() => {})
    this.#ready = ready
    worker.unref()
    worker.on('message', (message: WorkerMessage) => {
      if ('ready' in message) ready.resolve()
      else this.#waiting.get(message.id)?.resolve(message)
    })
    const gone = (why: string) => {
      if (this.#worker === worker) void this.#end(why)
    }
    worker.on('error', (error: Error) => gone(`the reader of the archive failed: ${error.message}`))
    worker.on('exit', () => gone('the reader of the archive ended'))
    this.#worker = worker
    return worker
  }

  /** Tells the worker that nobody waits for a question, and ends it when it does not say that it has stopped. */
  #giveUp(id: number): void {
    const worker = this.#worker
    if (!worker) return
    const timer = setTimeout(() => {
      if (this.#worker === worker) void this.#end('the reader of the archive hangs')
    }, giveUpMs)
    timer.unref()
    const stopped = () => {
      clearTimeout(timer)
      this.#waiting.delete(id)
    }
    this.#waiting.set(id, { resolve: stopped, reject: stopped })
    worker.postMessage({ id, stop: true } satisfies HostMessage)
  }

  async #end(why: string): Promise<void> {
    const worker = this.#worker
    if (!worker) return
    this.#worker = undefined
    for (const { reject } of this.#waiting.values()) reject(new AppError('unreachable', why))
    this.#waiting.clear()
    this.#ready.reject(new AppError('unreachable', why))
    await worker.terminate()
  }
}
