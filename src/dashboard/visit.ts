import type { Context } from 'hono'
import { getCookie, setCookie } from 'hono/cookie'
import type { Logger } from 'pino'
import type { Fresh, NavigationEntry, Page, Theme } from '../../views/page.ts'
import type { AppError } from '../core/errors.ts'
import type { ListPage } from '../core/list-order.ts'
import type { Question } from '../core/questions/question.ts'
import type { MissingSites } from '../core/sites.ts'
import { fromMs, type Micros } from '../core/time.ts'
import type { Metrics } from '../platform/metrics.ts'
import { version } from '../platform/version.ts'
import { type Access, readVisitor } from './access.ts'
import { assetUrls } from './assets.ts'
import type { Live } from './live/live.ts'
import type { AnswerCache } from './model/answer-cache.ts'
import type { Backend } from './model/backend.ts'
import { describeOutage } from './model/error-text.ts'

/** One site as the dashboard knows it. */
export type SiteView = { name: string; backend: Backend; live: Live }

/** Everything that the pages are made from. */
export type Dashboard = {
  /** The site of that name; the default one without a name; undefined when the name is unknown. */
  site(name: string | undefined): SiteView | undefined
  /** Names to choose from; empty where there is only one site. */
  siteNames: readonly string[]
  /** There are simulated jobs among those shown. */
  simulated: boolean
  cache: AnswerCache
  access: Access
  log: Logger
  metrics: Metrics
  /** Aborts when the role stops. */
  signal: AbortSignal
  now: () => number
}

/** The context of every route. */
export type RouteContext = { dashboard: Dashboard; navigation: readonly NavigationEntry[] }

/** One request: its site, the time it is answered at, and its failures so far. */
export type Visit = SiteView &
  RouteContext & {
    c: Context
    now: Micros
    /** The site for links; undefined where there is only one. */
    siteQuery: string | undefined
    /** Failed questions to the API, also those for which there was an old answer. */
    failures: AppError[]
    /** The time of the oldest answer shown, in milliseconds since 1970. */
    oldestAt: number | undefined
    /** The same of those that stand in for a newer one; null when a question was never answered. */
    behindAt: number | null | undefined
    /**
     * The questions that failed, by the first word of their key: the time of the answer that stands in, in
     * milliseconds since 1970.
     */
    behind: Map<string, number>
    /** A question was answered just now. */
    answered: boolean
    /** The sites that are missing from any of the answers. */
    sites: MissingSites | undefined
  }

/** Starts a visit of a site. */
export function openVisit(context: RouteContext, c: Context, site: SiteView): Visit {
  const { dashboard } = context
  return {
    ...context,
    ...site,
    c,
    now: fromMs(dashboard.now()),
    siteQuery: dashboard.siteNames.length > 1 ? site.name : undefined,
    failures: [],
    oldestAt: undefined,
    behindAt: undefined,
    behind: new Map(),
    answered: false,
    sites: undefined,
  }
}

/** The query of the address that was asked for. */
export const readParams = ({ c }: Visit): URLSearchParams => new URL(c.req.url).searchParams

/**
 * Asks the API through the cache.
 *
 * @param keepMs how long the answer is kept, if no site is missing from it
 * @returns undefined when the API is away and never answered this; the visit then has the failure
 */
export async function ask<T>(
  visit: Visit,
  key: readonly [name: string, ...unknown[]],
  load: (backend: Backend, signal: AbortSignal) => Promise<T>,
  keepMs?: number,
): Promise<T | undefined> {
  const { dashboard, backend, name } = visit
  try {
    const { value, at, failure } = await dashboard.cache.ask(
      JSON.stringify([name, ...key]),
      () => load(backend, dashboard.signal),
      keepMs === undefined ? undefined : keepWhole(keepMs),
    )
    visit.oldestAt = Math.min(at, visit.oldestAt ?? at)
    if (failure) {
      visit.failures.push(failure)
      visit.behind.set(key[0], Math.min(at, visit.behind.get(key[0]) ?? at))
      if (visit.behindAt !== null) visit.behindAt = Math.min(at, visit.behindAt ?? at)
    } else if (dashboard.now() - at < justNowMs) visit.answered = true
    noteSites(visit, value)
    return value
  } catch (error) {
    if (!isOutage(error)) throw error
    visit.failures.push(error)
    visit.behindAt = null
    return undefined
  }
}

