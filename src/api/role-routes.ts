import { Hono } from 'hono'
import { type Auth, requireScope } from '../platform/auth.ts'
import { metricsRoute } from '../platform/http.ts'
import type { Metrics } from '../platform/metrics.ts'
import { docsPage, docsPolicy } from './docs-page.ts'
import { type HealthOptions, healthRoute } from './health.ts'
import { otherMethods } from './method-not-allowed.ts'
import { openApi } from './openapi.ts'
import { aboutSpecs } from './other-specs.ts'
import { noParams, readParams } from './query-params.ts'
import type { RouteSpec } from './route-spec.ts'

export type AboutOptions = {
  /** The role, as the title of its documents says it. */
  title: string
  auth: Auth
  metrics: Metrics
  health: HealthOptions
  /** The routes of this role, besides those that every role has. */
  routes: readonly RouteSpec[]
  /** Brings metrics up to date that are only known by asking. */
  refreshMetrics?: () => unknown
}

/**
 * What every role has: `/v1/healthz`, `/metrics` (scope read), `/openapi.json`, `/docs`, and the
 * answer to wrong methods on every path of the role. To be mounted last.
 */
export function aboutRoutes(options: AboutOptions): Hono {
  const { title, auth, metrics, health, refreshMetrics } = options
  const routes = [...options.routes, ...aboutSpecs]
  // Made when somebody asks, and kept: most processes are never asked, and would hold megabytes.
  const document = once(() => openApi({ title, routes }))
  const json = once(() => JSON.stringify(document()))
  const page = once(() => docsPage(document()))
  const app = new Hono()
  app.use('/metrics', requireScope(auth, 'read'))
  app.route('/', healthRoute(health))
  app.route('/', metricsRoute(metrics, refreshMetrics))
  app.get('/openapi.json', (c) => {
    readParams(c, noParams)
    return c.body(json(), 200, { 'content-type': 'application/json' })
  })
  app.get('/docs', (c) => {
    readParams(c, noParams)
    return c.html(page(), 200, { 'content-security-policy': docsPolicy })
  })
  return app.route('/', otherMethods(routes))
}

function once<T>(make: () => T): () => T {
  let made: { value: T } | undefined
  return () => {
    made ??= { value: make() }
    return made.value
  }
}
