import * as z from 'zod'
import { readCursor, sorts, toOrder } from '../core/cursor-wire.ts'
import { AppError } from '../core/errors.ts'
import { siteIdSchema } from '../core/event.ts'
import { type JobFilter, statuses } from '../core/job.ts'
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
export const statusParam = choices(statuses, 'Only jobs in these states.')

/** The format of the answer; it wins over `Accept`. */
export const formats = ['json', 'csv', 'ndjson'] as const

/** The parameters of `GET /v1/jobs`. */
export const jobParams = (limits: Limits) =>
  z.object({
    ...windowParams,
    time: choice(
      ['started', 'ended', 'seen'],
      'The time that the window and the order use: the start, the end, or the last event.',
    )
      .optional()
      .meta({ default: 'started' }),
    status: statusParam,
    app_name: appNameParam,
    app_id: uuid('Only this app.').optional(),
    site: siteParam('Only this site.'),
    business_key: text(256, 'Exact business key, usually the lot.'),
    q: text(200, 'Case-insensitive substring of the key, sub key, app name or last error.'),
    min_duration_s: number({ min: 0 }, 'Minimum duration, in seconds.').optional(),
    max_duration_s: number({ min: 0 }, 'Maximum duration, in seconds.').optional(),
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
  })

/** The parameters of `GET /v1/jobs/{id}/subjobs`: the job and its site are known. */
export const ownSubjobParams = (limits: Limits) =>
  jobParams(limits).omit({ site: true, app_id: true })

/** The parameters of `GET /v1/jobs/{id}/events`. */
export const eventParams = (limits: Limits) =>
  z.object({
    limit: limitParam(limits),
    cursor: text(1000, '`next_cursor` of the previous page, unchanged.'),
  })

export type JobParams = z.infer<ReturnType<typeof subjobParams>>

/** @throws AppError invalid when parameters contradict each other */
export function toFilter(params: JobParams, limits: Limits, nowMs: number): JobFilter {
  checkPairs(params)
  const list = { time: params.time ?? 'started', order: toOrder(params.sort ?? 'newest') } as const
  return {
    ...list,
    ...windowOf(params, nowMs),
    status: params.status,
    appName: params.app_name,
    appId: params.app_id,
    site: params.site,
    businessKey: params.business_key,
    q: params.q,
    minDurationS: params.min_duration_s,
    maxDurationS: params.max_duration_s,
    jobId: params.job_id,
    limit: params.limit ?? limits.defaultLimit,
    cursor: params.cursor === undefined ? undefined : readCursor(params.cursor, list),
  }
}

/** The subjobs of a job are few and wanted whole; every other list is bounded by a window. */
function windowOf({ from, to, job_id }: JobParams, nowMs: number): Pick<JobFilter, 'from' | 'to'> {
  if (from !== undefined || to !== undefined || job_id !== undefined) return { from, to }
  return { from: fromMs(nowMs - defaultWindowMs), to }
}

function checkPairs({ min_duration_s: min, max_duration_s: max, ...window }: JobParams): void {
  checkWindow(window)
  if (min !== undefined && max !== undefined && min > max) {
    throw new AppError('invalid', 'min_duration_s: must not be greater than max_duration_s', {
      field: 'min_duration_s',
    })
  }
}

/** @throws AppError invalid when the window is empty */
export function checkWindow({ from, to }: { from?: string | undefined; to?: string | undefined }) {
  if (from === undefined || to === undefined || from < to) return
  throw new AppError('invalid', 'from: must be before to', {
    field: 'from',
  })
}
