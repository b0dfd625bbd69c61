import { readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'
import { type Running, startRole } from '../test/support/processes.ts'
import type { Bench, Context, Turn } from './frame/bench.ts'
import { Connection, expectOk } from './frame/connection.ts'
import { folder } from './frame/context.ts'
import { eventMaker } from './frame/events.ts'
import { median } from './frame/numbers.ts'
import { onClock } from './frame/on-clock.ts'
import { Pool } from './frame/pool.ts'
import { startServer } from './frame/server.ts'
import { deadSink, everySink } from './sink-entries.ts'

const perSecond = 200
const connections = 64
/** Share of the time that the local API is away, in the middle; and of the first and the last part. */
const part = 1 / 6
/** How long a backlog may take once the local API is back, in seconds. */
const maxReturnS = 120

/** What a sidecar is after hours: `--seconds 3600 --turns 1`. */
export const soak: Bench = {
  name: 'soak',
  about: `${perSecond} events/s to local_api, csv, a webhook and a dead mirror, with an outage of the local API for a sixth of the time; memory in the last sixth against the first, and the spool on disk against its cap`,
  unit: 'of the first part',
  async start(context) {
    const lasts: Record<string, number> = {}
    return {
      sides: { memory: soaking(context, lasts) },
      claims: [
        { side: 'memory', atMost: 1.1 },
        { side: 'memory, MB at the end', unit: 'MB' },
        { side: 'memory, largest file', unit: '% of the cap', atMost: 75 },
        { side: 'memory, backlog gone after', unit: 's', atMost: maxReturnS },
        { side: 'memory, refused or lost', unit: 'events', atMost: 0 },
      ],
      facts: () => ({ 'events a second': perSecond, ...lasts }),
    }
  },
}

type Account = { lag_events: number; delivered: number; skipped: number; rejected: number }

function soaking(context: Context, lasts: Record<string, number>): Turn {
  return async (seconds) => {
    const api = await startServer(context, 'receiver')
    const mirrors = await startServer(context, 'receiver')
    const wanted = new Set(['local_api', 'csv', 'webhook'])
    const [local, ...others] = everySink(context, mirrors.url).filter(({ name }) =>
      wanted.has(name),
    )
    const entries = [{ ...local, config: { base_url: api.url } }, ...others, deadSink]
    const dir = folder(context)
    const maxBytes = toCap(seconds)
    const sidecar = await startRole(context, 'sidecar', {
      SPOOL_DIR: dir,
      SPOOL_MAX_BYTES: `${maxBytes}`,
      INTEGRATIONS_CONFIG: JSON.stringify(entries),
      LOG_LEVEL: 'error',
    })
    const watched = watch(sidecar, dir)
    const away = outage(api.pid, seconds)
    const { refused, sent } = await load(sidecar, seconds)
    await away
    const begin = performance.now()
    const names = entries.map(({ name = '' }) => name).filter((name) => name !== deadSink.name)
    const accounts = await untilTaken(sidecar, names)
    const { rss, largest } = watched.stop()
    lasts['skipped by the dead mirror'] = accounts[deadSink.name]?.skipped ?? 0
    const lost = names.map((name) => sent - (accounts[name]?.delivered ?? 0))
    await sidecar.stop()
    const share = Math.max(1, Math.floor(rss.length * part))
    const end = median(rss.slice(-share))
    return {
      figure: end / median(rss.slice(0, share)),
      also: {
        'MB at the end': end,
        'largest file': (largest / maxBytes) * 100,
        'backlog gone after': (performance.now() - begin) / 1000,
        'refused or lost': refused + Math.max(0, ...lost),
      },
    }
  }
}

/** So small that the dead mirror fills it several times in an hour, and an outage does not: an event takes 700 bytes. */
const toCap = (seconds: number) => Math.max(2 ** 24, Math.ceil((perSecond * seconds * 700) / 3))

/** Memory of the process in MB and size of the spool's files in bytes, once a second. */
function watch({ pid }: Running, dir: string) {
  const rss: number[] = []
  let largest = 0
  const timer = setInterval(() => {
    const status = readFileSync(`/proc/${pid}/status`, 'utf8')
    rss.push(Number(/VmRSS:\s+(\d+)/.exec(status)?.[1]) / 1024)
    const bytes = ['spool.db', 'spool.db-wal'].map(
      (name) => statSync(join(dir, name), { throwIfNoEntry: false })?.size ?? 0,
    )
    largest = Math.max(largest, ...bytes)
  }, 1000)
  return {
    stop() {
      clearInterval(timer)
      return { rss, largest }
    },
  }
}

/** The local API stands still for a while in the middle: it takes connections and answers nothing. */
async function outage(pid: number, seconds: number): Promise<void> {
  await wait(seconds * 1000 * (0.5 - part / 2))
  process.kill(pid, 'SIGSTOP')
  await wait(seconds * 1000 * part)
  process.kill(pid, 'SIGCONT')
}

async function load({ url }: Running, seconds: number) {
  const pool = await Pool.open(url, connections)
  const { next } = eventMaker()
  let [refused, sent] = [0, 0]
  await onClock(Math.ceil(seconds * perSecond), perSecond, async () => {
    const { status } = await pool.post('/v1/ingest/events', next())
    if (status === 200) sent++
    else refused++
  })
  pool.close()
  return { refused, sent }
}

/** Until these sinks have all, or too long. */
async function untilTaken({ url }: Running, names: readonly string[]) {
  const connection = await Connection.open(url)
  const begin = performance.now()
  for (;;) {
    const { sinks } = JSON.parse(expectOk(await connection.get('/v1/healthz')).body) as {
      sinks: Record<string, Account>
    }
    const isDone = names.every((name) => sinks[name]?.lag_events === 0)
    if (isDone || performance.now() - begin > 2 * maxReturnS * 1000) {
      connection.close()
      return sinks
    }
    await wait(200)
  }
}
