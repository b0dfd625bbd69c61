import { Hono } from 'hono'
import { compress } from 'hono/compress'
import { assetRoutes } from './assets.ts'
import { eventsRoutes } from './events.tsx'
import { exportRoutes } from './export.ts'
import type { Dashboard } from './frame.ts'
import { jobRoutes } from './job.tsx'
import { jobsRoutes } from './jobs.tsx'
import { overviewRoutes } from './overview.tsx'
import { pipelineRoutes } from './pipeline.tsx'
import { guard, signInRoutes } from './sign-in.tsx'

/** Every page, what the pages load, and what is pushed to them. */
export function dashboardRoutes(dashboard: Dashboard): Hono {
  const routes = { dashboard }
  const app = new Hono()
  // They hold no data, and the sign-in page needs them.
  app.use('/assets/*', compress())
  app.route('/', assetRoutes())
  app.route('/', signInRoutes(routes))
  app.use('*', guard(dashboard.door))
  app.route('/', eventsRoutes(routes))
  // Pages are mostly repetition; a hundred rows shrink to a tenth.
  app.use('*', compress())
  app.route('/', overviewRoutes(routes))
  app.route('/', exportRoutes(routes))
  app.route('/', jobsRoutes(routes))
  app.route('/', jobRoutes(routes))
  app.route('/', pipelineRoutes(routes))
  return app
}

export { Door } from './door.ts'
export type { Dashboard, SiteView } from './frame.ts'
export { Live } from './live.ts'
export { Memory } from './memory.ts'
