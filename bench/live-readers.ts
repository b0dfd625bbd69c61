import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import type { Running } from '../test/support/processes.ts'
import type { Context, Turn } from './frame/bench.ts'
import { Connection, expectOk } from './frame/connection.ts'
import { cpuUs } from './frame/cpu.ts'
import { eventMaker } from './frame/events.ts'
import { onClock } from './frame/on-clock.ts'
import { startServer } from './frame/server.ts'

export const manyReaders = 1000
export const manyPerSecond = 500
const connections = 256
/** Longest wait for the last event of a turn, in milliseconds. */
const lastWaitMs = 20_000

/** The 99th percentile over all readers, with the CPU and the memory of the API beside it. */
export async function toManyReaders(
  context: Context,
  sidecar: string,
  api: Running,
): Promise<Turn> {
  const { child } = await startServer(context, 'readers')
  const ask = async (order: object) => {
    child.send(order)
    const [said] = await once(child, 'message')
    return said as { p99: number; behind: number }
  }
  const free = await Promise.all(
    Array.from({ length: connections }, () => Connection.open(sidecar)),
  )
  context.after(() => free.forEach((connection) => void connection.close()))
  const waiting: ((connection: Connection) => void)[] = []
  const maker = eventMaker()
  return async (seconds) => {
    // One more reads all the time.
    await ask({ open: { url: `${api.url}/v1/stream`, count: manyReaders - 1 } })
    const [cpu, begin] = [cpuUs(api.pid), performance.now()]
    let last = 0
    // The readers' process has the same monotonic clock, with another start.
    const startUs = Number(process.hrtime.bigint() / 1000n) - performance.now() * 1000
    await onClock(seconds * manyPerSecond, manyPerSecond, async (dueAt) => {
      last = Math.round(startUs + dueAt * 1000)
      const mark = `"metadata":{"due_us":"${String(last).padStart(16, '0')}",`
      const event = maker.next().replace('"metadata":{', mark)
      const connection = free.pop() ?? (await new Promise<Connection>((next) => waiting.push(next)))
      expectOk(await connection.post('/v1/ingest/events', event))
      const next = waiting.shift()
      if (next) next(connection)
      else free.push(connection)
    })
    const busy = (cpuUs(api.pid) - cpu) / 10 / (performance.now() - begin)
    const memory = residentMb(api.pid)
    const { p99, behind } = await ask({ report: { last, waitMs: lastWaitMs } })
    if (behind > 0) context.log(`${behind} of ${manyReaders} readers did not get the last event`)
    return { figure: p99, also: { 'CPU of the API': busy, 'memory of the API': memory } }
  }
}

function residentMb(pid: number): number {
  const kb = /VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]
  return Number(kb) / 1024
}
