import { appParams } from './apps.ts'
import { eventParams, jobParams, type Limits, ownSubjobParams, subjobParams } from './job-params.ts'
import { jobsByIdParams } from './jobs-by-id.ts'
import type { RouteSpec } from './route-spec.ts'
import { statsParams } from './stats.ts'
import { streamParams } from './stream.ts'

const lists = {
  'application/json': 'JobList',
  'text/csv': 'text',
  'application/x-ndjson': 'text',
} as const
const failures = [422, 503] as const

const listing =
  'Newest first by the time asked for, ties by id. The cursor stays valid while rows arrive. `Link` has the next page. As text/csv or application/x-ndjson the same rows come whole, every page of the window, or at most `limit` when that is given; a connection that breaks off means a file that is not whole.'

/** The routes that answer questions. */
export const readSpecs = (limits: Limits): RouteSpec[] => [
  {
    method: 'get',
    path: '/v1/jobs',
    tag: 'Jobs',
    summary: 'Lists jobs',
    description: listing,
    scope: 'read',
    query: jobParams(limits),
    answer: lists,
    problems: failures,
    examples: [
      { query: 'status=failed&limit=20', about: 'the latest failures' },
      { query: 'app_name=apc&min_duration_s=600', about: 'slow APC runs' },
      {
        query: 'from=2026-03-01T00:00:00Z&to=2026-03-02T00:00:00Z&format=csv',
        about: 'a day as CSV',
      },
    ],
  },
  {
    method: 'get',
    path: '/v1/subjobs',
    tag: 'Jobs',
    summary: 'Lists subjobs',
    description: listing,
    scope: 'read',
    query: subjobParams(limits),
    answer: { ...lists, 'application/json': 'SubjobList' },
    problems: failures,
    examples: [{ query: 'status=failed&time=ended', about: 'steps that failed, by their end' }],
  },
  {
    method: 'get',
    path: '/v1/jobs/by-id',
    tag: 'Jobs',
    summary: 'Shows several jobs or subjobs by their ids',
    description: 'In the order of the ids; those that do not exist are left out.',
    scope: 'read',
    query: jobsByIdParams,
    answer: { 'application/json': 'JobsById' },
    problems: failures,
  },
  {
    method: 'get',
    path: '/v1/jobs/{id}',
    tag: 'Jobs',
    summary: 'Shows one job or subjob, with its subjobs counted',
    scope: 'read',
    answer: { 'application/json': 'JobDetail' },
    problems: [404, ...failures],
  },
  {
    method: 'get',
    path: '/v1/jobs/{id}/subjobs',
    tag: 'Jobs',
    summary: 'Lists the subjobs of a job',
    description: `${listing} There is no default window.`,
    scope: 'read',
    query: ownSubjobParams(limits),
    answer: { ...lists, 'application/json': 'SubjobList' },
    problems: [404, ...failures],
  },
  {
    method: 'get',
    path: '/v1/jobs/{id}/events',
    tag: 'Jobs',
    summary: 'Lists the events of a job, oldest first',
    description:
      'As they were received. Of a job whose events have moved to the archive the list is empty.',
    scope: 'read',
    query: eventParams(limits),
    answer: { 'application/json': 'EventList' },
    problems: [404, ...failures],
  },
  {
    method: 'get',
    path: '/v1/apps',
    tag: 'Jobs',
    summary: 'Lists the programs that have reported',
    scope: 'read',
    query: appParams,
    answer: { 'application/json': 'AppList' },
    problems: failures,
  },
  {
    method: 'get',
    path: '/v1/stats',
    tag: 'Jobs',
    summary: 'Counts jobs and their durations by time',
    description:
      'By the start of the jobs. Percentiles over several sites are null unless grouped by site: they do not add up.',
    scope: 'read',
    query: statsParams,
    answer: { 'application/json': 'StatsList' },
    problems: failures,
    examples: [{ query: 'bucket=day&group_by=app,status', about: 'a week by day, app and status' }],
  },
  {
    method: 'get',
    path: '/v1/sources',
    tag: 'Pipeline',
    summary: 'Lists the spools that deliver: last number, gaps, lag, clock offset',
    scope: 'read',
    answer: { 'application/json': 'SourceList' },
    problems: failures,
  },
]

/** The live stream of one site. */
export const streamSpec: RouteSpec = {
  method: 'get',
  path: '/v1/stream',
  tag: 'Live',
  summary: 'Streams events as they are committed',
  description:
    'Server-sent events: `id` to resume from (send it as Last-Event-ID), `event` is the kind, `data` one event as JSON. `event: reset` means that there is a hole before what follows: ask the lists again. A comment comes every 15 seconds. A reader that is too slow is cut off and resumes.',
  scope: 'read',
  query: streamParams,
  answer: { 'text/event-stream': 'text' },
  problems: failures,
  examples: [{ query: 'entity_type=job', about: 'jobs only' }],
}
