import { startRole } from '../test/support/processes.ts'
import type { Claim, Context, Turn } from './frame/bench.ts'
import { expectOk } from './frame/connection.ts'
import { folder } from './frame/context.ts'
import { eventMaker } from './frame/events.ts'
import { quantile } from './frame/numbers.ts'
import { onClock } from './frame/on-clock.ts'
import { Pool } from './frame/pool.ts'
import { startServer } from './frame/server.ts'
import { deadSink, type Entry } from './sink-entries.ts'

const perSecond = 200
const connections = 64
const [without, beside] = ['door, p99', 'door beside a dead mirror, p99']

/** How long a program waits for its answer, without and with a mirror that is dead, in milliseconds. */
export async function doorBeside(
  context: Context,
): Promise<{ sides: Record<string, Turn>; claims: Claim[] }> {
  const { url } = await startServer(context, 'receiver')
  const local: Entry = { name: 'local_api', type: 'local_api', config: { base_url: url } }
  return {
    sides: {
      [without]: await timed(context, [local]),
      [beside]: await timed(context, [local, deadSink]),
    },
    claims: [
      { side: without, unit: 'ms' },
      { side: beside, against: without, unit: 'ms', atMost: 1.2 },
    ],
  }
}

async function timed(context: Context, entries: readonly Entry[]): Promise<Turn> {
  const sidecar = await startRole(context, 'sidecar', {
    SPOOL_DIR: folder(context),
    INTEGRATIONS_CONFIG: JSON.stringify(entries),
    LOG_LEVEL: 'error',
  })
  const pool = await Pool.open(sidecar.url, connections)
  context.after(() => pool.close())
  const { next } = eventMaker()
  return async (seconds) => {
    const times: number[] = []
    await onClock(Math.ceil(seconds * perSecond), perSecond, async (dueAt) => {
      expectOk(await pool.post('/v1/ingest/events', next()))
      times.push(performance.now() - dueAt)
    })
    return quantile(times, 0.99)
  }
}
