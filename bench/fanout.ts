import { randomUUID } from 'node:crypto'
import { pino } from 'pino'
import type { Delivery, Outgoing } from '../src/core/delivery.ts'
import { Metrics } from '../src/platform/metrics.ts'
import { Drain } from '../src/spool/drain.ts'
import { Spool } from '../src/spool/spool.ts'
import { doorBeside } from './fanout-door.ts'
import type { Bench, Claim, Context, Turn } from './frame/bench.ts'
import { folder } from './frame/context.ts'
import { eventMaker } from './frame/events.ts'
import { toAppend } from './spool.ts'

/** What the sinks beside local_api do. */
type Mirrors = readonly ('takes' | 'dead')[]

const takes = (count: number): Mirrors => Array.from({ length: count }, () => 'takes')
const setups: Readonly<Record<string, Mirrors>> = {
  'local_api alone': [],
  '1 more': takes(1),
  '7 more': takes(7),
  '7 more, one dead': [...takes(6), 'dead'],
}
const sizes = { singles: 1, 'batches of 100': 100 }

/** The cost of more sinks to the spool. */
export const fanout: Bench = {
  name: 'fanout',
  about:
    'events one by one and in batches of 100 through the spool to local_api alone, and to 1 and 7 stand-ins more, which do nothing but take; commits and CPU of spool and drains; and the door of a sidecar without and with a mirror that is dead',
  unit: 'events/s',
  async start(context) {
    const sides: Record<string, Turn> = {}
    for (const [name, size] of Object.entries(sizes)) {
      for (const [setup, mirrors] of Object.entries(setups)) {
        sides[`${name}, ${setup}`] = throughSpool(context, size, mirrors)
      }
    }
    const door = await doorBeside(context)
    return { sides: { ...sides, ...door.sides }, claims: [...claims(), ...door.claims] }
  },
}

function claims(): Claim[] {
  return Object.keys(sizes).flatMap((name) => {
    const alone = `${name}, local_api alone`
    return Object.keys(setups).flatMap((setup): Claim[] => {
      const side = `${name}, ${setup}`
      if (side === alone) return [{ side }]
      const cpu: Claim = { side: `${side}, CPU`, against: `${alone}, CPU`, unit: 'us an event' }
      const commits: Claim = {
        side: `${side}, commits`,
        against: `${alone}, commits`,
        unit: 'commits/1000 events',
        atMost: 1.1,
      }
      return [{ side, against: alone }, commits, setup === '7 more' ? { ...cpu, atMost: 1.5 } : cpu]
    })
  })
}

/** A spool in this process, whose sinks cost nothing themselves. */
function throughSpool(context: Context, size: number, mirrors: Mirrors): Turn {
  const all = ['takes' as const, ...mirrors].map((does, i) => ({
    name: i === 0 ? 'local_api' : `mirror ${i}`,
    required: i === 0,
    does,
  }))
  let commits = 0
  const spool = new Spool({
    ...{ dir: folder(context), sinks: all, maxBytes: 2 ** 28 },
    onCommit: () => commits++,
  })
  const stopping = new AbortController()
  const running = all.map(({ name, does }) => startDrain(spool, name, does, stopping.signal))
  context.after(async () => {
    stopping.abort()
    await Promise.all(running)
    spool.close()
  })
  const { next } = eventMaker()
  const bodies = Array.from({ length: 5000 }, next)
  let made = 0
  return async (seconds) => {
    const [before, cpu, begin] = [commits, process.cpuUsage(), performance.now()]
    let events = 0
    while (performance.now() - begin < seconds * 1000) {
      const items = Array.from({ length: size }, () =>
        toAppend(bodies[made++ % bodies.length] ?? '', randomUUID()),
      )
      const verdicts = await spool.append(items)
      if (verdicts.some((verdict) => verdict !== 'stored')) {
        throw new Error(`refused: ${JSON.stringify(verdicts[0])}`)
      }
      events += size
    }
    while (spool.lag('local_api') > 0) await new Promise((done) => setTimeout(done, 5))
    const { user, system } = process.cpuUsage(cpu)
    const figure = (events / (performance.now() - begin)) * 1000
    const also = { CPU: (user + system) / events, commits: ((commits - before) / events) * 1000 }
    return { figure, also }
  }
}

function startDrain(spool: Spool, sink: string, does: 'takes' | 'dead', signal: AbortSignal) {
  const deliver = async (batch: readonly Outgoing[]): Promise<Delivery> => {
    await new Promise(setImmediate)
    if (does === 'dead') return { kind: 'failed', reason: 'dead' }
    return { kind: 'judged', verdicts: batch.map(() => 'taken') }
  }
  const drain = new Drain({
    ...{ spool, sink, deliver, limits: { events: 500, bytes: 4 * 2 ** 20 } },
    ...{ ordered: sink !== 'local_api', keepsState: sink !== 'local_api', idleMs: 2000 },
    ...{ log: pino({ level: 'silent' }), metrics: new Metrics() },
  })
  return drain.run(signal)
}
