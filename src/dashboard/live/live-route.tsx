import { Hono } from 'hono'
import type { Fresh } from '../../../views/page.ts'
import { Clock, Freshness } from '../../../views/partials/fresh.tsx'
import { Outage } from '../../../views/partials/outage.tsx'
import { fromMs, type Micros } from '../../core/time.ts'
import { withVisit } from '../respond.tsx'
import { type RouteContext, readParams, type Visit } from '../visit.ts'
import { anyJobView, type LiveView } from './live-view.ts'
import { SsePush } from './sse-push.ts'

/** Maximum open pages; a dashboard serves a fab, not the world. */
const mostBrowsers = 500
/** How often a page hears how current it is. */
const freshEveryMs = 5000
/** How soon a page hears that the stream broke or is back. */
const checkEveryMs = 1000

/** `/events`: changes for an open page, pushed to the browser. */
export function liveRoutes(context: RouteContext, views: readonly LiveView[]): Hono {
  const { dashboard } = context
  let browsers = 0
  return new Hono().get('/events', (c) =>
    withVisit(context, c, async (visit) => {
      const headers = {
        'content-type': 'text/event-stream; charset=utf-8',
        // Some proxies would buffer the stream and delay what has to be seen immediately.
        'x-accel-buffering': 'no',
      }
      // Its body would never be read, nor canceled: the page would count as open.
      if (c.req.method === 'HEAD') return c.body(null, 200, headers)
      if (browsers >= mostBrowsers || dashboard.signal.aborted) {
        return c.text('too many open pages', 503, { 'retry-after': '30' })
      }
      browsers++
      dashboard.metrics.streamClients.inc()
      const push = openPush(visit, views, () => {
        browsers--
        dashboard.metrics.streamClients.dec()
      })
      return c.body(push.body, 200, headers)
    }),
  )
}

/** Starts pushing to one browser, until it disconnects, is cut off, or the role stops. */
function openPush(visit: Visit, views: readonly LiveView[], onEnd: () => void): SsePush {
  const { live, dashboard } = visit
  const ends: (() => void)[] = []
  const push = new SsePush({
    onEnd: (why) => {
      for (const end of ends) end()
      if (why === 'slow') dashboard.metrics.streamCutOff.inc()
      onEnd()
    },
  })
  const every = (ms: number, work: () => void) => {
    const timer = setInterval(work, ms)
    ends.push(() => clearInterval(timer))
  }
  const stop = () => push.end('stopping')
  dashboard.signal.addEventListener('abort', stop, { once: true })
  ends.push(() => dashboard.signal.removeEventListener('abort', stop))

  const reportFreshness = freshnessReporter(visit, push)
  reportFreshness()
  every(checkEveryMs, reportFreshness)
  const params = readParams(visit)
  const view = views.find(({ name }) => name === params.get('view')) ?? anyJobView
  ends.push(live.subscribe(view.start(visit, params, { push, every })))
  return push
}

/** Tells the browser how current its page is, when that changed and every few seconds. */
function freshnessReporter({ live, dashboard, c }: Visit, push: SsePush): () => void {
  let reportedAt = 0
  let reported = ''
  return () => {
    // The stream ends with the session, and when its token is revoked.
    if (!dashboard.access.identify(c)) return push.end('gone')
    const { fresh } = live
    const due = fresh.state !== reported || dashboard.now() - reportedAt >= freshEveryMs
    // Until the stream of the API has begun, the page itself says what time it shows.
    if (!due || fresh.state === 'loaded') return
    reportedAt = dashboard.now()
    // Parts that could not be loaded during the outage load again.
    if (reported === 'stale' && fresh.state !== 'stale') push.signal('jobs-changed')
    reported = fresh.state
    push.swap(renderFreshness(fresh, fromMs(reportedAt)))
  }
}

function renderFreshness(fresh: Fresh, now: Micros): string {
  const parts = [
    <Freshness fresh={fresh} now={now} oob />,
    <Clock now={now} oob />,
    <Outage fresh={fresh} now={now} oob />,
  ]
  return parts.map(String).join('')
}
