import { AppError } from '../errors.ts'
import { toQuery } from '../filter-wire.ts'
import { type JobFilter, type JobStatus, statuses } from '../job.ts'
import { must } from '../must.ts'
import type { Micros } from '../time.ts'
import { choice, makeTable, number, orElse, orNull, text, time, whole } from '../wire-table.ts'
import type { Question } from './question.ts'

/** A group of jobs. */
export type StatsRow = {
  bucket: Micros
  siteId: string | null
  appName: string | null
  status: JobStatus | null
  count: number
  durationAvgS: number | null
  durationMinS: number | null
  durationMaxS: number | null
  durationP50S: number | null
  durationP95S: number | null
  durationP99S: number | null
  /** Attempts that failed, of all these jobs. */
  failedAttempts: number
  queueP50S: number | null
  queueP95S: number | null
  queueP99S: number | null
}

export const statsGroups = ['site', 'app', 'status'] as const
export type StatsGroup = (typeof statsGroups)[number]
export const statsTimes = ['started', 'ended'] as const
export const statsBuckets = ['5m', 'hour', 'day'] as const
export type StatsBucket = (typeof statsBuckets)[number]

const bucketMs: Record<StatsBucket, number> = { '5m': 300_000, hour: 3_600_000, day: 86_400_000 }
/** Maximum buckets of one question: a week of five minutes. */
const maxBuckets = 2016

/**
 * @param fromMs since 1970, as `toMs`
 * @throws AppError invalid, when a window has too many buckets
 */
export function checkBuckets(bucket: StatsBucket, fromMs: number, toMs: number): void {
  if ((toMs - fromMs) / bucketMs[bucket] < maxBuckets + 1) return
  throw new AppError(
    'invalid',
    `bucket: ${bucket} divides this window into over ${maxBuckets} buckets; use a longer bucket or a shorter window`,
    { field: 'bucket' },
  )
}

export type StatsFilter = Pick<
  JobFilter,
  'from' | 'to' | 'site' | 'appName' | 'status' | 'facts'
> & {
  /** The time by which jobs are counted; the start unless given. By the end, running jobs are not counted. */
  time?: (typeof statsTimes)[number] | undefined
  bucket: StatsBucket
  groupBy: readonly StatsGroup[]
}

const ofDurations = (what: string) =>
  orNull(number(`${what} duration in seconds; null without one.`))

const ofQueues = (what: string) =>
  orNull(number(`${what} time from queue to start in seconds; null where none waited.`))

/** Counts of jobs and their durations, by time and group. */
export const statsQuestion: Question<StatsFilter, StatsRow> = {
  name: 'stats',
  path: '/v1/stats',
  toQuery: (filter) =>
    toQuery({
      from: filter.from,
      to: filter.to,
      site: filter.site,
      app_name: filter.appName,
      status: filter.status?.join(','),
      ...filter.facts,
      time: filter.time,
      bucket: filter.bucket,
      group_by: filter.groupBy.join(','),
    }),
  table: makeTable<StatsRow>('a row of statistics', {
    bucket: time('Start of the bucket.'),
    siteId: orNull(text('Null unless grouped by site.')),
    appName: orNull(text('Null unless grouped by app.')),
    status: orNull(choice(statuses, 'Null unless grouped by status.')),
    count: whole('Number of jobs.'),
    durationAvgS: ofDurations('Average'),
    durationMinS: ofDurations('Minimum'),
    durationMaxS: ofDurations('Maximum'),
    durationP50S: ofDurations('Median'),
    durationP95S: ofDurations('95th percentile'),
    durationP99S: ofDurations('99th percentile'),
    failedAttempts: orElse(whole('Attempts of these jobs that failed.'), 0),
    queueP50S: ofQueues('Median'),
    queueP95S: ofQueues('95th percentile of the'),
    queueP99S: ofQueues('99th percentile of the'),
  }),
  /**
   * So that the rows can be added up: with the status, because then every job that counts in a row
   * either has a duration or none has.
   */
  forSite: (filter) =>
    isBySite(filter) || filter.groupBy.includes('status')
      ? filter
      : { ...filter, groupBy: [...filter.groupBy, 'status'] },
  merge: (answers, filter) => {
    const rows = mergeStats(
      answers.flatMap(({ items }) => items),
      filter,
    )
    if (rows.length > maxStatsRows) throw tooManyGroups()
    return rows
  },
}

/** Maximum rows of an answer. */
export const maxStatsRows = 20_000

export const tooManyGroups = () =>
  new AppError('invalid', `more than ${maxStatsRows} groups; choose a shorter window`, {
    field: 'group_by',
  })

const isBySite = ({ groupBy }: StatsFilter) => groupBy.includes('site')

/** Percentiles do not add up: over several rows they are null. */
function mergeStats(rows: readonly StatsRow[], filter: StatsFilter): StatsRow[] {
  if (isBySite(filter)) return sorted(rows)
  const byStatus = filter.groupBy.includes('status')
  const wanted = byStatus ? rows : rows.map((row) => ({ ...row, status: null }))
  const groups = Map.groupBy(wanted, ({ bucket, appName, status }) =>
    JSON.stringify([bucket, appName, status]),
  )
  return sorted([...groups.values()].map(sum))
}

function sum(rows: readonly StatsRow[]): StatsRow {
  const first = must(rows[0], 'a group has a row')
  if (rows.length === 1) return first
  const timed = rows.flatMap(({ count, durationAvgS: avg }) =>
    avg === null ? [] : [{ count, avg }],
  )
  const total = timed.reduce((seconds, { count, avg }) => seconds + count * avg, 0)
  const values = (key: 'durationMinS' | 'durationMaxS') => rows.flatMap((row) => row[key] ?? [])
  const orNone = (numbers: number[], pick: (...of: number[]) => number) =>
    numbers.length > 0 ? pick(...numbers) : null
  return {
    ...first,
    count: countAll(rows),
    durationAvgS: timed.length > 0 ? total / countAll(timed) : null,
    durationMinS: orNone(values('durationMinS'), Math.min),
    durationMaxS: orNone(values('durationMaxS'), Math.max),
    durationP50S: null,
    durationP95S: null,
    durationP99S: null,
    failedAttempts: rows.reduce((total, row) => total + row.failedAttempts, 0),
    queueP50S: null,
    queueP95S: null,
    queueP99S: null,
  }
}

const countAll = (rows: readonly { count: number }[]) =>
  rows.reduce((total, { count }) => total + count, 0)

const keyOf = ({ bucket, siteId, appName, status }: StatsRow) =>
  [bucket, siteId ?? '', appName ?? '', status ?? ''].join('\n')

const sorted = (rows: readonly StatsRow[]) =>
  [...rows].sort((a, b) => (keyOf(a) < keyOf(b) ? -1 : keyOf(a) > keyOf(b) ? 1 : 0))
