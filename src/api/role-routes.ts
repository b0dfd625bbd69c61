import { Hono } from 'hono'
import type { Auth } from '../platform/auth.ts'
import type { Metrics } from '../platform/metrics.ts'
import { documentRoutes, metricsRoute } from './about.ts'
import { mountOtherMethods } from './allowed-methods.ts'
import { type HealthOptions, healthRoute } from './health.ts'
import { mountRoutes, type Route } from './route.ts'

export type RoleRoutesOptions = {
  /** Name of the role in the title of its documents. */
  title: string
  auth: Auth
  metrics: Metrics
  health: HealthOptions
  /** The routes of this role, besides those that every role has. */
  routes: readonly Route[]
  /** Updates the metrics that are only known by asking. */
  refreshMetrics?: () => unknown
}

/**
 * Every route of a role, mounted: its own, those that every role has, and the answers to other
 * methods on their paths. Nothing is mounted that is not in its documents.
 */
export function roleRoutes(options: RoleRoutesOptions): Hono {
  const all: Route[] = [...options.routes, ...aboutRoutes(options, () => all)]
  const app = new Hono()
  mountRoutes(app, options.auth, all)
  mountOtherMethods(app, all)
  return app
}

type AboutOptions = Pick<RoleRoutesOptions, 'title' | 'metrics' | 'health' | 'refreshMetrics'>

/** The routes that every role has. */
export function aboutRoutes(options: AboutOptions, all: () => readonly Route[]): Route[] {
  const { title, metrics, health, refreshMetrics } = options
  return [healthRoute(health), metricsRoute(metrics, refreshMetrics), ...documentRoutes(title, all)]
}
