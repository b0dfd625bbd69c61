import { Hono } from 'hono'
import { bodyLimit } from 'hono/body-limit'
import { compress } from 'hono/compress'
import { assetRoutes } from './assets.ts'
import { liveRoutes } from './live/live-route.ts'
import { pages } from './pages/index.ts'
import { guard, signInRoutes } from './pages/sign-in.tsx'
import { respondMessage, withVisit } from './respond.tsx'
import type { Dashboard, RouteContext, Visit } from './visit.ts'

/** Every page, the files that pages load, and the stream of changes. */
export function dashboardRoutes(dashboard: Dashboard): Hono {
  const app = new Hono()
  // Assets hold no data, and the sign-in page needs them.
  app.use('/assets/*', compress())
  app.route('/', assetRoutes())
  app.route('/', signInRoutes(dashboard))
  app.use('*', guard(dashboard.access))
  const context = { dashboard, navigation: pages.flatMap(({ entry }) => entry ?? []) }
  app.route('/', liveRoutes(context, pages))
  // Pages are mostly repetition: a hundred rows shrink to a tenth.
  app.use('*', compress())
  app.route('/', pageRoutes(context))
  return app
}

/** A form is a few lines of text. */
const mostFormBytes = 16_384

/** Parts come first: a part of one page may match the path of another, such as `/jobs/:id`. */
function pageRoutes(context: RouteContext): Hono {
  const app = new Hono()
  for (const [path, answer] of [
    ...pages.flatMap(({ parts }) => Object.entries(parts)),
    ...pages.map(({ path, answer }) => [path, answer] as const),
  ]) {
    app.get(path, (c) => withVisit(context, c, answer))
  }
  for (const [path, answer] of pages.flatMap(({ forms }) => Object.entries(forms))) {
    app.post(path, bodyLimit({ maxSize: mostFormBytes }), (c) => withVisit(context, c, answer))
  }
  app.get('*', (c, next) => {
    const wantsPage = c.req.header('accept')?.includes('text/html')
    return wantsPage ? withVisit(context, c, respondUnknown) : next()
  })
  return app
}

/** For a person who mistyped an address; a program gets the problem document of every role. */
const respondUnknown = (visit: Visit) =>
  respondMessage(visit, 404, 'No such page', `This dashboard has no page ${visit.c.req.path}.`)

export { Access } from './access.ts'
export { AnswerCache } from './model/answer-cache.ts'
export { openSites } from './site-views.ts'
export type { Dashboard, SiteView } from './visit.ts'
