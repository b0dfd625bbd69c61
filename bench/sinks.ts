import { pino } from 'pino'
import { Outgoing } from '../src/core/delivery.ts'
import { must } from '../src/core/must.ts'
import { openSink } from '../src/sinks/index.ts'
import type { Bench, Context, Turn } from './frame/bench.ts'
import { eventMaker } from './frame/events.ts'
import { startServer } from './frame/server.ts'
import { benchKeys, type Entry, everySink, sinksOfOtherForms } from './sink-entries.ts'

const batchSize = 500
const prepared = 20_000

/** The cost of an event at each kind of sink, without the spool. */
export const sinks: Bench = {
  name: 'sinks',
  about: `batches of up to ${batchSize} to a sink of each kind, one at a time, and what an event costs in the process of the sidecar; the other side does nothing but answer`,
  unit: 'events/s',
  async start(context) {
    const { url, trapper } = await startServer(context, 'receiver')
    Object.assign(process.env, benchKeys)
    const entries = [
      ...everySink(context, url),
      ...sinksOfOtherForms(url, must(trapper, 'a receiver has a trapper port')),
    ]
    const sides: Record<string, Turn> = {}
    for (const entry of entries) sides[entry.name] = await deliverer(context, entry)
    const claims = entries.flatMap(({ name: side }) => [
      { side },
      { side: `${side}, CPU`, unit: 'us an event' },
    ])
    return { sides, claims }
  },
}

async function deliverer(context: Context, entry: Entry): Promise<Turn> {
  const sink = await openSink(entry, { log: pino({ level: 'silent' }) })
  context.after(() => sink.close?.())
  const size = Math.min(batchSize, sink.limits.events)
  const bodies = stampedBodies()
  const { signal } = new AbortController()
  let seq = 0
  return async (seconds) => {
    const cpu = process.cpuUsage()
    const begin = performance.now()
    let events = 0
    while (performance.now() - begin < seconds * 1000) {
      // Each is read again, as it is by a sidecar.
      const batch = Array.from({ length: size }, () => {
        seq++
        return new Outgoing(seq, bodies[seq % prepared] ?? '')
      })
      const answer = await sink.deliver(batch, signal)
      const isTaken =
        answer.kind === 'judged' && answer.verdicts.every((verdict) => verdict === 'taken')
      if (!isTaken) throw new Error(`${entry.name}: ${JSON.stringify(answer).slice(0, 300)}`)
      events += size
    }
    const { user, system } = process.cpuUsage(cpu)
    const figure = (events / (performance.now() - begin)) * 1000
    return { figure, also: { CPU: (user + system) / events } }
  }
}

/** Events as a spool hands them out. Making them is not measured. */
function stampedBodies(): string[] {
  const { next } = eventMaker()
  return Array.from({ length: prepared }, (_, i) => {
    const stamp = `"source":{"id":"bench","epoch":"bench","seq":${i}}`
    const at = new Date().toISOString().replace('Z', '000Z')
    return `${next().slice(0, -1)},"received_at":"${at}",${stamp}}`
  })
}
