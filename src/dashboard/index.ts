import { Hono } from 'hono'
import { compress } from 'hono/compress'
import { assetRoutes } from './assets.ts'
import { eventsRoutes } from './live/live-route.tsx'
import { exportRoutes } from './pages/downloads.ts'
import { jobRoutes } from './pages/job.tsx'
import { jobsRoutes } from './pages/jobs.tsx'
import { overviewRoutes } from './pages/overview.tsx'
import { pipelineRoutes } from './pages/pipeline.tsx'
import { guard, signInRoutes } from './pages/sign-in.tsx'
import type { Dashboard } from './visit.ts'

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

export { Access } from './access.ts'
export { Live } from './live/live.ts'
export { AnswerCache } from './model/answer-cache.ts'
export type { Dashboard, SiteView } from './visit.ts'
