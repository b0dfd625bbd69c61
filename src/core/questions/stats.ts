import { AppError } from '../errors.ts'
import { toQuery } from '../filter-wire.ts'
import { addHistograms, type Bounds, percentileOf, toHistogramText } from '../histogram.ts'
import { type JobFilter, type JobStatus, statuses } from '../job.ts'
import { must } from '../must.ts'
import type { Micros } from '../time.ts'
import {
  choice,
  makeTable,
  number,
  optional,
  orElse,
  orNull,
  text,
  time,
  whole,
} from '../wire-table.ts'
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
  /** Of the durations, and of the times from queue to start (core/histogram.ts): where they were asked for. */
  durationHistogram?: string | undefined
  queueHistogram?: string | undefined
}

export const statsGroups = ['site', 'app', 'status'] as const
export type StatsGroup = (typeof statsGroups)[number]
export const statsTimes = ['started', 'ended'] as const
export const statsBuckets = ['5m', 'hour', 'day', 'week', 'month'] as const
export type StatsBucket = (typeof statsBuckets)[number]

const dayMs = 86_400_000
/** Of the shortest. */
const bucketMs: Record<StatsBucket, number> = {
  '5m': 300_000,
  hour: 3_600_000,
  day: dayMs,
  week: 7 * dayMs,
  month: 28 * dayMs,
}
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
  /** Rows have their histograms. */
  histogram?: boolean | undefined
}

const ofDurations = (what: string) =>
  orNull(number(`${what} duration in seconds; null without one.`))

const ofQueues = (what: string) =>
  orNull(number(`${what} time from queue to start in seconds; null where none waited.`))

const histogramOf = (what: string) =>
  optional(
    text(
      `Histogram of the ${what}, with \`histogram=true\`: \`bin:count\`, separated by spaces. A bin holds from 2^(bin/8) to 2^((bin+1)/8) seconds, and -10000 is zero.`,
    ),
  )

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
      ...(filter.histogram ? { histogram: 'true' } : {}),
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
    durationHistogram: histogramOf('durations'),
    queueHistogram: histogramOf('times from queue to start'),
  }),
  /**
   * So that the rows can be added up: with the status, because then every job that counts in a row
   * either has a duration or none has; and with histograms, from which percentiles follow.
   */
  forSite: (filter) =>
    isBySite(filter)
      ? filter
      : {
          ...filter,
          groupBy: [...new Set([...filter.groupBy, 'status'] as const)],
          histogram: true,
        },
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

/** Percentiles do not add up, histograms do. Over rows of a site that sends none they are null. */
function mergeStats(rows: readonly StatsRow[], filter: StatsFilter): StatsRow[] {
  if (isBySite(filter)) return sorted(rows)
  const byStatus = filter.groupBy.includes('status')
  const wanted = byStatus ? rows : rows.map((row) => ({ ...row, status: null }))
  const groups = Map.groupBy(wanted, ({ bucket, appName, status }) =>
    JSON.stringify([bucket, appName, status]),
  )
  const merged = sorted([...groups.values()].map(sum))
  return filter.histogram ? merged : merged.map(withoutHistograms)
}

const withoutHistograms = ({ durationHistogram: _, queueHistogram: __, ...row }: StatsRow) => row

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
  const [min, max] = [
    orNone(values('durationMinS'), Math.min),
    orNone(values('durationMaxS'), Math.max),
  ]
  const took = percentilesOf(rows, 'durationHistogram', { min, max })
  const waited = percentilesOf(rows, 'queueHistogram', {})
  return {
    ...first,
    count: countAll(rows),
    durationAvgS: timed.length > 0 ? total / countAll(timed) : null,
    durationMinS: min,
    durationMaxS: max,
    durationP50S: took.p50,
    durationP95S: took.p95,
    durationP99S: took.p99,
    failedAttempts: rows.reduce((total, row) => total + row.failedAttempts, 0),
    queueP50S: waited.p50,
    queueP95S: waited.p95,
    queueP99S: waited.p99,
    durationHistogram: took.histogram,
    queueHistogram: waited.histogram,
  }
}

function percentilesOf(
  rows: readonly StatsRow[],
  name: 'durationHistogram' | 'queueHistogram',
  bounds: Bounds,
) {
  // An older site sends none.
  const isKnown = rows.every((row) => row[name] !== undefined)
  const sum = addHistograms(isKnown ? rows.map((row) => row[name] ?? '') : [])
  const at = (share: number) => percentileOf(sum, share, bounds)
  return { histogram: toHistogramText(sum), p50: at(0.5), p95: at(0.95), p99: at(0.99) }
}

const countAll = (rows: readonly { count: number }[]) =>
  rows.reduce((total, { count }) => total + count, 0)

const keyOf = ({ bucket, siteId, appName, status }: StatsRow) =>
  [bucket, siteId ?? '', appName ?? '', status ?? ''].join('\n')

const sorted = (rows: readonly StatsRow[]) =>
  [...rows].sort((a, b) => (keyOf(a) < keyOf(b) ? -1 : keyOf(a) > keyOf(b) ? 1 : 0))
