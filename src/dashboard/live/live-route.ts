import { type Context, Hono } from 'hono'
import { bodyLimit } from 'hono/body-limit'
import * as z from 'zod'
import { AppError } from '../../core/errors.ts'
import { PushBody } from '../../platform/push-body.ts'
import { formatSse } from '../../platform/sse.ts'
import type { DashboardPage } from '../define-page.tsx'
import type { Dashboard, RouteContext } from '../visit.ts'
import { OpenWindow } from './open-window.tsx'
import { PageMaker } from './page-maker.ts'
import { SiteWindows } from './site-windows.tsx'

/** Maximum browsers that listen; a dashboard serves a fab, not the world. */
const mostBrowsers = 500
/** Maximum windows of one browser. */
const mostWindows = 100
/** Maximum bytes that wait for one browser; a slower one is cut off and connects again by itself. */
const maxWaiting = 2 * 1024 * 1024
/** A browser that takes nothing for so long is cut off, in milliseconds. */
const stallMs = 15_000
/** How soon a stream ends after its session, in milliseconds. */
const checkEveryMs = 1000
/** A stream ends after an hour: the next request renews the session of a screen that is never reloaded. In milliseconds. */
const longestMs = 3_600_000
const mostBytes = 2 * 1024 * 1024

const askedSchema = z.object({
  /** False for an answer that ends: what changed since, for browsers that cannot listen. */
  listen: z.boolean(),
  windows: z
    .array(
      z.object({
        key: z.string().regex(/^[\w-]{1,40}$/),
        url: z
          .string()
          .regex(/^\/[^/\\]|^\/$/)
          .max(8192),
        parts: z.record(z.string().max(200), z.string().max(20)),
        news: z.number(),
      }),
    )
    .max(mostWindows),
})

const headers = {
  'content-type': 'text/event-stream; charset=utf-8',
  'cache-control': 'no-store',
  // Some proxies would buffer the stream and delay what has to be seen immediately.
  'x-accel-buffering': 'no',
}

/**
 * `POST /events`: a browser says what its windows show, and hears what changes, in one stream for all of
 * them. A message has the key of the window as its event, and HTML that replaces parts of the page
 * by their ids.
 */
export function liveRoutes(context: RouteContext, pages: readonly DashboardPage[]): Hono {
  const { dashboard } = context
  const sites = siteWindows(dashboard, new PageMaker(context, pages))
  let browsers = 0
  return new Hono().post('/events', bodyLimit({ maxSize: mostBytes }), async (c) => {
    const { listen, windows } = await readAsked(c)
    const found = windows.flatMap((state) => {
      const site = sites(new URL(state.url, 'http://localhost').searchParams.get('site'))
      return site ? [{ window: new OpenWindow(state), site }] : []
    })
    if (!listen) {
      const answers = found.map(async ({ window, site }) =>
        frame(window, await site.answer(window)),
      )
      return c.body((await Promise.all(answers)).join(''), 200, headers)
    }
    if (browsers >= mostBrowsers || dashboard.signal.aborted) {
      return c.text('too many browsers listen', 503, { 'retry-after': '30' })
    }
    browsers++
    dashboard.metrics.streamClients.inc()
    const push = openPush(c, dashboard, found, () => {
      browsers--
      dashboard.metrics.streamClients.dec()
    })
    return c.body(push.body, 200, headers)
  })
}

async function readAsked(c: Context): Promise<z.infer<typeof askedSchema>> {
  // A page of another site cannot send this type without asking first, and is not let.
  if (!/^application\/json\b/.test(c.req.header('content-type') ?? '')) {
    throw new AppError('unsupported_type', 'content-type must be application/json', {
      field: 'content-type',
    })
  }
  const { data, error } = askedSchema.safeParse(await c.req.json().catch(() => undefined))
  if (data) return data
  const [issue] = error.issues
  throw new AppError('invalid', issue?.message ?? 'the body must be JSON', {
    field: issue?.path.join('.') || 'body',
  })
}

/** The windows of each site, made when one is first asked for. */
function siteWindows(dashboard: Dashboard, maker: PageMaker) {
  const known = new Map<string, SiteWindows>()
  return (name: string | null): SiteWindows | undefined => {
    const view = dashboard.site(name ?? undefined)
    if (!view) return undefined
    const siteQuery = dashboard.siteNames.length > 1 ? view.name : undefined
    const key = JSON.stringify([view.name, siteQuery])
    const windows = known.get(key) ?? new SiteWindows(view, siteQuery, dashboard, maker)
    known.set(key, windows)
    return windows
  }
}

const frame = ({ key }: OpenWindow, html: string) => formatSse({ event: key, data: html })

type Found = readonly { window: OpenWindow; site: SiteWindows }[]

/** Starts pushing to one browser, until it disconnects, is cut off, or the role stops. */
function openPush(c: Context, dashboard: Dashboard, found: Found, onEnd: () => void): PushBody {
  const ends: (() => void)[] = []
  const push = new PushBody({
    maxWaiting,
    onEnd: (why) => {
      for (const end of ends) end()
      if (why === 'slow') dashboard.metrics.streamCutOff.inc()
      onEnd()
    },
  })
  const stop = () => push.end('over')
  dashboard.signal.addEventListener('abort', stop, { once: true })
  ends.push(() => dashboard.signal.removeEventListener('abort', stop))
  const endsAt = dashboard.now() + longestMs
  const check = setInterval(() => {
    // The stream ends with the session, and when its token is revoked.
    if (dashboard.now() >= endsAt || !dashboard.access.identify(c)) push.end('over')
    else push.endIfStalled(stallMs)
  }, checkEveryMs)
  ends.push(() => clearInterval(check))
  push.write(Buffer.from(': windows\n\n'))
  for (const { window, site } of found) {
    ends.push(site.add(window, (to, html) => push.write(Buffer.from(frame(to, html)))))
  }
  return push
}
