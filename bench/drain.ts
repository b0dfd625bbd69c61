import { readFileSync } from 'node:fs'
import { setTimeout as wait } from 'node:timers/promises'
import { startRole } from '../test/support/processes.ts'
import type { Bench, Context, Turn } from './frame/bench.ts'
import { Connection, expectOk, hammer } from './frame/connection.ts'
import { folder } from './frame/context.ts'
import { eventMaker } from './frame/events.ts'
import { postBatches, startLocalApi } from './ingest.ts'

/** The rate at which a backlog is delivered once the local API is back, and the memory that takes. */
export const drain: Bench = {
  name: 'drain',
  about:
    'a backlog from sidecar to local API to database, against ingest alone (the same local API, batches of 500 posted to it)',
  unit: 'events/s',
  async start(context) {
    const { url, server } = await context.database()
    const api = await startLocalApi(context, url)
    const dir = folder(context)
    const { backlog } = context.options
    const connections = Math.max(...context.options.connections)
    await fill(context, dir, backlog)
    const peaks: number[] = []
    return {
      sides: {
        drain: drained(context, dir, api, peaks),
        'ingest alone': await postBatches(context, api, connections),
      },
      claims: [{ side: 'drain', against: 'ingest alone', atLeast: 0.8 }],
      facts: () => ({
        database: server,
        'concurrent requests of ingest': connections,
        backlog,
        'peak memory of the sidecar, MB': Math.max(...peaks),
      }),
    }
  },
}

const environment = (dir: string, api: string) => ({
  SPOOL_DIR: dir,
  SPOOL_MAX_BYTES: String(2 ** 36),
  LOCAL_API_BASE: api,
  LOG_LEVEL: 'error',
})

/** Through the sidecar's own door, while its local API is away. */
async function fill(context: Context, dir: string, backlog: number): Promise<void> {
  context.log(`  filling the spool with ${backlog} events`)
  const sidecar = await startRole(context, 'sidecar', environment(dir, 'http://127.0.0.1:9'))
  const open = await Promise.all([1, 2].map(() => Connection.open(sidecar.url)))
  const maker = eventMaker()
  let sent = 0
  await hammer(open, Number.POSITIVE_INFINITY, async (connection) => {
    const count = Math.min(1000, backlog - sent)
    if (count === 0) return undefined
    sent += count
    expectOk(await connection.post('/v1/ingest/events:batch', maker.batch(count)))
    return count
  })
  for (const connection of open) connection.close()
  await sidecar.stop()
}

/** Each turn continues where the one before stopped. */
function drained(context: Context, dir: string, api: string, peaks: number[]): Turn {
  return async (seconds) => {
    const sidecar = await startRole(context, 'sidecar', environment(dir, api))
    const client = await Connection.open(sidecar.url)
    const waiting = async () =>
      (JSON.parse(expectOk(await client.get('/v1/healthz')).body) as { spool_count: number })
        .spool_count
    const [begin, before] = [performance.now(), await waiting()]
    let after = before
    while (after > 0 && performance.now() - begin < seconds * 1000) {
      await wait(50)
      after = await waiting()
    }
    const rate = ((before - after) / (performance.now() - begin)) * 1000
    peaks.push(peakMb(sidecar.pid))
    client.close()
    await sidecar.stop()
    if (before < rate) throw new Error('the backlog is used up: give a larger --backlog')
    return rate
  }
}

const peakMb = (pid: number) =>
  Math.round(Number(/VmHWM:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]) / 1024)
