import { pino } from 'pino'
import { questionRoutes } from '../../src/api/questions.ts'
import { roleRoutes } from '../../src/api/role-routes.ts'
import type { JobFilter, JobReader } from '../../src/core/job.ts'
import type { LiveBatch, LiveFeed, LiveSites } from '../../src/core/live.ts'
import { Auth, type AuthOptions } from '../../src/platform/auth.ts'
import { createApp } from '../../src/platform/http.ts'
import { Metrics } from '../../src/platform/metrics.ts'
import { arrayReader, emptyWorld, type World } from '../support/array-reader.ts'
import { anyCallers } from '../support/callers.ts'
import { commonRoutes } from '../support/routes.ts'
import { underContract } from './contract.ts'

export const noon = '2026-03-01T12:00:00.000000Z'
export const limits = { defaultLimit: 100, maxLimit: 1000 }

const silent: LiveFeed = { async *subscribe() {} }

export type AppOptions = {
  world?: World
  reader?: JobReader
  auth?: AuthOptions
  feed?: LiveFeed<LiveBatch | LiveSites>
  stopping?: AbortSignal
  heartbeatMs?: number
  stallMs?: number
  maxClients?: number
}

/** The questions over arrays at noon; it records the filters. */
export function readApp(options: AppOptions = {}) {
  const { world = emptyWorld(() => noon), feed = silent, stopping, ...rest } = options
  const asked: JobFilter[] = []
  /** The parameters of each question that is answered with a whole list. */
  const askedOf: Record<string, unknown> = {}
  const inner = options.reader ?? arrayReader(world)
  const reader: JobReader = {
    ...inner,
    findJobs: (filter, signal) => {
      asked.push(filter)
      return inner.findJobs(filter, signal)
    },
    findSubjobs: (filter, signal) => {
      asked.push(filter)
      return inner.findSubjobs(filter, signal)
    },
    ask: (question, params, signal) => {
      askedOf[question.name] = params
      return inner.ask(question, params, signal)
    },
    askPage: (question, params, signal, after) => {
      askedOf[question.name] = params
      return inner.askPage(question, params, signal, after)
    },
  }
  const log = pino({ level: 'silent' })
  const metrics = new Metrics()
  const auth = new Auth(options.auth ?? { anonymous: [] })
  const never = new AbortController().signal
  const stream = { ...rest, feed, metrics, log, stopping: stopping ?? never }
  const app = createApp({ log, metrics, callers: anyCallers })
  const routes = questionRoutes({ reader, limits, now: () => Date.parse(noon), stream })
  const health = { service: 'test', check: () => ({ ready: true, status: 'ok' as const }) }
  app.route('/', roleRoutes({ title: 'test', auth, metrics, health, routes }))
  const ask = underContract([...routes, ...commonRoutes()], (path, init) => app.request(path, init))
  const json = async (path: string) => (await ask(path)).json() as Promise<Body>
  return { app, routes, ask, json, asked, askedOf, metrics, world }
}

/** Parsed JSON; the contract has checked it against its schema. */
// biome-ignore lint/suspicious/noExplicitAny: every value that is read is asserted on
export type Body = any

/** The answer to a refused question. */
export type Refusal = { status: number; field?: string; detail: string }
