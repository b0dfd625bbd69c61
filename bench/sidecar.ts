import { startRole } from '../test/support/processes.ts'
import type { Bench, Context } from './frame/bench.ts'
import { Connection, hammer, must } from './frame/connection.ts'
import { folder } from './frame/context.ts'
import { eventMaker } from './frame/events.ts'
import { startServer } from './frame/server.ts'

const connections = 32

/** One event a request, as most programs send them. */
export const sidecarSingle = sidecarBench('sidecar-single', 1, 0.7)
/** A hundred events a request, as the SDK sends what has waited. */
export const sidecarBatch = sidecarBench('sidecar-batch', 100, 0.6)

function sidecarBench(name: string, events: number, atLeast: number): Bench {
  return {
    name,
    about: `POST ${events === 1 ? 'one event' : `batches of ${events}`} on ${connections} connections, durable before the answer, against the same server with no storage`,
    unit: 'events/s',
    async start(context) {
      const [sidecar, without] = [
        await startSidecar(context),
        await startServer(context, 'no-storage'),
      ]
      return {
        sides: {
          sidecar: await poster(context, sidecar, events),
          'no storage': await poster(context, without.url, events),
        },
        claims: [{ side: 'sidecar', against: 'no storage', atLeast }],
      }
    },
  }
}

/** Its local API is away: what is measured is the taking in, and the spool only grows. */
async function startSidecar(context: Context): Promise<string> {
  const { url } = await startRole(context, 'sidecar', {
    SPOOL_DIR: folder(context),
    SPOOL_MAX_BYTES: String(2 ** 36),
    LOCAL_API_BASE: 'http://127.0.0.1:9',
    LOG_LEVEL: 'error',
  })
  return url
}

async function poster(context: Context, url: string, events: number) {
  const maker = eventMaker()
  const open = await Promise.all(Array.from({ length: connections }, () => Connection.open(url)))
  context.after(() => open.forEach((connection) => void connection.close()))
  const path = events === 1 ? '/v1/ingest/events' : '/v1/ingest/events:batch'
  return (seconds: number) =>
    hammer(open, seconds, async (connection) => {
      const { body } = must(
        await connection.post(path, events === 1 ? maker.next() : maker.batch(events)),
      )
      // A verdict that is not "stored" would make the figure a lie.
      if (!body.includes(events === 1 ? '"duplicate":false' : `"success":${events}`))
        throw new Error(body)
      return events
    })
}
