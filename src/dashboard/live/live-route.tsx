import { Hono } from 'hono'
import type { Fresh } from '../../../views/page.ts'
import { Clock, Freshness } from '../../../views/partials/fresh.tsx'
import { Outage } from '../../../views/partials/outage.tsx'
import type { Job, JobFilter } from '../../core/job.ts'
import { fromMs, type Micros, parseTime, toMs } from '../../core/time.ts'
import { filterOf, readJobsQuery } from '../model/query.ts'
import { rowsOf } from '../pages/jobs.tsx'
import { type Routes, visited } from '../respond.ts'
import type { Visit } from '../visit.ts'
import { JobsFeed } from './jobs-feed.tsx'
import type { Change } from './live.ts'
import { Push } from './sse-push.ts'

/** Browsers that may listen at once; a dashboard serves a fab, not the world. */
const mostBrowsers = 500
/** How often a page hears how fresh it is, and how often running rows are drawn anew. */
const freshEveryMs = 5000
/** How soon a page hears that the stream broke or is back. */
const lookEveryMs = 1000
const agingEveryMs = 15_000
const marginMs = 10_000

/** `/events`: what changes on an open page, pushed to the browser. */
export function eventsRoutes({ dashboard }: Routes): Hono {
  let browsers = 0
  return new Hono().get('/events', (c) =>
    visited(dashboard, c, async (visit) => {
      if (browsers >= mostBrowsers || dashboard.signal.aborted) {
        return c.text('too many open pages', 503, { 'retry-after': '30' })
      }
      browsers++
      dashboard.metrics.streamClients.inc()
      const push = openPush(visit, () => {
        browsers--
        dashboard.metrics.streamClients.dec()
      })
      return c.body(push.body, 200, {
        'content-type': 'text/event-stream; charset=utf-8',
        // A proxy that gathers would hold back what is meant to be seen at once.
        'x-accel-buffering': 'no',
      })
    }),
  )
}

/** Starts telling one browser, until it goes, is cut, or the role stops. */
function openPush(visit: Visit, onEnd: () => void): Push {
  const { live, dashboard, c } = visit
  const ends: (() => void)[] = []
  const push = new Push({
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

  let toldAt = 0
  let told = ''
  const tellFresh = () => {
    // A session that is over, or whose token was revoked, sees no more.
    if (!dashboard.door.visitor(c)) return push.end('gone')
    const { fresh } = live
    const due = fresh.state !== told || dashboard.now() - toldAt >= freshEveryMs
    // Before the stream has said anything, the page itself says of when it is.
    if (!due || fresh.state === 'loaded') return
    toldAt = dashboard.now()
    // What could not be had meanwhile is asked for once more.
    if (told === 'stale' && fresh.state !== 'stale') push.signal('jobs-changed')
    told = fresh.state
    push.swap(freshness(fresh, fromMs(toldAt)))
  }
  tellFresh()
  every(lookEveryMs, tellFresh)
  const params = new URL(c.req.url).searchParams
  const listener = listenerFor(visit, params, { push, every })
  ends.push(live.subscribe(listener))
  return push
}

type Told = { push: Push; every: (ms: number, work: () => void) => void }

/** What a change means for the page that is open. */
function listenerFor(visit: Visit, params: URLSearchParams, told: Told): (change: Change) => void {
  const view = params.get('view')
  if (view === 'jobs') return jobsListener(visit, params, told)
  const { push } = told
  if (view === 'job') {
    const id = params.get('id') ?? ''
    return ({ touched, reset }) => {
      if (reset || touched.has(id)) push.signal('job-changed')
    }
  }
  return () => push.signal('jobs-changed')
}

function jobsListener(visit: Visit, params: URLSearchParams, { push, every }: Told) {
  const { dashboard } = visit
  const { query } = readJobsQuery(params)
  const now = () => fromMs(dashboard.now())
  const asOf = parseTime(params.get('as_of') ?? '') ?? visit.now
  const feed = new JobsFeed(query, asOf, dashboard.siteNames.length > 1 ? visit.name : undefined)
  const seen = parseTime(visit.c.req.header('last-event-id') ?? '') ?? asOf
  // The clocks of the API and of this machine may differ a little: better a row twice than not at all.
  const since = fromMs(toMs(seen) - marginMs)
  const catchUp = () =>
    caughtUp(visit, feed, { params, asOf, since }).then(
      (messages) => {
        for (const message of messages) push.swap(message, now())
      },
      (error: unknown) => dashboard.log.debug({ error }, 'could not catch up with a page'),
    )
  void catchUp()
  every(agingEveryMs, () => {
    const rows = feed.aging(now())
    if (rows !== undefined) push.swap(rows)
  })
  return ({ jobs, reset }: Change) => {
    if (reset) void catchUp()
    for (const message of feed.take(jobs, now())) push.swap(message, now())
    push.signal('jobs-changed')
  }
}

type Since = { params: URLSearchParams; asOf: Micros; since: Micros }

/**
 * What happened between the making of the page and this connection (or the one before it): the rows
 * of the page as they are now, of which those that changed since are sent, and the jobs started since.
 */
async function caughtUp(visit: Visit, feed: JobsFeed, { params, asOf, since }: Since) {
  const { backend, dashboard } = visit
  const { query } = readJobsQuery(params)
  const { filter } = filterOf(query, asOf)
  const signal = AbortSignal.any([dashboard.signal, visit.c.req.raw.signal])
  const wide = { ...filter, status: undefined, minDurationS: undefined, maxDurationS: undefined }
  const asked = { ...query, to: query.to ?? asOf }
  const { page } = await rowsOf(backend, asked, asOf, signal)
  feed.knows(page.items)
  const news = feed.counts ? await backend.findJobs({ ...wide, from: asOf }, signal) : page
  const changed = page.items.filter(({ updatedAt }) => updatedAt > since)
  const left = await leftSince(backend, wide, since, signal)
  // Which of them the browser shows is not known: a row that is not there is not replaced.
  feed.knows(left.filter(({ startedAt }) => startedAt <= asOf))
  return feed.take([...changed, ...left, ...news.items], visit.now)
}

/** Jobs heard of since, whatever they are now: a row may have left its list (running, then done). */
async function leftSince(
  backend: Visit['backend'],
  wide: JobFilter,
  since: Micros,
  signal: AbortSignal,
): Promise<Job[]> {
  const heard = { time: 'seen', order: 'desc', from: since, to: undefined } as const
  return (await backend.findJobs({ ...wide, ...heard, cursor: undefined }, signal)).items
}

function freshness(fresh: Fresh, now: Micros): string {
  const parts = [
    <Freshness fresh={fresh} now={now} oob />,
    <Clock now={now} oob />,
    <Outage fresh={fresh} now={now} oob />,
  ]
  return parts.map(String).join('')
}
