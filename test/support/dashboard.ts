import type { TestContext } from 'node:test'
import { pino } from 'pino'
import { AppError } from '../../src/core/errors.ts'
import { fromMs, type Micros, toMs } from '../../src/core/time.ts'
import { Access, AnswerCache, dashboardRoutes } from '../../src/dashboard/index.ts'
import { Live } from '../../src/dashboard/live/live.ts'
import type { Backend, LiveMessage } from '../../src/dashboard/model/backend.ts'
import { Auth } from '../../src/platform/auth.ts'
import { createApp } from '../../src/platform/http.ts'
import { Metrics } from '../../src/platform/metrics.ts'
import { arrayReader, emptyWorld } from './array-reader.ts'
import { anyCallers } from './callers.ts'

/** The dashboard over arrays, with a clock that tests turn and an API that they take away. */
export function aDashboard(
  t: TestContext,
  {
    noon = '2026-03-01T12:00:00.000000Z' as Micros,
    auth = new Auth({ anonymous: [] }),
    simulated = false,
  } = {},
) {
  let nowMs = toMs(noon)
  let away = false
  const now = () => nowMs
  const world = emptyWorld(() => fromMs(nowMs))
  const stop = new AbortController()
  t.after(() => stop.abort())
  const queue: LiveMessage[] = []
  const accepted: [id: string, acceptance: object][] = []
  const closings: [id: string, closing: object][] = []
  const watched: Watched = {}
  const backend = failing(
    { ...arrayReader(world), ...extras(queue, accepted, closings) },
    () => away,
    watched,
  )
  const cache = new AnswerCache({ freshMs: 2000, restMs: 3000, mostRows: 60_000, now })
  const live = new Live({
    backend,
    signal: stop.signal,
    onError: () => {},
    onChange: () => cache.expire(),
    gatherMs: 10,
    now,
    timeOfDay: now,
  })
  const running = live.run()
  t.after(() => running)
  const metrics = new Metrics()
  const log = pino({ level: 'silent' })
  const app = createApp({ log, metrics, callers: anyCallers }).route(
    '/',
    dashboardRoutes({
      site: (name) =>
        name === undefined || name === 'fab1' ? { name: 'fab1', backend, live } : undefined,
      siteNames: [],
      simulated,
      cache,
      access: new Access({ auth, secret: 'of the role', port: 8501, now }),
      log,
      metrics,
      signal: stop.signal,
      now,
    }),
  )
  return Object.assign(watched, {
    app,
    world,
    /** The losses that were accepted. */
    accepted,
    /** What the live stream says next. */
    queue,
    /** The jobs that were closed. */
    closings,
    metrics,
    stop: () => stop.abort(),
    pass: (seconds: number) => {
      nowMs += seconds * 1000
    },
    away: (value: boolean) => {
      away = value
    },
    tell: (id: string, type = 'job', parentId: string | null = null) => {
      const data = JSON.stringify({ entity: { type, id, parent_id: parentId } })
      queue.push({ id: '1', event: 'progress', data })
    },
    get: async (path: string, init?: RequestInit) => {
      const response = await app.request(path, init)
      return { response, status: response.status, html: await response.text() }
    },
  })
}

type Watched = {
  asked?: (name: string, ...given: unknown[]) => void
  /** What a question waits for before it is answered; it fails when that is rejected. */
  hinder?: (name: string, ...given: unknown[]) => Promise<unknown> | undefined
}

/** The part of a site's API beyond a JobReader. */
function extras(
  queue: LiveMessage[],
  accepted: [id: string, acceptance: object][],
  closings: [id: string, closing: object][],
): Pick<Backend, 'health' | 'follow' | 'exportJobs' | 'acceptSource' | 'closeJob'> {
  return {
    acceptSource: async (id, acceptance) => {
      accepted.push([id, acceptance])
    },
    closeJob: async (id, closing) => {
      closings.push([id, closing])
    },
    health: async () => ({ status: 'ok', version: '0.1.0' }),
    follow: async function* (_lastEventId, signal) {
      yield { id: '', event: 'comment', data: '' }
      while (!signal.aborted) {
        yield* queue.splice(0)
        await new Promise((resolve) => setTimeout(resolve, 5))
      }
    },
    exportJobs: async (filter, format) =>
      new Blob([`${format} ${filter.status ?? 'all'} ${filter.order}`]).stream(),
  }
}

const unreachable = 'the API at fab1 cannot be reached'

/** The same, which throws as a remote reader does while the API is away. */
function failing(backend: Backend, away: () => boolean, watched: Watched): Backend {
  const guard =
    (name: string, call: (...given: unknown[]) => unknown) =>
    (...given: unknown[]) => {
      watched.asked?.(name, ...given)
      if (away()) return Promise.reject(new AppError('unreachable', unreachable))
      const hindrance = watched.hinder?.(name, ...given)
      return hindrance ? hindrance.then(() => call(...given)) : call(...given)
    }
  const { follow, ...calls } = backend
  const guarded = Object.entries(calls).map(([name, call]) => [name, guard(name, call as never)])
  return { ...Object.fromEntries(guarded), follow } as Backend
}
