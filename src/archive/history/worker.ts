import { parentPort, workerData } from 'node:worker_threads'
import { AppError } from '../../core/errors.ts'
import { must } from '../../core/must.ts'
import { openPlace } from '../places/index.ts'
import type { Place } from '../places/place.ts'
import type { HostMessage, WorkerAnswer, WorkerMessage } from './host.ts'
import { readDay } from './read-day.ts'
import type { DayBatch } from './source.ts'

/* The program of the worker; see host.ts. */

type Reading = { batches: AsyncGenerator<DayBatch>; abort: AbortController }

const port = must(parentPort, 'this file is the program of a worker')
const readings = new Map<number, Reading>()
let place: Place | undefined

port.on('message', (message: HostMessage) => {
  void answer(message).then((found) => found && port.postMessage(found))
})

async function answer(message: HostMessage): Promise<WorkerAnswer | undefined> {
  const { id } = message
  try {
    if ('stop' in message) return await stop(id)
    const reading = 'ask' in message ? start(message) : readings.get(id)
    // It was stopped meanwhile.
    if (!reading) return undefined
    const { value, done } = await reading.batches.next()
    if (done) readings.delete(id)
    if (reading.abort.signal.aborted) return undefined
    return { id, batch: value ?? nothing, isLast: done === true }
  } catch (error) {
    const isStopped = readings.get(id)?.abort.signal.aborted
    readings.delete(id)
    return isStopped ? undefined : toFailure(id, error)
  }
}

void load()

/** The client of S3 is large. */
async function load(): Promise<void> {
  const { S3_BUCKET } = workerData as { S3_BUCKET?: string | undefined }
  if (S3_BUCKET !== undefined) await import('../places/s3-sdk.ts')
  port.postMessage({ ready: true } satisfies WorkerMessage)
}

const nothing: DayBatch = { rows: [], missing: [], files: 0 }

function start({ id, ask }: HostMessage & { ask: Parameters<typeof readDay>[1] }): Reading {
  place ??= openPlace(workerData as Record<string, unknown>)
  const abort = new AbortController()
  const reading = { batches: readDay(place, ask, abort.signal), abort }
  readings.set(id, reading)
  return reading
}

async function stop(id: number): Promise<WorkerAnswer> {
  const reading = readings.get(id)
  reading?.abort.abort()
  await reading?.batches.return(undefined).catch(() => {})
  readings.delete(id)
  return { id, batch: nothing, isLast: true }
}

/** Settings that contradict each other, and a place that does not answer: both are told, and cost the hot store nothing. */
function toFailure(id: number, error: unknown): WorkerAnswer {
  const { message, name } = error as Error
  const isPlace = error instanceof AppError && error.retryable
  return { id, error: message, isUnreachable: isPlace || name === 'ConfigError' }
}
