import type { AppTally } from '../../../views/pages/overview.tsx'
import type { Tally } from '../../../views/partials/cards.tsx'
import { type Bucket, emptyBuckets } from '../../../views/partials/chart.tsx'
import { isOpen, type JobStatus } from '../../core/job.ts'
import { must } from '../../core/must.ts'
import type { StatsBucket, StatsRow } from '../../core/questions/stats.ts'
import { type Micros, toMs } from '../../core/time.ts'

/** The step of the statistics of a window: the API knows five minutes, hours and days. */
export function chooseBucket(spanS: number | null): { bucket: StatsBucket; stepS: number } {
  if (spanS === null || spanS > 14 * 86_400) return { bucket: 'day', stepS: 86_400 }
  return spanS <= 6 * 3600 ? { bucket: '5m', stepS: 300 } : { bucket: 'hour', stepS: 3600 }
}

/** The counts of the jobs that ended, and their median duration, from rows by status. */
export function tallyEnded(
  rows: readonly StatsRow[],
): Omit<Tally, 'queued' | 'running' | 'lost' | 'complete' | 'missing'> {
  const tally = { succeeded: 0, failed: 0, canceled: 0, unknown: 0 }
  for (const { status, count } of rows) {
    if (status !== null && !isOpen(status)) tally[status] += count
  }
  const waited = rows.some(({ queueP50S }) => queueP50S !== null)
  return { ...tally, waited, ...medianOf(rows) }
}

/**
 * The median of all from the medians of groups. Exact for a single group; otherwise the median of
 * the medians by their weight, which the cards call approximate.
 */
function medianOf(rows: readonly StatsRow[]): Pick<Tally, 'medianS' | 'medianExact'> {
  const medians = rows
    .flatMap(({ status, durationP50S: s, count: n }) =>
      (status !== null && isOpen(status)) || s === null ? [] : [{ s, n }],
    )
    .sort((a, b) => a.s - b.s)
  const half = medians.reduce((sum, { n }) => sum + n, 0) / 2
  let seen = 0
  for (const { s, n } of medians) {
    seen += n
    if (seen >= half) return { medianS: s, medianExact: medians.length === 1 }
  }
  return { medianS: null, medianExact: true }
}

/** The bars of a chart: every whole step of the window, also those without a job. */
export function fillBuckets(
  rows: readonly StatsRow[],
  { from, to, stepS }: { from: Micros; to: Micros; stepS: number },
): Bucket[] {
  const buckets = emptyBuckets(toMs(from), toMs(to), stepS)
  const first = toMs(must(buckets[0], 'a window has at least one step').at)
  for (const row of rows) {
    const bucket = buckets[Math.floor((toMs(row.bucket) - first) / (stepS * 1000))]
    if (bucket && row.status !== null) bucket[row.status] += row.count
  }
  return buckets
}

/** One line per app of jobs that ended, those with most failures first. At most `most` lines. */
export function tallyApps(rows: readonly StatsRow[], most: number): AppTally[] {
  const apps = new Map<string, AppTally>()
  for (const { appName, status, count } of rows) {
    const name = appName ?? ''
    const app = apps.get(name) ?? { name, failed: 0, ended: 0, unknown: 0 }
    apps.set(name, addTo(app, status, count))
  }
  return [...apps.values()]
    .sort((a, b) => b.failed - a.failed || b.ended - a.ended || a.name.localeCompare(b.name))
    .slice(0, most)
}

const addTo = (app: AppTally, status: JobStatus | null, n: number): AppTally => ({
  ...app,
  failed: app.failed + (status === 'failed' ? n : 0),
  ended: app.ended + (status !== null && isOpen(status) ? 0 : n),
  unknown: app.unknown + (status === 'unknown' ? n : 0),
})
