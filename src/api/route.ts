import type { IncomingMessage } from 'node:http'
import type { Context, Hono, MiddlewareHandler } from 'hono'
import type * as z from 'zod'
import { ensure, must } from '../core/must.ts'
import { type Auth, type Caller, requireScope, type Scope } from '../platform/auth.ts'
import type { BareRoute } from '../platform/bare-routes.ts'
import type { PathId } from './path-id.ts'
import { readParams } from './query-params.ts'

/**
 * The declaration of a route, in the file of its resource. Derived from it are the mounting with
 * the scope check, the reading of the query, the allowed methods, the OpenAPI document, the page
 * /docs, the tables of docs/api.md and the variant of the central API.
 */
export type Declaration = {
  method: 'get' | 'post'
  /** In the form of OpenAPI: `/v1/jobs/{id}`. */
  path: string
  tag: 'Jobs' | 'Live' | 'Pipeline' | 'Sites' | 'Ingest' | 'This role'
  summary: string
  description?: string
  /** The scope that a token needs; without one the route is open. */
  scope?: Scope
  /** Kind of the `{id}` in the path; a UUID unless given. */
  id?: PathId
  /** Parameters of the query; all others are refused. Absent: the query is ignored. */
  query?: z.ZodObject
  body?: { schema: z.ZodType; mediaTypes: readonly string[]; example: string }
  /** The successful answer, by media type: one of these named schemas, or text. */
  answer: Record<string, readonly z.ZodType[] | 'text'>
  /** Other statuses with the same content, and their meaning. */
  alsoAnswers?: Record<number, string>
  /** Statuses with a problem document, besides 405, and 401 and 403 where there is a scope. */
  problems?: readonly number[]
  /** Query strings to try. */
  examples?: readonly { query: string; about: string }[]
}

export type Route = Declaration & {
  /** Runs after the scope check and before the query is read; it may answer by itself. */
  before?: MiddlewareHandler
  handle(c: Context, query: Record<string, unknown>): Response | Promise<Response>
  /** The object to answer with 200, for a request that need not go through the framework. */
  bare?: (request: IncomingMessage, caller: Caller) => Promise<object>
}

type Declared<Q extends z.ZodObject> = Declaration & {
  query: Q
  handle(c: Context, query: z.infer<Q>): Response | Promise<Response>
}

/** Gives the handler the type of its query. */
export function route<Q extends z.ZodObject>(declared: Declared<Q>): Route {
  return declared as unknown as Route
}

/** Mounts every route once. `HEAD` is answered wherever `GET` is. */
export function mountRoutes(app: Hono, auth: Auth, routes: readonly Route[]): void {
  const mounted = new Set<string>()
  for (const one of routes) {
    const { method, path, scope, before, query } = one
    const name = `${method} ${path}`
    ensure(!mounted.has(name), `a route is declared once: ${name}`)
    mounted.add(name)
    const [verb, at] = [method.toUpperCase(), toHonoPath(path)]
    if (scope) app.on(verb, at, requireScope(auth, scope))
    if (before) app.on(verb, at, before)
    app.on(verb, at, (c) => one.handle(c, query ? readParams(c, query) : {}))
  }
}

/** `/v1/jobs/{id}` as Hono writes it. */
export const toHonoPath = (path: string) => path.replaceAll(/\{(\w+)\}/g, ':$1')

/** The routes that are answered before the framework. */
export const toBareRoutes = (routes: readonly Route[]): BareRoute[] =>
  routes.flatMap(({ path, scope, bare }) =>
    bare ? [{ path, scope: must(scope, 'a bare route has a scope'), answer: bare }] : [],
  )
