import type { Context, Hono } from 'hono'
import { AppError } from '../core/errors.ts'
import { type Declaration, toHonoPath } from './route.ts'

/**
 * Answers the methods that a known path has no route for: OPTIONS with the allowed methods, any
 * other with 405. To be mounted after the routes themselves.
 */
export function mountOtherMethods(app: Hono, routes: readonly Declaration[]): void {
  const allowed = new Map<string, Set<string>>()
  for (const { method, path } of routes) {
    const methods = allowed.get(path) ?? new Set(['OPTIONS'])
    methods.add(method.toUpperCase())
    if (method === 'get') methods.add('HEAD')
    allowed.set(path, methods)
  }
  for (const [path, methods] of allowed) {
    const allow = [...methods].sort().join(', ')
    app.all(toHonoPath(path), (c) => answerOther(c, allow))
  }
}

function answerOther(c: Context, allow: string): Response {
  c.header('Allow', allow)
  if (c.req.method === 'OPTIONS') return c.body(null, 204)
  throw new AppError('method_not_allowed', `${c.req.path} allows ${allow}, not ${c.req.method}`)
}
