import type { Metrics } from '../platform/metrics.ts'
import { docsPage, docsPolicy } from './docs-page.ts'
import { openApi } from './openapi.ts'
import { noParams } from './query-params.ts'
import type { Declaration, Route } from './route.ts'

/** @param refresh updates the metrics that are only known by asking */
export const metricsRoute = (metrics: Metrics, refresh: () => unknown = () => {}): Route => ({
  method: 'get',
  path: '/metrics',
  tag: 'This role',
  summary: 'Shows the metrics, for Prometheus',
  scope: 'read',
  answer: { 'text/plain': 'text' },
  async handle(c) {
    await refresh()
    return c.body(await metrics.registry.metrics(), 200, {
      'content-type': metrics.registry.contentType,
    })
  },
})

/** @param routes all routes of the role, these two included */
export function documentRoutes(title: string, routes: () => readonly Declaration[]): Route[] {
  // Made on the first request and kept: most processes never get one, and it takes megabytes.
  const document = once(() => openApi({ title, routes: routes() }))
  const json = once(() => JSON.stringify(document()))
  const page = once(() => docsPage(document()))
  return [
    {
      method: 'get',
      path: '/openapi.json',
      tag: 'This role',
      summary: 'Shows this interface as OpenAPI 3.1',
      query: noParams,
      answer: { 'application/json': 'text' },
      handle: (c) => c.body(json(), 200, { 'content-type': 'application/json' }),
    },
    {
      method: 'get',
      path: '/docs',
      tag: 'This role',
      summary: 'Shows this interface as a page',
      query: noParams,
      answer: { 'text/html': 'text' },
      handle: (c) => c.html(page(), 200, { 'content-security-policy': docsPolicy }),
    },
  ]
}

function once<T>(make: () => T): () => T {
  let made: { value: T } | undefined
  return () => {
    made ??= { value: make() }
    return made.value
  }
}
