import type { TestContext } from 'node:test'
import { setTimeout as wait } from 'node:timers/promises'
import { pino } from 'pino'
import { healthRoute } from '../../src/api/health.ts'
import { questionRoutes } from '../../src/api/questions.ts'
import { mountRoutes } from '../../src/api/route.ts'
import type { Job, StoredEvent } from '../../src/core/job.ts'
import type { LiveBatch } from '../../src/core/live.ts'
import { Auth } from '../../src/platform/auth.ts'
import { createApp } from '../../src/platform/http.ts'
import { Lifecycle } from '../../src/platform/lifecycle.ts'
import { listen } from '../../src/platform/listen.ts'
import { Metrics } from '../../src/platform/metrics.ts'
import { arrayReader, type World } from './array-reader.ts'
import { anyCallers } from './callers.ts'

export type FakeApi = {
  url: string
  world: World
  /** Puts a job in place (new, or instead of the one with its id) and tells the stream. */
  put(job: Job, kind?: string): void
  stop(): Promise<void>
}

/** The routes of the local API on a real port, over arrays instead of a database. */
export async function startFakeApi(t: TestContext, world: World, port = 0): Promise<FakeApi> {
  const log = pino({ level: 'silent' })
  const life = new Lifecycle(log)
  const metrics = new Metrics()
  const reader = arrayReader(world)
  const told: StoredEvent[] = []
  const app = createApp({ log, metrics, callers: anyCallers })
  const limits = { defaultLimit: 1000, maxLimit: 10_000 }
  const feed = { subscribe: ({ after, signal }: Asked) => tell(told, after, signal) }
  const stream = { feed, metrics, log, stopping: life.signal, heartbeatMs: 500 }
  const health = { service: 'local-api', check: () => ({ ready: true, status: 'ok' as const }) }
  const routes = [...questionRoutes({ reader, limits, stream }), healthRoute(health)]
  mountRoutes(app, new Auth({ anonymous: [] }), routes)
  const url = await listen(app, { host: '127.0.0.1', port }, life)
  const stop = () => life.stop(30)
  t.after(stop)
  return {
    url,
    world,
    stop,
    put: (job, kind = 'started') => {
      world.jobs = [job, ...world.jobs.filter(({ id }) => id !== job.id)]
      told.push({
        entity: { type: 'job', id: job.id, parent_id: null },
        app: { app_id: job.appId, name: job.appName },
        site_id: job.siteId,
        event: { kind, at: job.lastEventAt },
      })
    },
  }
}

type Asked = { after?: string | undefined; signal: AbortSignal }

async function* tell(told: StoredEvent[], after: string | undefined, signal: AbortSignal) {
  let seen = after === undefined ? told.length : Number(after)
  if (seen > told.length) {
    yield 'reset' as const
    seen = told.length
  }
  while (!signal.aborted) {
    const batch: LiveBatch = told.slice(seen).map((event, i) => ({ id: `${seen + i + 1}`, event }))
    seen += batch.length
    if (batch.length > 0) yield batch
    await wait(20, undefined, { signal }).catch(() => {})
  }
}
