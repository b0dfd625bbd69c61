import type { Context } from 'hono'
import * as z from 'zod'
import { completenessTable } from '../core/completeness-wire.ts'
import { AppError } from '../core/errors.ts'
import { eventCursorToWire } from '../core/event-cursor.ts'
import type { SearchArchive } from '../core/job.ts'
import { attemptTable, countsTable, detailToWire, jobTable, subjobTable } from '../core/job-wire.ts'
import { clock } from '../platform/clock.ts'
import { event, job, named, pageAnswer, pagesAnswer, sitesReport, subjob } from './answers.ts'
import { answerList } from './job-list.ts'
import {
  eventParams,
  type JobParams,
  jobDetailParams,
  jobParams,
  type Limits,
  ownSubjobParams,
  subjobParams,
  toEventFilter,
  toFilter,
  toSearchArchive,
} from './job-params.ts'
import { jobsByIdRoute } from './jobs-by-id.ts'
import { uuidId } from './path-id.ts'
import { type Asked, answer, answerItems, ask, type ReaderSource } from './reader-source.ts'
import { type Route, route } from './route.ts'

export type JobRouteOptions = {
  reader: ReaderSource
  limits: Limits
  /** Milliseconds since 1970. */
  now?: () => number
}

const jobList = named('JobList', pageAnswer(job))
const subjobList = named('SubjobList', pageAnswer(subjob))
const counted = {
  subjobs: countsTable.shown,
  attempts: z
    .array(attemptTable.shown)
    .describe(
      'Its attempts, the newest first: the one that is shown, and of those before it the newest 15.',
    ),
  completeness: completenessTable.shown
    .describe('What the counts of subjobs may be missing.')
    .optional(),
  sites: sitesReport.optional(),
}
const jobDetail = named('JobDetail', jobTable.shown.extend(counted))
const subjobDetail = named('SubjobDetail', subjobTable.shown.extend(counted))
const eventList = named(
  'EventList',
  pagesAnswer(event).extend({
    complete: z.boolean().describe('False when there are more events after these.'),
    completeness: completenessTable.shown
      .describe('What may be missing from this answer; `hot_from` is the start of the raw events.')
      .optional(),
  }),
)

/** Lists of jobs and subjobs, as JSON by pages or exported whole, and all about one job. */
export function jobRoutes(options: JobRouteOptions): Route[] {
  return [
    listJobs(options),
    listSubjobs(options),
    jobsByIdRoute(options),
    showJob(options),
    listOwnSubjobs(options),
    listEvents(options),
  ]
}

const listing =
  'Newest first by the selected time, ties by id. The cursor stays valid while rows arrive. `Link` has the next page. As text/csv or application/x-ndjson the answer has every row of the window, or at most `limit` rows when that is given; a connection that breaks off means that the file is incomplete.'

const listOf = (json: z.ZodType) =>
  ({
    'application/json': [json],
    'text/csv': 'text',
    'application/x-ndjson': 'text',
  }) as const

const listJobs = (options: JobRouteOptions) =>
  route({
    method: 'get',
    path: '/v1/jobs',
    tag: 'Jobs',
    summary: 'Lists jobs',
    description: listing,
    scope: 'read',
    query: jobParams(options.limits),
    answer: listOf(jobList),
    problems: [422, 503],
    examples: [
      { query: 'status=failed&limit=20', about: 'the latest failures' },
      { query: 'app_name=apc&min_duration_s=600', about: 'slow APC runs' },
      {
        query: 'from=2026-03-01T00:00:00Z&to=2026-03-02T00:00:00Z&format=csv',
        about: 'a day as CSV',
      },
    ],
    handle: (c, params) => answerParams(c, 'jobs', params, options),
  })

const listSubjobs = (options: JobRouteOptions) =>
  route({
    method: 'get',
    path: '/v1/subjobs',
    tag: 'Jobs',
    summary: 'Lists subjobs',
    description: listing,
    scope: 'read',
    query: subjobParams(options.limits),
    answer: listOf(subjobList),
    problems: [422, 503],
    examples: [{ query: 'status=failed&time=ended', about: 'failed steps, by their end' }],
    handle: (c, params) => answerParams(c, 'subjobs', params, options),
  })

const showJob = ({ reader }: JobRouteOptions) =>
  route({
    method: 'get',
    path: '/v1/jobs/{id}',
    tag: 'Jobs',
    summary: 'Shows one job or subjob, with the counts of its subjobs and its attempts',
    scope: 'read',
    query: jobDetailParams,
    answer: { 'application/json': [jobDetail, subjobDetail] },
    problems: [404, 422, 503],
    async handle(c, params) {
      const started = performance.now()
      const asked = ask(reader)
      const found = await findJob(c, asked, toSearchArchive(params.archive))
      return answer(c, asked, started, detailToWire(found))
    },
  })

const listOwnSubjobs = (options: JobRouteOptions) =>
  route({
    method: 'get',
    path: '/v1/jobs/{id}/subjobs',
    tag: 'Jobs',
    summary: 'Lists the subjobs of a job',
    description: `${listing} There is no default window.`,
    scope: 'read',
    query: ownSubjobParams(options.limits),
    answer: listOf(subjobList),
    problems: [404, 422, 503],
    async handle(c, params) {
      await findJob(c, ask(options.reader), onlyNot(params.archive))
      return answerParams(c, 'subjobs', { ...params, job_id: uuidId.read(c) }, options)
    },
  })

const listEvents = ({ reader, limits }: JobRouteOptions) =>
  route({
    method: 'get',
    path: '/v1/jobs/{id}/events',
    tag: 'Jobs',
    summary: 'Lists the events of a job, newest first',
    description:
      'As they were received. Events that only the archive has are listed with `archive=true`; without it `completeness` names the days that are there.',
    scope: 'read',
    query: eventParams(limits),
    answer: { 'application/json': [eventList] },
    problems: [404, 422, 503],
    examples: [
      { query: 'kind=error&limit=20', about: 'the latest errors of a job' },
      { query: 'sort=oldest', about: 'its events as they happened' },
    ],
    async handle(c, params) {
      const filter = toEventFilter(params, limits)
      const asked = ask(reader)
      await findJob(c, asked, onlyNot(params.archive))
      return answerItems(c, asked, filter.limit, async () => {
        const { signal } = c.req.raw
        const page = await asked.reader.findEvents(uuidId.read(c), filter, signal)
        const { items, next, completeness } = page
        const more = {
          complete: next === null,
          next_cursor: next && eventCursorToWire(next, filter.order),
          ...(completeness ? { completeness: completenessTable.toWire(completeness) } : {}),
        }
        return { items, toWire: (item) => item, more }
      })
    },
  })

/** To know that there is a job its subjobs need not be counted in the archive. */
const onlyNot = (archive: 'true' | 'false' | undefined) => (archive === 'false' ? false : undefined)

/** @throws AppError not_found when the path names neither a job nor a subjob */
async function findJob(c: Context, { reader }: Asked, archive: SearchArchive) {
  const id = uuidId.read(c)
  const found = await reader.getJob(id, c.req.raw.signal, archive)
  if (found) return found
  throw new AppError('not_found', `there is no job or subjob ${id}`, { field: 'id' })
}

function answerParams(
  c: Context,
  name: 'jobs' | 'subjobs',
  params: JobParams,
  { reader, limits, now = clock.nowMs }: JobRouteOptions,
): Promise<Response> {
  const asked = ask(reader)
  return answerList(c, { name, params, asked, filter: toFilter(params, limits, now()) }, limits)
}
