import type { MiddlewareHandler } from 'hono'
import * as z from 'zod'
import { siteParam } from './job-params.ts'
import type { Route } from './route.ts'

const merging =
  'With `site`, the answer of that site, unchanged; without, all sites merged, and `sites` has the outcome per site.'

const streaming =
  'With `site`, the stream of that site, unchanged; without, the streams of all sites as one, and `event: sites` names the sites without contact.'

const site = siteParam('Only this site; without it, all sites merged.')

/**
 * The questions of a local API as the central API takes them: each also with `site`.
 *
 * @param pass answers the questions that name a site, and lets the others pass
 */
export function toCentral(routes: readonly Route[], pass: MiddlewareHandler): Route[] {
  return routes.map((route) => {
    const { description, query, problems = [], examples = [] } = route
    const about = 'text/event-stream' in route.answer ? streaming : merging
    return {
      ...route,
      description: description === undefined ? about : `${description} ${about}`,
      query: z.object({ ...query?.shape, site }),
      problems: [...new Set([...problems, 404, 502])],
      examples: examples.map((one) => ({ ...one, query: `site=fab1&${one.query}` })),
      before: pass,
    }
  })
}
