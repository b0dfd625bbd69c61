import { type Context, Hono } from 'hono'
import { AppError } from '../core/errors.ts'
import type { RouteSpec } from './route-spec.ts'

/**
 * What a known path answers to methods that it has no route for: OPTIONS tells which it has, any
 * other is refused. To be mounted behind the routes themselves.
 */
export function otherMethods(routes: readonly RouteSpec[]): Hono {
  const methods = new Map<string, Set<string>>()
  for (const { method, path } of routes) {
    const known = methods.get(path) ?? new Set(['OPTIONS'])
    known.add(method.toUpperCase())
    if (method === 'get') known.add('HEAD')
    methods.set(path, known)
  }
  const app = new Hono()
  for (const [path, known] of methods) {
    const allow = [...known].sort().join(', ')
    app.all(honoPath(path), (c) => answerOther(c, allow))
  }
  return app
}

function answerOther(c: Context, allow: string): Response {
  c.header('Allow', allow)
  if (c.req.method === 'OPTIONS') return c.body(null, 204)
  throw new AppError('method_not_allowed', `${c.req.path} takes ${allow}, not ${c.req.method}`)
}

/** `/v1/jobs/{id}` as Hono writes it. */
export const honoPath = (path: string) => path.replaceAll(/\{(\w+)\}/g, ':$1')
