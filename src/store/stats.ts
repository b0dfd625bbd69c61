import { measureJson } from '../core/answer-size.ts'
import { addHistograms, type Bounds, percentileOf, toHistogramText } from '../core/histogram.ts'
import { isOpen, type JobStatus } from '../core/job.ts'
import {
  checkBuckets,
  maxStatsRows,
  type StatsBucket,
  type StatsFilter,
  type StatsRow,
  tooManyGroups,
} from '../core/questions/stats.ts'
import { fromMs, type Micros, toMs } from '../core/time.ts'
import { clock } from '../platform/clock.ts'
import { findAppNames } from './apps.ts'
import type { Store } from './connect.ts'
import type { Sql } from './driver.ts'
import { failedAttemptsSql, queueSql } from './job-rows.ts'
import { type Fragment, factsSql } from './job-walks.ts'
import { Page, readPage } from './page.ts'
import { hourRowsSql, rollupRowsSql, topLevels, weighWindow } from './rollups/read.ts'

const weekMs = 7 * 86_400_000
/** Windows up to this are counted from the jobs: seven days, and an hour for those that begin "a week ago". */
const exactMs = weekMs + 3_600_000
/** Windows up to this are always counted from the jobs. */
const shortMs = 2 * 3_600_000
/** More jobs than this are counted from what is made of their hours: it takes as long for a million. */
const exactJobs = 20_000

/**
 * Counts and durations of the jobs that started (or ended) in the window (the last seven days unless given),
 * by bucket (of UTC) and group; oldest first. Percentiles are nearest ranks over the jobs that ended: exact where
 * the jobs are counted, otherwise from histograms.
 *
 * @throws AppError invalid, when the window has too many buckets or the groups are too many
 */
export async function findStats(
  store: Store,
  filter: StatsFilter,
  signal: AbortSignal,
): Promise<StatsRow[]> {
  const window = windowOf(filter)
  const { site, appName } = filter
  const apps = appName === undefined ? undefined : await findAppNames(store, appName, site, signal)
  if (apps?.length === 0) return []
  const asked: Asked = { ...filter, ...window, apps }
  const rows = await chooseRows(store, asked, signal)
  const { items, more } = await readPage<Row, StatsRow>(
    store,
    { operation: 'stats', table: rows ? 'job_stats' : 'job' },
    (sql) => (rows ? addedUpSql(sql, asked, rows(sql)) : countedSql(sql, asked)),
    new Page({
      limit: maxStatsRows,
      toItem: (row) => statsRowOf(row, filter.histogram),
      sizeOf: measureJson,
    }),
    signal,
  )
  if (more) throw tooManyGroups()
  return items
}

/** A question, with its window and the names of the apps that it is about. */
type Asked = StatsFilter & { from: Micros; to: Micros; apps: string[] | undefined }

function windowOf({ from, to, bucket }: StatsFilter): { from: Micros; to: Micros } {
  const end = to ?? fromMs(clock.nowMs() + 1)
  const start = from ?? fromMs(toMs(end) - weekMs)
  checkBuckets(bucket, toMs(start), toMs(end))
  return { from: start, to: end }
}

/**
 * What the answer is made of: rows of rollups, or of hours; undefined for the jobs themselves. Rollups are by the
 * start of the jobs and know no facts. Jobs that have not ended are few and found by an index, so they are counted
 * whatever the window.
 */
async function chooseRows(
  store: Store,
  asked: Asked,
  signal: AbortSignal,
): Promise<((sql: Sql) => Fragment) | undefined> {
  const { time = 'started', facts, status } = asked
  const level = topLevels[asked.bucket]
  const spanMs = toMs(asked.to) - toMs(asked.from)
  const hasFacts = Object.values(facts ?? {}).some((value) => value !== undefined)
  if (level === undefined || hasFacts || (status?.every(isOpen) ?? false)) return undefined
  if (time === 'started' && spanMs > exactMs) return rollupRowsSql(store, asked, level, signal)
  if (spanMs <= shortMs) return undefined
  const filter = (sql: Sql) => filterSql(sql, asked) as unknown as Fragment
  const { jobs, isFrozen } = await weighWindow(store, { window: asked, time, filter }, signal)
  if (isFrozen && time === 'started') return rollupRowsSql(store, asked, level, signal)
  return jobs > exactJobs ? (sql) => hourRowsSql(sql, asked, time) : undefined
}

type Row = {
  bucket: Micros
  siteId: string | null
  appName: string | null
  status: JobStatus | null
  n: number
  avg: number | null
  min: number | null
  max: number | null
  /** Percentiles of the durations; null where they are made from the histogram. */
  p: Percentiles | null
  failed: number
  q: Percentiles | null
  histogram: string | null
  waits: string | null
}
type Percentiles = [number | null, number | null, number | null]

