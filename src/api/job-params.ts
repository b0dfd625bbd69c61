import * as z from 'zod'
import { readCursor, sorts, toOrder } from '../core/cursor-wire.ts'
import { AppError } from '../core/errors.ts'
import { maxAttempt, siteIdSchema } from '../core/event.ts'
import { readEventCursor } from '../core/event-cursor.ts'
import {
  type FactName,
  type Facts,
  factNames,
  facts,
  maxFact,
  searchedFacts,
} from '../core/facts.ts'
import {
  type EventFilter,
  flags,
  type JobFilter,
  type SearchArchive,
  statuses,
  timeFields,
} from '../core/job.ts'
import { defaultTime, toStatuses } from '../core/job-filter.ts'
import { kinds } from '../core/kinds.ts'
import { fromMs } from '../core/time.ts'
import { choice, choices, limitParam, number, text, time, uuid } from './query-params.ts'

export type Limits = {
  /** Rows in a list that is asked for without `limit` (QUERY_DEFAULT_LIMIT). */
  defaultLimit: number
  /** Maximum rows in a list (QUERY_MAX_LIMIT). */
  maxLimit: number
}

const day = 86_400_000

/** How far back a list goes without `from` and `to`. */
export const defaultWindowMs = 7 * day

export const siteParam = (description: string) =>
  siteIdSchema.meta({ description, example: 'fab1' }).optional()

export const windowParams = {
  from: time('Start of the window (inclusive). Without from and to: the last 7 days.'),
  to: time('End of the window (exclusive).'),
}

export const appNameParam = text(200, 'Case-insensitive substring of the app name.')
export const exactAppParam = text(200, 'Exactly this app name, case included.')
export const statusParam = choices(statuses, 'Only jobs in these states.')

/** A parameter for each fact of metadata. */
export const factParams = Object.fromEntries(
  factNames.map((name) => [
    name,
    text(maxFact, `Exactly ${facts[name].about}: \`metadata.${name}\`, case included.`),
  ]),
) as Record<FactName, ReturnType<typeof text>>

/** Whether the archive is searched as well. */
export const archiveParam = (otherwise: string) =>
  choice(
    ['true', 'false'],
    `true searches the archive as well as the hot store, false the hot store alone. ${otherwise}`,
  ).optional()

export const toSearchArchive = (given: 'true' | 'false' | undefined): SearchArchive =>
  given === undefined ? undefined : given === 'true'

/** The parameters of `GET /v1/jobs/{id}`. */
export const jobDetailParams = z.object({
  archive: archiveParam(
    'Otherwise a job that the hot store lacks is read from the archive, and subjobs that it lacks are not counted.',
  ),
})

/** The format of the answer; it wins over `Accept`. */
export const formats = ['json', 'csv', 'ndjson'] as const

/** The parameters of `GET /v1/jobs`. */
export const jobParams = (limits: Limits) =>
  z.object({
    ...windowParams,
    time: choice(
      timeFields,
      'The time that the window and the order use: the start, the end, or the last event. `active` is ordered by the start, and has what started or ended in the window and what began before its end and still waits or runs. Default: `ended` when `status` has only states of ended jobs, else `active`.',
    ).optional(),
    status: statusParam,
    app_name: appNameParam,
    exact_app: exactAppParam,
    app_version: text(64, 'Exactly this version of the app, case included.'),
    app_id: uuid('Only this app.').optional(),
    site: siteParam('Only this site.'),
    business_key: text(
      256,
      'Exact business key, usually the lot, a subjob without one having that of the job above it; without a default window.',
    ),
    ...factParams,
    flag: choices(
      flags,
      'Only jobs that have not ended and are one of these, whenever they began; `total` counts them.',
    ),
    q: text(
      200,
      `Case-insensitive substring of the key, sub key, app name, last error, ${searchedFacts.join(', ')}. A job whose business key or id is exactly this is found outside the window too, and so are subjobs without a key below it.`,
    ),
    min_duration_s: number({ min: 0 }, 'Minimum duration, in seconds.').optional(),
    max_duration_s: number({ min: 0 }, 'Maximum duration, in seconds.').optional(),
    min_attempts: number(
      { min: 1, max: maxAttempt, whole: true },
      'Only jobs that were tried at least so often; 2 for those that were tried again.',
    ).optional(),
    archive: archiveParam('Otherwise it is searched when `from` lies before the hot store.'),
    sort: choice(sorts, 'Newest or oldest first, by the selected time; ties by id.')
      .optional()
      .meta({ default: 'newest' }),
    limit: limitParam(limits),
    cursor: text(
      65_536,
      '`next_cursor` of the previous page, unchanged, with the same time and sort.',
    ),
    format: choice(
      formats,
      'Overrides the Accept header; csv and ndjson export every row of the window.',
    )
      .optional()
      .meta({ default: 'json' }),
  })

/** The parameters of `GET /v1/subjobs`. */
export const subjobParams = (limits: Limits) =>
  jobParams(limits).extend({
    job_id: uuid('Only the subjobs of this job, without a default window.').optional(),
    parent: choice(
      ['missing'],
      '`missing`: only subjobs whose job (or parent subjob) has not reported.',
    ).optional(),
  })

