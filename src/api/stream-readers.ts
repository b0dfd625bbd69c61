import type { Logger } from 'pino'
import type { LiveBatch, LiveFeed, LiveSites } from '../core/live.ts'
import type { Metrics } from '../platform/metrics.ts'
import { PushBody } from '../platform/push-body.ts'
import { logSparsely } from '../platform/sparse-log.ts'
import { formatSseComment } from '../platform/sse.ts'
import {
  type Batch,
  type Entry,
  frameAll,
  positionAfter,
  type StreamFilter,
  toEntries,
} from './stream-frames.ts'
import { type Reader, StreamHub } from './stream-hub.ts'

export type StreamRouteOptions = {
  feed: LiveFeed<LiveBatch | LiveSites>
  metrics: Metrics
  log: Logger
  /** Ends every stream when the role stops. */
  stopping: AbortSignal
  /** Maximum concurrent readers (default 1000). */
  maxClients?: number
  /** Time between signs of life of a quiet stream, in milliseconds (default 15,000). */
  heartbeatMs?: number
  /** Maximum time a reader may take nothing of what waits for it, in milliseconds (default 10,000). */
  stallMs?: number
}

/** Maximum bytes that wait for one reader. Readers with the same filter wait on the same bytes. */
const maxWaiting = 8 * 1024 * 1024

const preamble = Buffer.from('retry: 2000\n: this is the live stream\n\n')

type Connection = {
  signal: AbortSignal
  /** Ends it in a way that no reader takes for the end of the stream. */
  breakOff: () => void
}

/** A reader, and what ends with it. */
type Open = Reader & { connection: Connection; gone: AbortController }

/** Everyone who reads the live stream of this process. */
export class StreamReaders {
  readonly #options: StreamRouteOptions
  readonly #open = new Set<Open>()
  #hub: StreamHub | undefined
  #beat: NodeJS.Timeout | undefined

  constructor(options: StreamRouteOptions) {
    this.#options = options
    options.stopping.addEventListener('abort', () => {
      for (const { push } of this.#open) push.end('over')
    })
  }

  get count(): number {
    return this.#open.size
  }

  /** @param after the position to resume from; the stream begins now without one */
  open(filter: StreamFilter, after: string | undefined, connection: Connection) {
    const reader = this.#add(filter, connection)
    reader.push.write(preamble)
    if (this.#options.stopping.aborted) reader.push.end('over')
    else if (after === undefined) this.#hubNow().join(reader)
    else void this.#catchUp(reader, after)
    return reader.push.body
  }

  #add(filter: StreamFilter, connection: Connection): Open {
    const { metrics, heartbeatMs = 15_000, stallMs = 10_000 } = this.#options
    const gone = new AbortController()
    const push = new PushBody({ maxWaiting, onEnd: (why) => this.#left(reader, why) })
    const writtenAt = performance.now()
    const reader: Open = { push, filter, position: undefined, writtenAt, connection, gone }
    this.#open.add(reader)
    metrics.streamClients.inc()
    const leave = () => push.end('over')
    connection.signal.addEventListener('abort', leave, { once: true, signal: gone.signal })
    this.#beat ??= setInterval(() => this.#check(), Math.min(1000, heartbeatMs / 4, stallMs / 4))
    return reader
  }

  #left(reader: Open, why: 'gone' | 'slow' | 'over'): void {
    const { metrics } = this.#options
    this.#open.delete(reader)
    this.#hub?.leave(reader)
    reader.gone.abort()
    metrics.streamClients.dec()
    if (why === 'slow') {
      metrics.streamCutOff.inc()
      reader.connection.breakOff()
    }
    if (this.#open.size > 0) return
    this.#hub?.close()
    this.#hub = undefined
    clearInterval(this.#beat)
    this.#beat = undefined
  }

  #hubNow(): StreamHub {
    if (this.#hub && !this.#hub.over) return this.#hub
    const { feed, stopping } = this.#options
    const hub = new StreamHub(feed, stopping, (readers, failure) => {
      if (failure === undefined) for (const { push } of readers) push.end('over')
      else for (const reader of readers) this.#fail(reader as Open, failure)
    })
    this.#hub = hub
    return hub
  }

  /** Follows the feed from a position, no faster than the reader reads, until the hub can go on. */
  async #catchUp(reader: Open, after: string): Promise<void> {
    const { feed, stopping } = this.#options
    const joined = new AbortController()
    const signal = AbortSignal.any([stopping, reader.gone.signal, joined.signal])
    reader.position = after
    if (this.#hub?.resume(reader)) return
    try {
      for await (const batch of feed.subscribe({ after, signal })) {
        if (!reader.push.open) return
        for (const entries of toParts(batch)) {
          const bytes = frameAll(entries, reader.filter)
          if (bytes) this.#write(reader, bytes)
          await reader.push.room()
        }
        const last = toEntries(batch).at(-1)
        const position = last && positionAfter(last)
        if (position === undefined) continue
        reader.position = position
        // Not before: the first subscriber's position decides from where a site is followed.
        if (reader.push.open && this.#hubNow().takeOver(reader)) return
      }
      reader.push.end('over')
    } catch (error) {
      if (signal.aborted) reader.push.end('over')
      else this.#fail(reader, error)
    } finally {
      joined.abort()
    }
  }

  #write(reader: Reader, bytes: Uint8Array): void {
    reader.push.write(bytes)
    reader.writtenAt = performance.now()
  }

  /** Breaks the connection instead of ending the stream: the reader then resumes. */
  #fail(reader: Open, error: unknown): void {
    const line = { level: 'warn', fields: { error }, event: 'live stream interrupted' } as const
    logSparsely(this.#options.log, line.event, line)
    reader.connection.breakOff()
    reader.push.end('over')
  }

  /** Signs of life for those that were sent nothing for a while, and the end of those that stall. */
  #check(): void {
    const { heartbeatMs = 15_000, stallMs = 10_000 } = this.#options
    const due = performance.now() - heartbeatMs
    const comments = new Map<string | undefined, Uint8Array>()
    for (const reader of [...this.#open]) {
      reader.push.endIfStalled(stallMs)
      if (reader.writtenAt > due) continue
      const { position } = reader
      // The id moves a reader on whose filter matches nothing: it would resume far in the past.
      const bytes = comments.get(position) ?? Buffer.from(formatSseComment('alive', position))
      comments.set(position, bytes)
      this.#write(reader, bytes)
    }
  }
}

/** Events that are written at once while a reader catches up. */
const part = 100

function* toParts(batch: Batch): Generator<readonly Entry[]> {
  const entries = toEntries(batch)
  for (let i = 0; i < entries.length; i += part) yield entries.slice(i, i + part)
}