const steps: Record<StatsBucket, string> = {
  '5m': '5 minutes',
  hour: '1 hour',
  day: '1 day',
  week: '7 days',
  month: '1 month',
}

/** The start of the bucket of a time. The first Monday of the millennium is where weeks and all else begin. */
const bucketSql = (sql: Sql, bucket: StatsBucket, at: Fragment) =>
  bucket === 'month'
    ? sql`date_trunc('month', ${at}, 'UTC')`
    : sql`date_bin(${steps[bucket]}::interval, ${at}, '2000-01-03T00:00:00Z')`

/** The groups that are asked for; the others are null. */
const groupsSql = (sql: Sql, { groupBy }: StatsFilter) => {
  const by = (group: 'site' | 'app' | 'status', column: string) =>
    groupBy.includes(group) ? sql(column) : sql`null::text`
  return sql`${by('site', 'site_id')} as site_id, ${by('app', 'app_name')} as app_name,
    ${by('status', 'status')} as status`
}

const filterSql = (sql: Sql, { site, apps, status }: Asked) => sql`
  ${site === undefined ? sql`` : sql`and site_id = ${site}`}
  ${apps === undefined ? sql`` : sql`and app_name = any(${apps})`}
  ${status === undefined ? sql`` : sql`and status = any(${[...status]})`}`

/** Of the jobs themselves. `percentile_disc` is the nearest rank. */
function countedSql(sql: Sql, asked: Asked) {
  const { from, to, facts = {}, time = 'started', bucket, histogram } = asked
  const at = sql({ started: 'started_at', ended: 'ended_at' }[time]) as unknown as Fragment
  const bins = (column: string) =>
    histogram
      ? sql`histogram_of(array_agg(histogram_bin(${sql(column)})) filter (where ${sql(column)} is not null))`
      : sql`null::text`
  return sql<Row[]>`
    /* stats.stats */
    select bucket, site_id, app_name, status, count(*) as n, avg(duration_s) as avg,
      min(duration_s) as min, max(duration_s) as max,
      percentile_disc(array[0.5, 0.95, 0.99]) within group (order by duration_s) as p,
      sum(failed) as failed,
      percentile_disc(array[0.5, 0.95, 0.99]) within group (order by queue_s) as q,
      ${bins('duration_s')} as histogram, ${bins('queue_s')} as waits
    from (
      select ${bucketSql(sql, bucket, at)} as bucket, ${groupsSql(sql, asked)}, duration_s,
        ${failedAttemptsSql(sql)} as failed, ${queueSql(sql)} as queue_s
      from job where ${at} >= ${from} and ${at} < ${to}
      ${filterSql(sql, asked)} ${factsSql(sql, facts)}) started
    group by 1, 2, 3, 4 order by 1, 2, 3, 4 limit ${maxStatsRows + 1}`
}

/** Of rollups. Histograms are joined here and added up by the reader: half of what that costs in SQL. */
const addedUpSql = (sql: Sql, asked: Asked, rows: Fragment) => sql<Row[]>`
  /* stats.rollups */
  select ${bucketSql(sql, asked.bucket, sql`bucket` as unknown as Fragment)} as bucket, ${groupsSql(sql, asked)},
    sum(n)::int8 as n, sum(sum_s) / nullif(sum(timed), 0)::float8 as avg, min(min_s) as min, max(max_s) as max,
    null as p, sum(failed)::int8 as failed, null as q,
    string_agg(histogram, ' ') as histogram, string_agg(waits, ' ') as waits
  from (${rows}) rolled where true ${filterSql(sql, asked)}
  group by 1, 2, 3, 4 order by 1, 2, 3, 4 limit ${maxStatsRows + 1}`

function statsRowOf(row: Row, withHistograms = false): StatsRow {
  const { n, avg, min, max, p, failed, q, histogram, waits, ...rest } = row
  const took = toPercentiles(p, histogram, { min, max })
  const waited = toPercentiles(q, waits, {})
  return {
    ...rest,
    count: n,
    durationAvgS: avg,
    durationMinS: min,
    durationMaxS: max,
    durationP50S: took.p[0],
    durationP95S: took.p[1],
    durationP99S: took.p[2],
    failedAttempts: failed,
    queueP50S: waited.p[0],
    queueP95S: waited.p[1],
    queueP99S: waited.p[2],
    ...(withHistograms
      ? { durationHistogram: took.histogram(), queueHistogram: waited.histogram() }
      : {}),
  }
}

function toPercentiles(exact: Percentiles | null, text: string | null, bounds: Bounds) {
  const sum = addHistograms(text === null ? [] : [text])
  const at = (share: number) => percentileOf(sum, share, bounds)
  const p: Percentiles = exact ?? [at(0.5), at(0.95), at(0.99)]
  return { p, histogram: () => toHistogramText(sum) }
}
