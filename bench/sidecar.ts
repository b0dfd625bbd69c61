import { startRole } from '../test/support/processes.ts'
import type { Bench, Claim, Context, Turn } from './frame/bench.ts'
import { Connection, expectOk, hammer } from './frame/connection.ts'
import { folder } from './frame/context.ts'
import { withCpu } from './frame/cpu.ts'
import { type EventMaker, eventMaker, jobStarts } from './frame/events.ts'
import { buildOf } from './frame/other-build.ts'
import { startServer } from './frame/server.ts'

const connections = 32
/** The program that ours is compared with: the last one whose door stood in the web framework. */
const before = 'fbe64a7'
const [fewJobs, manyJobs] = [1_000, 1_000_000]

type Targets = { before: number; floor: number }

/** One event a request, as most programs send them. */
export const sidecarSingle = sidecarBench('sidecar-single', 1, { before: 1.5, floor: 0.7 })
/** A hundred events a request, as the SDK sends what has waited. */
export const sidecarBatch = sidecarBench('sidecar-batch', 100, { before: 2.5, floor: 0.28 })

function sidecarBench(name: string, events: number, targets: Targets): Bench {
  return {
    name,
    about: `POST ${events === 1 ? 'one event' : `batches of ${events}`} on ${connections} connections, durable before the answer, against commit ${before}, and against bare node:http that reads, parses and answers`,
    unit: 'events/s',
    async start(context) {
      const [ours, theirs] = [await startSidecar(context), await startSidecar(context, before)]
      const floor = await startServer(context, 'floor')
      const [few, many] = [await startSidecar(context), await startSidecar(context)]
      await tellOfJobs(few, fewJobs)
      await tellOfJobs(many, manyJobs)
      return {
        sides: {
          sidecar: await poster(context, ours, events),
          [before]: await poster(context, theirs, events),
          floor: await poster(context, floor, events),
          [after(fewJobs)]: await poster(context, few, events, jobStarts(fewJobs)),
          [after(manyJobs)]: await poster(context, many, events, jobStarts()),
        },
        claims: claims(targets),
      }
    },
  }
}

const after = (jobs: number) => `after ${jobs.toLocaleString('en-US')} jobs`

function claims(targets: Targets): Claim[] {
  const unit = 'us an event'
  const [few, many] = [`${after(fewJobs)}, CPU`, `${after(manyJobs)}, CPU`]
  return [
    { side: 'sidecar', against: before, atLeast: targets.before },
    { side: 'sidecar', against: 'floor', atLeast: targets.floor },
    { side: 'sidecar, CPU', against: `${before}, CPU`, unit },
    { side: 'sidecar, CPU', against: 'floor, CPU', unit },
    // The cost of an event must not depend on how many jobs were seen; a tenth is noise.
    { side: many, against: few, unit, atMost: 1.1 },
  ]
}

type Server = { url: string; pid: number }

/** Its local API is away: what is measured is the taking in, and the spool only grows. */
function startSidecar(context: Context, commit?: string): Promise<Server> {
  const env = {
    SPOOL_DIR: folder(context),
    SPOOL_MAX_BYTES: String(2 ** 36),
    LOCAL_API_BASE: 'http://127.0.0.1:9',
    LOG_LEVEL: 'error',
  }
  return startRole(context, 'sidecar', env, commit && buildOf(commit))
}

/** Lets a sidecar see this many jobs start. */
async function tellOfJobs({ url }: Server, jobs: number): Promise<void> {
  const connection = await Connection.open(url)
  const starts = jobStarts()
  for (let left = jobs; left > 0; left -= 1000) {
    expectOk(await connection.post('/v1/ingest/events:batch', starts.batch(Math.min(left, 1000))))
  }
  connection.close()
}

async function poster(
  context: Context,
  { url, pid }: Server,
  events: number,
  maker: EventMaker = eventMaker(),
): Promise<Turn> {
  const open = await Promise.all(Array.from({ length: connections }, () => Connection.open(url)))
  context.after(() => open.forEach((connection) => void connection.close()))
  const path = events === 1 ? '/v1/ingest/events' : '/v1/ingest/events:batch'
  const post = async (connection: Connection) => {
    const { body } = expectOk(
      await connection.post(path, events === 1 ? maker.next() : maker.batch(events)),
    )
    // A verdict that is not "stored" would make the figure a lie.
    if (!body.includes(events === 1 ? '"duplicate":false' : `"success":${events}`))
      throw new Error(body)
    return events
  }
  return (seconds) => withCpu(pid, () => hammer(open, seconds, post))
}
