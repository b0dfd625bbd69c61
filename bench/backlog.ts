import { readFileSync } from 'node:fs'
import { setTimeout as wait } from 'node:timers/promises'
import { Spool } from '../src/spool/spool.ts'
import { startRole } from '../test/support/processes.ts'
import type { Bench, Context, Turn } from './frame/bench.ts'
import { Connection, expectOk } from './frame/connection.ts'
import { folder } from './frame/context.ts'
import { eventMaker, timeOrderedKey } from './frame/events.ts'
import { median } from './frame/numbers.ts'
import { startServer } from './frame/server.ts'
import { deadSink, type Entry, everySink, hangingSink } from './sink-entries.ts'
import { toAppend } from './spool.ts'

const maxMb = 300
const maxBytes = 2 ** 36

/** The memory of a sidecar with a long backlog for many sinks. */
export const backlog: Bench = {
  name: 'backlog',
  about:
    'memory of a sidecar whose 8 sinks are owed --backlog events each: six take them, one is dead and one never answers',
  unit: 'MB',
  async start(context) {
    const { url } = await startServer(context, 'receiver')
    const [local, csv, json, , ...rest] = everySink(context, url)
    const entries = [local, csv, json, ...rest, deadSink, hangingSink(url)] as Entry[]
    const dir = folder(context)
    context.log(
      `  filling a spool with ${context.options.backlog} events for ${entries.length} sinks`,
    )
    await fill(dir, entries, context.options.backlog)
    return {
      sides: { peak: delivering(context, dir, entries) },
      claims: [
        { side: 'peak', atMost: maxMb },
        { side: 'peak, last against first', unit: 'of the first part', atMost: 1.1 },
        { side: 'peak, events delivered', unit: 'events/s' },
      ],
      facts: () => ({ backlog: context.options.backlog, sinks: entries.length }),
    }
  },
}

async function fill(dir: string, entries: readonly Entry[], count: number): Promise<void> {
  const sinks = entries.map(({ name }) => ({ name, required: name === entries[0]?.name }))
  const spool = new Spool({ dir, sinks, maxBytes })
  const { next } = eventMaker()
  for (let left = count; left > 0; left -= 5000) {
    const items = Array.from({ length: Math.min(left, 5000) }, () =>
      toAppend(next(), timeOrderedKey()),
    )
    await spool.append(items)
  }
  spool.close()
}

/** Each turn continues where the one before stopped. */
function delivering(context: Context, dir: string, entries: readonly Entry[]): Turn {
  return async (seconds) => {
    const sidecar = await startRole(context, 'sidecar', {
      SPOOL_DIR: dir,
      SPOOL_MAX_BYTES: `${maxBytes}`,
      INTEGRATIONS_CONFIG: JSON.stringify(entries),
      LOG_LEVEL: 'error',
    })
    const memory = (name: string) =>
      Number(
        new RegExp(`${name}:\\s+(\\d+)`).exec(
          readFileSync(`/proc/${sidecar.pid}/status`, 'utf8'),
        )?.[1],
      ) / 1024
    const client = await Connection.open(sidecar.url)
    const delivered = async () => {
      const { sinks } = JSON.parse(expectOk(await client.get('/v1/healthz')).body) as {
        sinks: Record<string, { delivered: number }>
      }
      return Object.values(sinks).reduce((sum, one) => sum + one.delivered, 0)
    }
    const [begin, before] = [performance.now(), await delivered()]
    const rss: number[] = []
    while (performance.now() - begin < seconds * 1000) {
      rss.push(memory('VmRSS'))
      await wait(100)
    }
    const rate = ((await delivered()) - before) / ((performance.now() - begin) / 1000)
    const peak = memory('VmHWM')
    client.close()
    await sidecar.stop()
    const share = Math.max(1, Math.floor(rss.length / 4))
    // The first part is the start of the process.
    const settled = rss.length < 4 ? rss : rss.slice(share, 2 * share)
    const ratio = median(rss.slice(-share)) / median(settled)
    return { figure: peak, also: { 'last against first': ratio, 'events delivered': rate } }
  }
}
