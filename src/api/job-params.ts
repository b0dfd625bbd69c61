import * as z from 'zod'
import { cursorFor, orderOf, sorts } from '../core/cursor-wire.ts'
import { AppError } from '../core/errors.ts'
import { siteIdSchema } from '../core/event.ts'
import { type JobFilter, statuses } from '../core/job.ts'
import { fromMs } from '../core/time.ts'
import { number, oneOf, someOf, text, time, uuid } from './query-params.ts'

export type Limits = {
  /** Rows in a list when none is asked (QUERY_DEFAULT_LIMIT). */
  defaultLimit: number
  /** Most rows in a list (QUERY_MAX_LIMIT). */
  maxLimit: number
}

const day = 86_400_000

/** How far back a list goes when neither `from` nor `to` is given. */
export const defaultWindowMs = 7 * day

export const siteParam = (description: string) =>
  siteIdSchema.meta({ description, example: 'fab1' }).optional()

export const windowParams = {
  from: time('Begin of the window, included. The last 7 days when neither from nor to is given.'),
  to: time('End of the window, not included.'),
}

const limitParam = ({ defaultLimit, maxLimit }: Limits) =>
  number({ min: 1, max: maxLimit, whole: true }, 'Most rows in the answer.')
    .optional()
    .meta({ default: defaultLimit })

/** The format of the answer; it wins over `Accept`. */
export const formats = ['json', 'csv', 'ndjson'] as const

/** What `GET /v1/jobs` can be asked. */
export const jobParams = (limits: Limits) =>
  z.object({
    ...windowParams,
    time: oneOf(
      ['started', 'ended', 'seen'],
      'Which time the window and the order are about: the start, the end, or the last event.',
    )
      .optional()
      .meta({ default: 'started' }),
    status: someOf(statuses, 'Only jobs in these states.'),
    app_name: text(200, 'Contained in the name of the app, whatever its case.'),
    app_id: uuid('Only this app.').optional(),
    site: siteParam('Only this site.'),
    business_key: text(256, 'Exactly this business key, as a rule the lot.'),
    q: text(200, 'Contained in the key, sub key, app name or last error, whatever its case.'),
    min_duration_s: number({ min: 0 }, 'Took at least this long, in seconds.').optional(),
    max_duration_s: number({ min: 0 }, 'Took at most this long, in seconds.').optional(),
    sort: oneOf(sorts, 'Newest or oldest first, by the time asked for; ties by id.')
      .optional()
      .meta({ default: 'newest' }),
    limit: limitParam(limits),
    cursor: text(
      65_536,
      '`next_cursor` of the page before, unchanged, with the same time and sort.',
    ),
    format: oneOf(
      formats,
      'Instead of an Accept header: csv and ndjson export every row of the window.',
    )
      .optional()
      .meta({ default: 'json' }),
  })

/** What `GET /v1/subjobs` can be asked. */
export const subjobParams = (limits: Limits) =>
  jobParams(limits).extend({
    job_id: uuid('Only the subjobs of this job; then there is no default window.').optional(),
  })

/** What `GET /v1/jobs/{id}/subjobs` can be asked: the job and its site are known. */
export const ownSubjobParams = (limits: Limits) =>
  jobParams(limits).omit({ site: true, app_id: true })

/** What `GET /v1/jobs/{id}/events` can be asked. */
export const eventParams = (limits: Limits) => z.object({ limit: limitParam(limits) })

export type JobParams = z.infer<ReturnType<typeof subjobParams>>

/**
 * The filter that a query asks for.
 *
 * @throws AppError invalid when parameters contradict each other
 */
export function filterOf(params: JobParams, limits: Limits, nowMs: number): JobFilter {
  checkPairs(params)
  const list = { time: params.time ?? 'started', order: orderOf(params.sort ?? 'newest') } as const
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
    cursor: params.cursor === undefined ? undefined : cursorFor(params.cursor, list),
  }
}

/** A job's own subjobs are few and wanted whole; every other list is bounded by a window. */
function windowOf({ from, to, job_id }: JobParams, nowMs: number): Pick<JobFilter, 'from' | 'to'> {
  if (from !== undefined || to !== undefined || job_id !== undefined) return { from, to }
  return { from: fromMs(nowMs - defaultWindowMs), to }
}

function checkPairs({ min_duration_s: min, max_duration_s: max, ...window }: JobParams): void {
  checkWindow(window)
  if (min !== undefined && max !== undefined && min > max) {
    throw new AppError('invalid', 'min_duration_s: must not be over max_duration_s', {
      field: 'min_duration_s',
    })
  }
}

/** @throws AppError invalid when the window is empty */
export function checkWindow({ from, to }: { from?: string | undefined; to?: string | undefined }) {
  if (from === undefined || to === undefined || from < to) return
  throw new AppError('invalid', 'from: must be before to; from is included, to is not', {
    field: 'from',
  })
}
