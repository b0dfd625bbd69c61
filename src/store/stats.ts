import { measureJson } from '../core/answer-size.ts'
import type { JobStatus } from '../core/job.ts'
import {
  checkBuckets,
  maxStatsRows,
  type StatsFilter,
  type StatsRow,
  tooManyGroups,
} from '../core/questions/stats.ts'
import { fromMs, type Micros, toMs } from '../core/time.ts'
import { clock } from '../platform/clock.ts'
import { findAppNames } from './apps.ts'
import type { Store } from './connect.ts'
import { failedAttemptsSql, queueSql } from './job-rows.ts'
import { factsSql } from './job-walks.ts'
import { Page, readPage } from './page.ts'

const widths = { '5m': '5 minutes', hour: '1 hour', day: '1 day' } as const
const weekMs = 7 * 86_400_000

type Row = {
  bucket: Micros
  siteId: string | null
  appName: string | null
  status: JobStatus | null
  n: number
  avg: number | null
  min: number | null
  max: number | null
  p: Percentiles
  failed: number
  q: Percentiles
}
type Percentiles = [number | null, number | null, number | null] | null

/**
 * Counts and durations of the jobs that started (or ended) in the window (the last seven days unless given),
 * by bucket (of UTC) and group; oldest first. Percentiles are exact, over the jobs that ended.
 *
 * @throws AppError invalid, when the window has too many buckets or the groups are too many
 */
export async function findStats(
  store: Store,
  filter: StatsFilter,
  signal: AbortSignal,
): Promise<StatsRow[]> {
  const { from, to } = windowOf(filter)
  const { site, appName, status, facts = {}, time = 'started', bucket, groupBy } = filter
  const apps = appName === undefined ? undefined : await findAppNames(store, appName, site, signal)
  if (apps?.length === 0) return []
  const { items, more } = await readPage(
    store,
    { operation: 'stats', table: 'job' },
    (sql) => {
      const by = (group: 'site' | 'app' | 'status', column: string) =>
        groupBy.includes(group) ? sql(column) : sql`null::text`
      const at = sql({ started: 'started_at', ended: 'ended_at' }[time])
      return sql<Row[]>`
        /* stats.stats */
        select bucket, site_id, app_name, status, count(*) as n, avg(duration_s) as avg,
          min(duration_s) as min, max(duration_s) as max,
          percentile_cont(array[0.5, 0.95, 0.99]) within group (order by duration_s) as p,
          sum(failed) as failed,
          percentile_cont(array[0.5, 0.95, 0.99]) within group (order by queue_s) as q
        from (
          select date_bin(${widths[bucket]}::interval, ${at}, '2000-01-01T00:00:00Z') as bucket,
            ${by('site', 'site_id')} as site_id, ${by('app', 'app_name')} as app_name,
            ${by('status', 'status')} as status, duration_s,
            ${failedAttemptsSql(sql)} as failed, ${queueSql(sql)} as queue_s
          from job where ${at} >= ${from} and ${at} < ${to}
          ${site === undefined ? sql`` : sql`and site_id = ${site}`}
          ${apps === undefined ? sql`` : sql`and app_name = any(${apps})`}
          ${status === undefined ? sql`` : sql`and status = any(${[...status]})`}
          ${factsSql(sql, facts)}) started
        group by 1, 2, 3, 4 order by 1, 2, 3, 4 limit ${maxStatsRows + 1}`
    },
    new Page({ limit: maxStatsRows, toItem: statsRowOf, sizeOf: measureJson }),
    signal,
  )
  if (more) throw tooManyGroups()
  return items
}

function windowOf({ from, to, bucket }: StatsFilter): { from: Micros; to: Micros } {
  const end = to ?? fromMs(clock.nowMs() + 1)
  const start = from ?? fromMs(toMs(end) - weekMs)
  checkBuckets(bucket, toMs(start), toMs(end))
  return { from: start, to: end }
}

function statsRowOf({ n, avg, min, max, p, failed, q, ...rest }: Row): StatsRow {
  return {
    ...rest,
    count: n,
    durationAvgS: avg,
    durationMinS: min,
    durationMaxS: max,
    durationP50S: p?.[0] ?? null,
    durationP95S: p?.[1] ?? null,
    durationP99S: p?.[2] ?? null,
    failedAttempts: failed,
    queueP50S: q?.[0] ?? null,
    queueP95S: q?.[1] ?? null,
    queueP99S: q?.[2] ?? null,
  }
}
