/// <reference lib="esnext.disposable" preserve="true" />
import { cleanMetadata, cleanText, metadataBytes, type Note } from './clean.ts'
import { nowText, roundS } from './clock.ts'
import { context } from './context.ts'
import type { Emitter, EventKind, EventStatus, WireEvent } from './event.ts'
import { uuidV7 } from './id.ts'
import { cleanMetric, keepMetric } from './metrics.ts'
import { type Identity, identify, type JobOptions, pick } from './options.ts'
import { cpuNow, usageSince } from './usage.ts'

export type Tick = {
  /** 0 to 1. By default `current` of `total`. */
  progress?: number | undefined
  /** How much is done, of `total`. */
  current?: number | undefined
  total?: number | undefined
  metadata?: Record<string, unknown> | undefined
}

/** A subjob inherits app, site, business key and emitter from its job. */
export type SubjobOptions = Omit<JobOptions, 'parent'>

type Work<T> = (job: Job) => T | PromiseLike<T>
type Body = {
  metrics?: Record<string, number> | undefined
  /** From the program: anything. */
  metadata?: unknown
  /** Ours, already clean; comes first. */
  extra?: Record<string, string | number>
}

/** The job in whose callback this code runs, if any. */
export function currentJob(): Job | undefined {
  return context.getStore() as Job | undefined
}

/**
 * A job or subjob that has started. No method throws, waits or touches the network; after the end
 * they do nothing.
 */
export class Job {
  /** @internal The part that is the same in all events, and that subjobs inherit. */
  readonly identity: Identity
  /** @internal */
  readonly emitter: Emitter
  /** Undefined while it waits for its first start. */
  #startedAt: string | undefined
  #startMs = 0
  #cpu = cpuNow()
  readonly #metrics = new Map<string, number>()
  readonly #note: Note
  #ended = false

  /** @internal Made by `startJob`. */
  constructor(options: unknown, parent: unknown, emitter: Emitter) {
    this.emitter = emitter
    this.#note = () => noteSafely(emitter)
    this.identity = identify(options, parent, this.#note)
    const metadata = pick(options, 'metadata')
    const queued = pick(options, 'queued')
    if (queued) this.queue(queued === true ? undefined : (queued as string), metadata as never)
    else this.start(metadata as never)
  }

  /** A UUID. */
  get id(): string {
    return this.identity.entity.id
  }

  /** False once it has finished, failed or been canceled. */
  get running(): boolean {
    return !this.#ended
  }

  /**
   * Reports that the job waits: before its start, or again, as a lot that is held.
   *
   * @param reason why
   */
  queue(reason?: string, metadata?: Record<string, unknown>): void {
    this.#guard(() => {
      const body = { extra: this.#reason(reason), metadata }
      this.#send('queued', nowText(), body, { status: 'queued' })
    })
  }