/** The parameters of `GET /v1/jobs/{id}/subjobs`: the job and its site are known. */
export const ownSubjobParams = (limits: Limits) =>
  jobParams(limits).omit({ site: true, app_id: true })

/** The parameters of `GET /v1/jobs/{id}/events`. */
export const eventParams = (limits: Limits) =>
  z.object({
    kind: choices(kinds, 'Only events of these kinds.'),
    status: choices(
      statuses,
      'Only events that report one of these states; an event without a status reports what its kind implies.',
    ),
    archive: archiveParam(
      'Otherwise it is searched when the hot store does not have the job any more.',
    ),
    sort: choice(sorts, 'Newest or oldest first by event time; ties by key.')
      .optional()
      .meta({ default: 'newest' }),
    limit: limitParam(limits),
    cursor: text(1000, '`next_cursor` of the previous page, unchanged, with the same sort.'),
  })

/** The place where the next page of a list begins. */
export const cursorParam = text(8192, '`next_cursor` of the previous page, unchanged.')

export type JobParams = z.infer<ReturnType<typeof subjobParams>>

/** @throws AppError invalid when parameters contradict each other */
export function toFilter(params: JobParams, limits: Limits, nowMs: number): JobFilter {
  checkPairs(params)
  const { status } = params
  const list = { time: params.time ?? defaultTime(status), order: toOrder(params.sort ?? 'newest') }
  return {
    ...list,
    ...windowOf(params, nowMs),
    status: params.status,
    appName: params.app_name,
    exactApp: params.exact_app,
    appVersion: params.app_version,
    appId: params.app_id,
    site: params.site,
    businessKey: params.business_key,
    facts: readFacts(params),
    flags: params.flag,
    q: params.q,
    minDurationS: params.min_duration_s,
    maxDurationS: params.max_duration_s,
    minAttempts: params.min_attempts,
    jobId: params.job_id,
    parent: params.parent,
    archive: toSearchArchive(params.archive),
    limit: params.limit ?? limits.defaultLimit,
    cursor: params.cursor === undefined ? undefined : readCursor(params.cursor, list),
  }
}

type EventParams = z.infer<ReturnType<typeof eventParams>>

/** @throws AppError invalid when the cursor is of another list */
export function toEventFilter(
  { kind, status, archive, sort, limit, cursor }: EventParams,
  { defaultLimit }: Limits,
): EventFilter {
  const order = toOrder(sort ?? 'newest')
  const after = cursor === undefined ? undefined : readEventCursor(cursor, order)
  return {
    ...{ order, kinds: kind, status, archive: toSearchArchive(archive) },
    ...{ limit: limit ?? defaultLimit, after },
  }
}

export function readFacts(params: { [N in FactName]?: string | undefined }): Facts | undefined {
  const given = factNames.filter((name) => params[name] !== undefined)
  return given.length === 0
    ? undefined
    : Object.fromEntries(given.map((name) => [name, params[name]]))
}

/** The jobs of a key, the subjobs of a job or without one, and what is lost are wanted whole; any other list has a window. */
function windowOf(params: JobParams, nowMs: number): Pick<JobFilter, 'from' | 'to'> {
  const { from, to, job_id, business_key, flag, parent } = params
  const isGiven = from !== undefined || to !== undefined
  const isWhole = [job_id, business_key, flag, parent].some((one) => one !== undefined)
  if (isGiven || isWhole) return { from, to }
  return { from: fromMs(nowMs - defaultWindowMs), to }
}

function checkPairs({ min_duration_s: min, max_duration_s: max, ...params }: JobParams): void {
  checkWindow(params)
  checkFlag(params)
  checkArchive(params)
  if (min !== undefined && max !== undefined && min > max) {
    throw new AppError('invalid', 'min_duration_s: must not be greater than max_duration_s', {
      field: 'min_duration_s',
    })
  }
}

/** Jobs that ended are not listed, and of those that wait only the late: the list would be empty, and look as if all were well. */
function checkFlag({ flag, status, time }: Pick<JobParams, 'flag' | 'status' | 'time'>): void {
  if (flag === undefined) return
  if (toStatuses({ status, flags: flag })?.length === 0) {
    throw new AppError(
      'invalid',
      'status: flag lists running jobs, and with late queued ones; send one of these, or omit it',
      { field: 'status' },
    )
  }
  if (time === 'ended') {
    throw new AppError('invalid', 'time: flag lists jobs that have not ended; omit time', {
      field: 'time',
    })
  }
}

/** The archive has what is over; these lists are of what happens now. */
function checkArchive({ archive, flag, parent }: JobParams): void {
  if (archive !== 'true' || (flag === undefined && parent === undefined)) return
  const other = flag === undefined ? 'parent' : 'flag'
  throw new AppError(
    'invalid',
    `archive: ${other} lists what the hot store has alone; omit one of the two`,
    { field: 'archive' },
  )
}

/** @throws AppError invalid when the window is empty */
export function checkWindow({ from, to }: { from?: string | undefined; to?: string | undefined }) {
  if (from === undefined || to === undefined || from < to) return
  throw new AppError('invalid', 'from: must be before to', {
    field: 'from',
  })
}
