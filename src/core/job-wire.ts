import * as z from 'zod'
import { cursorFromWire, cursorToWire, type ListOrder, sortOf } from './cursor-wire.ts'
import { AppError } from './errors.ts'
import type {
  App,
  Completeness,
  Job,
  JobFilter,
  JobPage,
  Source,
  StatsFilter,
  StatsRow,
  SubjobCounts,
  Usual,
} from './job.ts'
import { statuses } from './job.ts'
import { isCanonical, type Micros, parseTime } from './time.ts'

export { cursorFromWire, cursorToWire }

/**
 * The one place where what we hold (camelCase) becomes what is sent (snake_case) and back. The JSON
 * API writes with these functions, the reader of a remote site reads with them, so the two cannot
 * drift apart. Only the first level of keys is renamed: what users put into metadata and metrics
 * stays as they wrote it.
 *
 * Reading is lenient about what is absent (null) and about fields it does not know (ignored), since
 * sites upgrade at different times; it is strict about types.
 */
type Wire = Record<string, unknown>

const snake = (key: string) => key.replaceAll(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`)

const camel = (key: string) =>
  key.replaceAll(/_([a-z])/g, (_, letter: string) => letter.toUpperCase())

const renamed = (object: object, rename: (key: string) => string): Wire =>
  Object.fromEntries(Object.entries(object).map(([key, value]) => [rename(key), value]))

/**
 * A job as `GET /v1/jobs` shows it, or a subjob as `GET /v1/subjobs` does. Written out field by field:
 * lists are made of it, and renaming whatever an object holds took more time than their SQL.
 */
export function jobToWire(job: Job): Wire {
  const own =
    job.entityType === 'job'
      ? { job_id: job.id, job_key: job.jobKey }
      : { subjob_id: job.id, job_id: job.parentId, sub_key: job.subKey }
  return {
    ...own,
    app_id: job.appId,
    app_name: job.appName,
    app_version: job.appVersion,
    site_id: job.siteId,
    status: job.status,
    started_at: job.startedAt,
    ended_at: job.endedAt,
    duration_s: job.durationS,
    cpu_user_s: job.cpuUserS,
    cpu_system_s: job.cpuSystemS,
    mem_max_mb: job.memMaxMb,
    progress: job.progress,
    metrics: job.metrics,
    metadata: job.metadata,
    error_count: job.errorCount,
    last_error: job.lastError,
    last_event_at: job.lastEventAt,
    event_count: job.eventCount,
    inserted_at: job.insertedAt,
    updated_at: job.updatedAt,
    stuck: job.stuck,
    lost: job.lost,
    late: job.late,
    end_before_start: job.endBeforeStart,
    usual: job.usual ? usualToWire(job.usual) : null,
  }
}

const usualToWire = ({ runs, p05S, p50S, p95S }: Usual): Wire => ({
  runs,
  p05_s: p05S,
  p50_s: p50S,
  p95_s: p95S,
})

const time = z.string().transform((text, ctx): Micros => {
  // Our own form reaches further back than what we take from others.
  const parsed = isCanonical(text) ? text : parseTime(text)
  if (parsed === undefined) ctx.issues.push({ code: 'custom', message: 'no time', input: text })
  return parsed ?? ''
})
const orNull = <T extends z.ZodType>(schema: T) =>
  schema.nullish().transform((value) => value ?? null)
const numberOrNull = orNull(z.number())
const textOrNull = orNull(z.string())

const jobSchema = z.object({
  job_id: textOrNull,
  subjob_id: z.string().optional(),
  job_key: textOrNull,
  sub_key: textOrNull,
  app_id: z.string(),
  app_name: z.string(),
  app_version: z.string().default(''),
  site_id: z.string(),
  status: z.enum(statuses),
  started_at: time,
  ended_at: orNull(time),
  duration_s: numberOrNull,
  cpu_user_s: numberOrNull,
  cpu_system_s: numberOrNull,
  mem_max_mb: numberOrNull,
  progress: numberOrNull,
  metrics: z
    .record(z.string(), z.number())
    .nullish()
    .transform((value) => value ?? {}),
  metadata: z
    .record(z.string(), z.unknown())
    .nullish()
    .transform((value) => value ?? {}),
  error_count: z.number().default(0),
  last_error: textOrNull,
  last_event_at: time,
  event_count: z.number().default(0),
  inserted_at: time,
  updated_at: time,
  stuck: z.boolean().default(false),
  lost: z.boolean().default(false),
  late: z.boolean().default(false),
  end_before_start: z.boolean().default(false),
  usual: z
    .object({ runs: z.number(), p05_s: z.number(), p50_s: z.number(), p95_s: z.number() })
    .nullish()
    .transform((given): Usual | undefined =>
      given
        ? { runs: given.runs, p05S: given.p05_s, p50S: given.p50_s, p95S: given.p95_s }
        : undefined,
    ),
})

/** @throws AppError invalid, when the JSON is not a job or subjob */
export function jobFromWire(json: unknown): Job {
  const { job_id, subjob_id, usual, ...rest } = read(jobSchema, json, 'a job')
  const id = subjob_id ?? job_id
  if (id === null) throw notA('a job', 'job_id: missing')
  return {
    id,
    parentId: subjob_id === undefined ? null : job_id,
    entityType: subjob_id === undefined ? 'job' : 'subjob',
    ...renamed(rest, camel),
    ...(usual ? { usual } : {}),
  } as Job
}

export function completenessToWire(completeness: Completeness): Wire {
  return renamed(completeness, snake)
}

const gapSchema = z.object({ source: z.string(), from: z.number(), to: z.number() })

const completenessSchema = z.object({
  as_of: time,
  sources: z.number(),
  gaps: z.array(gapSchema).default([]),
  oldest_source_age_s: numberOrNull,
  skewed_sources: z.array(z.string()).default([]),
  hot_from: orNull(time),
  archive: z.enum(['used', 'available', 'off']),
})

export function completenessFromWire(json: unknown): Completeness {
  return renamed(read(completenessSchema, json, 'a completeness'), camel) as Completeness
}

/**
 * A page of a list, but for the fields that only the HTTP layer knows (`duration_s`). The list is
 * the one the page was asked of.
 */
export function pageToWire(page: JobPage, list: ListOrder): Wire {
  return {
    items: page.items.map(jobToWire),
    count: page.items.length,
    next_cursor: page.nextCursor === null ? null : cursorToWire(page.nextCursor, list),
    completeness: completenessToWire(page.completeness),
  }
}

const pageSchema = z.object({
  items: z.array(z.unknown()),
  next_cursor: textOrNull,
  completeness: z.unknown(),
  sites: z
    .object({
      total: z.number(),
      details: z.array(z.object({ id: z.string(), status: z.string() })),
    })
    .nullish(),
})

export function pageFromWire(json: unknown): JobPage {
  const page = read(pageSchema, json, 'a list of jobs')
  const cursor = page.next_cursor === null ? null : cursorFromWire(page.next_cursor)
  if (cursor === undefined) throw notA('a list of jobs', 'next_cursor: unreadable')
  return {
    items: page.items.map(jobFromWire),
    nextCursor: cursor && { at: cursor.at, id: cursor.id, sites: cursor.sites },
    completeness: completenessFromWire(page.completeness),
    ...(page.sites ? { sites: sitesFromWire(page.sites) } : {}),
  }
}

type SitesOnWire = NonNullable<z.infer<typeof pageSchema>['sites']>
const sitesFromWire = ({ total, details }: SitesOnWire) => ({
  total,
  missing: details.filter(({ status }) => status === 'failed').map(({ id }) => id),
})

const countsSchema = z.object({
  total: z.number(),
  running: z.number(),
  succeeded: z.number(),
  failed: z.number(),
  canceled: z.number(),
})

/** `GET /v1/jobs/{id}`: the job itself with the counts of its subjobs. */
export function jobDetailToWire({ job, subjobs }: { job: Job; subjobs: SubjobCounts }): Wire {
  return { ...jobToWire(job), subjobs }
}

export function jobDetailFromWire(json: unknown): { job: Job; subjobs: SubjobCounts } {
  const { subjobs } = read(z.object({ subjobs: countsSchema }), json, 'a job with its subjobs')
  return { job: jobFromWire(json), subjobs }
}

export const appToWire = (app: App): Wire => renamed(app, snake)
export const sourceToWire = (source: Source): Wire => renamed(source, snake)
export const statsRowToWire = (row: StatsRow): Wire => renamed(row, snake)

const appSchema = z.object({
  app_id: z.string(),
  name: z.string(),
  version: z.string().default(''),
  site_id: z.string(),
  first_seen_at: time,
  last_seen_at: time,
})

const sourceSchema = z.object({
  id: z.string(),
  site: z.string().optional(),
  epoch: z.string(),
  last_seq: z.number(),
  received: z.number(),
  gaps: z.array(gapSchema).default([]),
  last_seen_at: time,
  last_at: time,
  lag_s: z.number(),
  clock_offset_s: z.number(),
})

const statsRowSchema = z.object({
  bucket: time,
  site_id: textOrNull,
  app_name: textOrNull,
  status: orNull(z.enum(statuses)),
  count: z.number(),
  duration_avg_s: numberOrNull,
  duration_min_s: numberOrNull,
  duration_max_s: numberOrNull,
  duration_p50_s: numberOrNull,
  duration_p95_s: numberOrNull,
  duration_p99_s: numberOrNull,
})

export const appFromWire = (json: unknown) => renamed(read(appSchema, json, 'an app'), camel) as App
export const sourceFromWire = (json: unknown) =>
  renamed(read(sourceSchema, json, 'a source'), camel) as Source
export const statsRowFromWire = (json: unknown) =>
  renamed(read(statsRowSchema, json, 'a row of statistics'), camel) as StatsRow

/** `{items: [...]}`, as every list but that of jobs is answered. */
export function itemsFromWire<T>(json: unknown, item: (json: unknown) => T): T[] {
  return read(z.object({ items: z.array(z.unknown()) }), json, 'a list').items.map(item)
}

/** The query of `GET /v1/jobs` or `/v1/subjobs` that asks for this. */
export function jobFilterToQuery(filter: JobFilter): URLSearchParams {
  return query({
    from: filter.from,
    to: filter.to,
    time: filter.time,
    sort: sortOf(filter.order),
    status: filter.status?.join(','),
    app_name: filter.appName,
    app_id: filter.appId,
    site: filter.site,
    business_key: filter.businessKey,
    q: filter.q,
    min_duration_s: filter.minDurationS,
    max_duration_s: filter.maxDurationS,
    job_id: filter.jobId,
    limit: filter.limit,
    cursor: filter.cursor && cursorToWire(filter.cursor, filter),
  })
}

/** The query of `GET /v1/stats` that asks for this. */
export function statsFilterToQuery(filter: StatsFilter): URLSearchParams {
  return query({
    from: filter.from,
    to: filter.to,
    site: filter.site,
    app_name: filter.appName,
    status: filter.status?.join(','),
    bucket: filter.bucket,
    group_by: filter.groupBy.join(','),
  })
}

function query(values: Record<string, string | number | undefined>): URLSearchParams {
  const params = new URLSearchParams()
  for (const [name, value] of Object.entries(values)) {
    if (value !== undefined && value !== '') params.set(name, String(value))
  }
  return params
}

function read<T extends z.ZodType>(schema: T, json: unknown, what: string): z.infer<T> {
  const result = schema.safeParse(json)
  if (result.success) return result.data
  const issue = result.error.issues[0]
  throw notA(what, `${issue?.path.join('.') || 'the whole'}: ${issue?.message}`)
}

const notA = (what: string, why: string) => new AppError('invalid', `this is not ${what} (${why})`)