  /** Reports that a job that waited starts, or goes on. Any other has started by itself. */
  start(metadata?: Record<string, unknown>): void {
    this.#guard(() => {
      const at = nowText()
      if (!this.#startedAt) {
        this.#startedAt = at
        this.#startMs = performance.now()
        this.#cpu = cpuNow()
      }
      this.#send('started', at, { metadata })
    })
  }

  /** Reports how far the work is, 0 to 1 or as a count and its total, and its current metadata. */
  tick(tick: Tick = {}): void {
    this.#guard(() => {
      const { metadata, current, total } = tick
      const counts = isCount(current) && isCount(total)
      const progress = tick.progress ?? (counts && total > 0 ? current / total : undefined)
      const metrics = progress == null ? undefined : this.#keep('progress', progress)
      const extra = counts ? { current, total } : {}
      this.#send('progress', nowText(), { metrics, extra, metadata })
    })
  }

  /**
   * Reports a figure; the unit belongs in the name (`cd_mean_nm`). A figure given for something
   * the SDK measures (`cpu_user_s`, `cpu_system_s`, `mem_max_mb`, `duration_s`) replaces it.
   */
  metric(name: string, value: number): void {
    this.#guard(() => {
      const metrics = this.#keep(name, value)
      if (metrics) this.#send('metric', nowText(), { metrics })
    })
  }

  /** Reports an error that does not end the job. */
  error(error: unknown, metadata?: Record<string, unknown>): void {
    this.#guard(() => {
      this.#send('error', nowText(), { extra: this.#describe(error), metadata })
    })
  }

  /** Ends the job: succeeded. */
  finish(metadata?: Record<string, unknown>): void {
    this.#guard(() => this.#end('finished', 'succeeded', { metadata }))
  }

  /** Ends the job: failed. `error` is what was thrown, or a sentence. */
  fail(error: unknown, metadata?: Record<string, unknown>): void {
    this.#guard(() => this.#end('error', 'failed', { extra: this.#describe(error), metadata }))
  }

  /** Ends the job: canceled. The later result or error of its callback changes nothing. */
  cancel(reason?: string, metadata?: Record<string, unknown>): void {
    this.#guard(() => {
      this.#end('canceled', 'canceled', { extra: this.#reason(reason), metadata })
    })
  }

  /** Ends the job: it is over, and how it ended is not known. Counts neither as success nor as failure. */
  endUnknown(reason?: string, metadata?: Record<string, unknown>): void {
    this.#guard(() => {
      this.#end('finished', 'unknown', { extra: this.#reason(reason), metadata })
    })
  }

  /** Starts a part of this job: the caller ends it. Text is short for `{ subKey }`. */
  subjob(options: SubjobOptions | string): Job
  /** Runs a part of this job, as `monitored` does. */
  subjob<T>(options: SubjobOptions | string, work: Work<T>): Promise<Awaited<T>>
  subjob<T>(options: SubjobOptions | string, work?: Work<T>): Job | Promise<Awaited<T>> {
    const named = typeof options === 'string' ? { subKey: options } : options
    const job = new Job(named, this.identity, this.emitter)
    return work ? runToEnd(job, work) : job
  }

  /** Runs code in which this job is the current one: jobs that start there become its subjobs. */
  run<T>(work: (job: Job) => T): T {
    return context.run(this, work, this)
  }

  /**
   * Leaving the scope of a `using` without `finish()` means that it was left by an exception, as
   * a database transaction without commit is rolled back: the job has failed.
   */
  [Symbol.dispose](): void {
    if (this.#ended) return
    this.fail('left before job.finish()', { error_type: 'Unfinished' })
  }

  /** The same; nothing is waited for. */
  async [Symbol.asyncDispose](): Promise<void> {
    this[Symbol.dispose]()
  }

  /** Monitoring must not break the program: an error in here is only counted. */
  #guard(report: () => void): void {
    try {
      if (!this.#ended) report()
    } catch {
      this.#note()
    }
  }

  #keep(name: unknown, value: unknown): Record<string, number> | undefined {
    const entry = cleanMetric(name, value, this.#note)
    if (entry) keepMetric(this.#metrics, ...entry)
    return entry && { [entry[0]]: entry[1] }
  }

  #reason(reason: unknown): Record<string, string> {
    return reason ? { reason: cleanText(reason, 2000, this.#note) } : {}
  }

  #describe(error: unknown): Record<string, string> {
    const [message, type] = readError(error)
    return {
      error: cleanText(message, 2000, this.#note),
      ...(type ? { error_type: cleanText(type, 200, this.#note) } : {}),
    }
  }

  /** Figures of the program replace the measured ones. */
  #end(kind: EventKind, status: EventStatus, body: Body): void {
    this.#ended = true
    const metrics: Record<string, number> = {
      // Of a job that never started there is nothing to measure.
      ...(this.#startedAt && {
        duration_s: roundS((performance.now() - this.#startMs) / 1000),
        ...usageSince(this.#cpu),
      }),
      ...Object.fromEntries(this.#metrics),
    }
    const at = nowText()
    this.#send(kind, at, { ...body, metrics }, { status, ended_at: at })
  }

  #send(kind: EventKind, at: string, body: Body, end?: Partial<WireEvent['event']>): void {
    const { extra, metrics } = body
    // Our own fields come first, so that they are not left out when there is no room.
    const room = metadataBytes - Buffer.byteLength(JSON.stringify(extra ?? ''))
    const metadata = { ...extra, ...cleanMetadata(body.metadata, this.#note, room) }
    this.emitter.send({
      idempotency_key: uuidV7(),
      ...this.identity,
      event: {
        kind,
        at,
        ...(this.#startedAt && { status: 'running', started_at: this.#startedAt }),
        ...end,
        ...(metrics && { metrics }),
        ...(Object.keys(metadata).length > 0 && { metadata }),
      },
    })
  }
}

/**
 * Runs work as a job: it ends when the work does. The work's value and the work's error come back
 * as they are.
 */
export async function runToEnd<T>(job: Job, work: Work<T>): Promise<Awaited<T>> {
  let value: Awaited<T>
  try {
    value = await job.run(work)
  } catch (error) {
    job.fail(error)
    throw error
  }
  job.finish()
  return value
}

const isCount = (value: unknown): value is number =>
  Number.isFinite(value) && (value as number) >= 0

function noteSafely(emitter: Emitter): void {
  try {
    emitter.repaired?.()
  } catch {
    // The program's own emitter threw: the error cannot be reported anywhere.
  }
}

/** Message and kind of whatever was thrown; a sentence has no type. Its getters may throw too. */
function readError(error: unknown): [message: unknown, type?: unknown] {
  try {
    const { message, name } = Object(error) as Partial<Error>
    return [message || name || error, name]
  } catch {
    return ['[unreadable]']
  }
}
