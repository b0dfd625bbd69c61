import { rejectParams } from './rejects.ts'
import type { RouteSpec } from './route-spec.ts'

const refusals = [400, 413, 415, 422, 503] as const

const example = {
  idempotency_key: '0193581e-7c42-7d10-9a35-6f0c41c2b7e8',
  site_id: 'fab1',
  app: { app_id: '5f0c41c2-7c42-4d10-9a35-0193581eb7e8', name: 'litho-apc', version: '2.1.0' },
  entity: {
    type: 'job',
    id: '0193581e-7c42-7d10-9a35-000000000001',
    business_key: 'LOT-4711',
  },
  event: {
    kind: 'finished',
    at: '2026-03-01T12:00:05.250000Z',
    status: 'succeeded',
    metrics: { duration_s: 5.25, cpu_user_s: 1.5, mem_max_mb: 120 },
    metadata: { recipe: 'R-17' },
  },
}

/** The routes that take events in; the same on the sidecar and on the local API. */
export const ingestSpecs: RouteSpec[] = [
  {
    method: 'post',
    path: '/v1/ingest/events',
    tag: 'Ingest',
    summary: 'Takes one event in',
    description: 'Answered once the event is on disk. Sending it again with the same key is safe.',
    scope: 'ingest',
    body: {
      schema: 'Event',
      mediaTypes: ['application/json'],
      example: JSON.stringify(example, null, 2),
    },
    answer: { 'application/json': 'Accepted' },
    problems: refusals,
  },
  {
    method: 'post',
    path: '/v1/ingest/events:batch',
    tag: 'Ingest',
    summary: 'Takes many events in, each with a verdict of its own',
    description:
      'A JSON array, or NDJSON with an event a line; gzip or zstd by Content-Encoding. Good events are kept whatever the others are.',
    scope: 'ingest',
    body: {
      schema: 'EventBatch',
      mediaTypes: ['application/json', 'application/x-ndjson'],
      example: JSON.stringify([example], null, 2),
    },
    answer: { 'application/json': 'BatchVerdict' },
    problems: refusals,
  },
]

/** What the sidecar tells of events that a sink refused for good. */
export const rejectSpecs: RouteSpec[] = [
  {
    method: 'get',
    path: '/v1/rejects',
    tag: 'Pipeline',
    summary: 'Lists the events that a sink refused for good, newest first',
    scope: 'read',
    query: rejectParams,
    answer: { 'application/json': 'RejectList' },
    problems: [422],
  },
  {
    method: 'get',
    path: '/v1/rejects/{id}',
    id: 'number',
    tag: 'Pipeline',
    summary: 'Shows one of them, with the event',
    scope: 'read',
    answer: { 'application/json': 'Reject' },
    problems: [404, 422],
  },
  {
    method: 'post',
    path: '/v1/rejects/{id}/retry',
    id: 'number',
    tag: 'Pipeline',
    summary: 'Offers it to the sink again',
    scope: 'operate',
    answer: { 'application/json': 'Done' },
    problems: [404, 422],
  },
]

/** The routes that every role has. */
export const aboutSpecs: RouteSpec[] = [
  {
    method: 'get',
    path: '/v1/healthz',
    tag: 'This role',
    summary: 'Tells whether this role can do its work',
    description: '200 when it can, if need be degraded; 503, in the same shape, when it cannot.',
    answer: { 'application/json': 'Health' },
  },
  {
    method: 'get',
    path: '/metrics',
    tag: 'This role',
    summary: 'Shows the metrics, for Prometheus',
    scope: 'read',
    answer: { 'text/plain': 'text' },
  },
  {
    method: 'get',
    path: '/openapi.json',
    tag: 'This role',
    summary: 'Shows this interface as OpenAPI 3.1',
    answer: { 'application/json': 'text' },
  },
  {
    method: 'get',
    path: '/docs',
    tag: 'This role',
    summary: 'Shows this interface as a page',
    answer: { 'text/html': 'text' },
  },
]

/** What the central API has besides. */
export const siteSpecs: RouteSpec[] = [
  {
    method: 'get',
    path: '/v1/sites',
    tag: 'Sites',
    summary: 'Lists the sites: status, age, address',
    scope: 'read',
    answer: { 'application/json': 'SiteList' },
    problems: [422],
  },
]
