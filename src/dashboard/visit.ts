import type { Context } from 'hono'
import { getCookie, setCookie } from 'hono/cookie'
import type { Logger } from 'pino'
import type { Fresh, Page, Theme } from '../../views/page.ts'
import type { AppError } from '../core/errors.ts'
import { fromMs, type Micros } from '../core/time.ts'
import type { Metrics } from '../platform/metrics.ts'
import { version } from '../platform/version.ts'
import type { Access } from './access.ts'
import { assetUrls } from './assets.ts'
import type { Live } from './live/live.ts'
import type { AnswerCache } from './model/answer-cache.ts'
import type { Backend } from './model/backend.ts'
import { reasonFor } from './model/error-text.ts'

/** One site as the dashboard knows it. */
export type SiteView = { name: string; backend: Backend; live: Live }

/** What the pages are made from. */
export type Dashboard = {
  /** The site of that name; the first one without a name; undefined when there is no such site. */
  site(name: string | undefined): SiteView | undefined
  /** Names to choose from; empty at a site, which has only itself. */
  siteNames: readonly string[]
  memory: AnswerCache
  door: Access
  log: Logger
  metrics: Metrics
  /** Aborts when the role stops. */
  signal: AbortSignal
  now: () => number
}

/** One request: the site it is about, the time it is answered at, and what went wrong so far. */
export type Visit = SiteView & {
  c: Context
  dashboard: Dashboard
  now: Micros
  /** Failures of questions to the API, whether or not an old answer helped out. */
  failures: AppError[]
  /** When the oldest of the answers shown was given, in milliseconds since 1970. */
  oldestAt: number | undefined
}

const themeCookie = 'wafermon_theme'
const yearS = 365 * 86_400

/** Reads `?theme=`, keeps it in a cookie. `system` forgets it. */
export function themeOf(c: Context): Theme {
  const given = c.req.query('theme')
  if (given === 'light' || given === 'dark' || given === 'system') {
    const options = { path: '/', httpOnly: true, sameSite: 'Lax', maxAge: yearS } as const
    setCookie(c, themeCookie, given, options)
  }
  const theme = given ?? getCookie(c, themeCookie)
  return theme === 'light' || theme === 'dark' ? theme : undefined
}

/** What the frame of a page shows. */
export function pageOf(visit: Visit): Page {
  const { c, dashboard, name, now } = visit
  const url = new URL(c.req.url)
  const visitor = dashboard.door.visitor(c)
  return {
    site: name,
    signedIn: visitor?.kind === 'session' ? visitor.id : undefined,
    siteQuery: dashboard.siteNames.length > 1 ? name : undefined,
    sites: dashboard.siteNames,
    theme: themeOf(c),
    now,
    fresh: freshOf(visit),
    here: url.pathname + url.search,
    assets: assetUrls,
    version,
  }
}

/** A page is as old as the oldest answer on it, once a question failed. */
function freshOf({ failures, oldestAt, dashboard, live }: Visit): Fresh {
  const failure = failures[0]
  if (!failure) return live.fresh.state === 'partial' ? live.fresh : { state: 'loaded' }
  return {
    state: 'stale',
    ageS: oldestAt === undefined ? null : (dashboard.now() - oldestAt) / 1000,
    reason: reasonFor(failure),
  }
}

/**
 * Asks the API through the memory.
 *
 * @returns undefined when the API is away and never answered this; the visit then has the failure
 */
export async function ask<T>(
  visit: Visit,
  key: readonly unknown[],
  load: (backend: Backend, signal: AbortSignal) => Promise<T>,
): Promise<T | undefined> {
  const { dashboard, backend, name } = visit
  try {
    const { value, at, failure } = await dashboard.memory.ask(JSON.stringify([name, ...key]), () =>
      load(backend, dashboard.signal),
    )
    visit.oldestAt = Math.min(at, visit.oldestAt ?? at)
    if (failure) visit.failures.push(failure)
    return value
  } catch (error) {
    if (!isOutage(error)) throw error
    visit.failures.push(error)
    return undefined
  }
}

const isOutage = (error: unknown): error is AppError =>
  (error as AppError).name === 'AppError' && (error as AppError).retryable

/** A fresh visit of a site. */
export function visitOf(dashboard: Dashboard, c: Context, site: SiteView): Visit {
  return {
    ...site,
    c,
    dashboard,
    now: fromMs(dashboard.now()),
    failures: [],
    oldestAt: undefined,
  }
}

/** 503 when there is nothing to show for want of the API, else 200: old values are values. */
export const statusFor = ({ failures, oldestAt }: Visit): 200 | 503 =>
  failures.length > 0 && oldestAt === undefined ? 503 : 200
