import { get } from 'node:http'
import { setTimeout as wait } from 'node:timers/promises'
import { startRole } from '../test/support/processes.ts'
import type { Bench, Context, Turn } from './frame/bench.ts'
import { Connection, expectOk } from './frame/connection.ts'
import { folder } from './frame/context.ts'
import { eventMaker } from './frame/events.ts'
import { quantile } from './frame/numbers.ts'
import { onClock } from './frame/on-clock.ts'
import { manyPerSecond, manyReaders, toManyReaders } from './live-readers.ts'

const perSecond = 1000
/** More than are ever busy, so that a slow answer does not hold up the next request. */
const connections = 256
/** Longest wait for the last events of a turn, in milliseconds. */
const lastWaitMs = 20_000

const many = `to ${manyReaders} readers, p99`

/** How long after an event happened a reader sees it. */
export const live: Bench = {
  name: 'live',
  about: `POST of one event to a sidecar until it is on the live stream of the local API, at ${perSecond} events/s, 99th percentile; and until all of ${manyReaders} readers have it, at ${manyPerSecond} events/s`,
  unit: 'ms',
  async start(context) {
    const { url, server } = await context.database()
    const api = await startRole(context, 'local-api', { DATABASE_URL: url, LOG_LEVEL: 'error' })
    const sidecar = await startRole(context, 'sidecar', {
      SPOOL_DIR: folder(context),
      LOCAL_API_BASE: api.url,
      LOG_LEVEL: 'error',
    })
    const seen = await follow(context, `${api.url}/v1/stream`)
    const medians: number[] = []
    return {
      sides: {
        'to the stream, p99': await timed(context, sidecar.url, seen, medians),
        [many]: await toManyReaders(context, sidecar.url, api),
      },
      claims: [
        { side: 'to the stream, p99', atMost: 250 },
        { side: many, atMost: 250 },
        { side: `${many}, CPU of the API`, unit: '% of a core' },
        { side: `${many}, memory of the API`, unit: 'MiB' },
      ],
      facts: () => ({ database: server, 'median, ms': Math.round(quantile(medians, 0.5)) }),
    }
  },
}

/** Reads the stream until the bench ends. @returns when each key was seen, filled as they come */
async function follow(context: Context, url: string): Promise<Map<string, number>> {
  const seen = new Map<string, number>()
  const request = get(url, { agent: false })
  context.after(() => request.destroy())
  await new Promise<void>((resolve, reject) => {
    request.once('error', reject)
    request.once('response', (response) => {
      let rest = ''
      response.setEncoding('utf8').on('data', (chunk: string) => {
        const now = performance.now()
        const lines = (rest + chunk).split('\n')
        rest = lines.pop() ?? ''
        for (const line of lines) {
          const key = /^data: \{"idempotency_key":"([^"]+)"/.exec(line)?.[1]
          if (key !== undefined) seen.set(key, now)
        }
      })
      // The stream's first line says that it has begun.
      response.once('data', () => resolve())
    })
  })
  request.on('error', () => {})
  return seen
}

/** Sends on a clock, whatever the answers do, and counts from when an event was due. */
async function timed(
  context: Context,
  url: string,
  seen: Map<string, number>,
  medians: number[],
): Promise<Turn> {
  const free = await Promise.all(Array.from({ length: connections }, () => Connection.open(url)))
  context.after(() => free.forEach((connection) => void connection.close()))
  const waiting: ((connection: Connection) => void)[] = []
  const maker = eventMaker()
  return async (seconds) => {
    seen.clear()
    const due = new Map<string, number>()
    await onClock(seconds * perSecond, perSecond, async (dueAt) => {
      const event = maker.next()
      due.set(event.slice(20, 56), dueAt)
      const connection = free.pop() ?? (await new Promise<Connection>((next) => waiting.push(next)))
      expectOk(await connection.post('/v1/ingest/events', event))
      const next = waiting.shift()
      if (next) next(connection)
      else free.push(connection)
    })
    const deadline = performance.now() + lastWaitMs
    while (seen.size < due.size && performance.now() < deadline) await wait(20)
    // One that never came counts as long as it was waited for.
    const now = performance.now()
    const times = [...due].map(([key, dueAt]) => (seen.get(key) ?? now) - dueAt)
    medians.push(quantile(times, 0.5))
    return quantile(times, 0.99)
  }
}