/** Asks a question whose answer comes whole, as {@link ask}. */
export const askCounts = <Params, Item>(
  visit: Visit,
  key: readonly [name: string, ...unknown[]],
  { question, params, keepMs }: Counts<Params, Item>,
): Promise<ListPage<Item> | undefined> =>
  ask(visit, key, (backend, signal) => backend.askPage(question, params, signal), keepMs)

type Counts<Params, Item> = {
  question: Question<Params, Item>
  params: Params
  keepMs?: number
}

/** An answer from which sites are missing is kept for no longer, in milliseconds: they may be back. */
const keepPartMs = 30_000

/** How long answers are kept that cost too much to be asked for again at every change. */
export const keepWhole =
  (keepMs: number) =>
  (answer: unknown): number =>
    (findSites(answer)?.missing.length ?? 0) > 0 ? Math.min(keepMs, keepPartMs) : keepMs

const findSites = (answer: unknown) =>
  ((answer ?? {}) as { sites?: MissingSites | undefined }).sites

/** Lists and counts name the sites that are missing from them; figures of one page may differ in that. */
function noteSites(visit: Visit, answer: unknown): void {
  const sites = findSites(answer)
  if (sites === undefined) return
  const missing = new Set([...(visit.sites?.missing ?? []), ...sites.missing])
  visit.sites = { total: sites.total, missing: [...missing].sort() }
}

/** An answer that is kept for longer says nothing about whether the API answers now. */
const justNowMs = 5000

/** True for a failure that may be over at the next try. */
export const isOutage = (error: unknown): error is AppError =>
  (error as AppError).name === 'AppError' && (error as AppError).retryable

/** 503 when the API is away and there is nothing to show, else 200: old values are values. */
export const answerStatus = ({ failures, oldestAt }: Visit): 200 | 503 =>
  failures.length > 0 && oldestAt === undefined ? 503 : 200

/**
 * How current the answers of a visit are. Once a question has failed they are as old as the oldest; while
 * others are answered, only what the failed ones concern is old.
 */
export function assessFreshness(visit: Visit): Fresh {
  const { failures, oldestAt, behindAt = null, answered, dashboard, live } = visit
  const failure = failures[0]
  if (!failure) return live.fresh.state === 'partial' ? live.fresh : { state: 'loaded' }
  const ageOf = (at: number | null | undefined) =>
    at == null ? null : Math.max(0, dashboard.now() - at) / 1000
  const reason = describeOutage(failure)
  if (answered && live.fresh.state !== 'stale') {
    return { state: 'behind', whole: false, ageS: ageOf(behindAt), reason }
  }
  return { state: 'stale', ageS: ageOf(oldestAt), reason }
}

/** The age in seconds of each answer that stands in for a newer one, by question. */
const ageBehind = ({ behind, dashboard }: Visit): ReadonlyMap<string, number> =>
  new Map([...behind].map(([name, at]) => [name, Math.max(0, dashboard.now() - at) / 1000]))

/** The frame of a page, around its body. Call it once, after the questions: it may set a cookie. */
export function toPage(visit: Visit): Page {
  const { c, dashboard, navigation, name, siteQuery, now } = visit
  const url = new URL(c.req.url)
  const visitor = readVisitor(c)
  return {
    navigation,
    site: name,
    signedIn: visitor.kind === 'session' ? visitor.id : undefined,
    siteQuery,
    sites: dashboard.siteNames,
    simulated: dashboard.simulated,
    theme: readTheme(c),
    now,
    plant: visit.live.plant,
    fresh: assessFreshness(visit),
    behind: ageBehind(visit),
    here: url.pathname + url.search,
    assets: assetUrls,
    version,
  }
}

const themeCookie = 'wafermon_theme'
const yearS = 365 * 86_400

/** Reads `?theme=` and keeps it in a cookie. `system` forgets it. */
export function readTheme(c: Context): Theme {
  const given = c.req.query('theme')
  if (given === 'light' || given === 'dark' || given === 'system') {
    const options = { path: '/', httpOnly: true, sameSite: 'Lax', maxAge: yearS } as const
    setCookie(c, themeCookie, given, options)
  }
  const theme = given ?? getCookie(c, themeCookie)
  return theme === 'light' || theme === 'dark' ? theme : undefined
}
