import { type Window, windows } from '../../../views/jobs-query.ts'
import type { Range, UsualCounts } from '../../../views/partials/cards.tsx'
import { AppError } from '../../core/errors.ts'
import { type StatsFilter, type StatsRow, statsQuestion } from '../../core/questions/stats.ts'
import { fromMs, type Micros, toMs } from '../../core/time.ts'
import { keepWhole, type Visit } from '../visit.ts'

/** Earlier windows that a window is compared with. */
const compared = 4
/** How long a comparison is kept, in milliseconds: it changes by the hour, not by the second. */
const keepMs = 300_000
/** Longer windows are not compared: the question would reach back weeks. */
const longestS = 86_400

/**
 * The counts of the four windows before this one, from the lowest to the highest. Undefined where
 * no job ended in one of them (the past is not known then), or the API is away. They say which sites are
 * missing from them: only counts of the same sites can be compared.
 */
export async function usualCounts(visit: Visit, window: Window): Promise<UsualCounts | undefined> {
  const spanS = windows[window]
  if (spanS === null || spanS > longestS) return undefined
  const { dashboard, backend, name, now } = visit
  const { from, asked } = toQuestion(spanS, now)
  const key = JSON.stringify([name, 'before', window])
  try {
    const { value } = await dashboard.cache.ask(
      key,
      () => backend.askPage(statsQuestion, asked, dashboard.signal),
      keepWhole(keepMs),
    )
    const ranges = toRanges(value.items, from, spanS)
    return ranges && { ...ranges, missing: value.sites?.missing ?? [] }
  } catch (error) {
    if (error instanceof AppError && error.retryable) return undefined
    throw error
  }
}

/** The four windows end at a whole step of the statistics: an hour, or five minutes of an hour. */
function toQuestion(spanS: number, now: Micros) {
  const stepMs = spanS > 3600 ? 3_600_000 : 300_000
  const to = Math.floor((toMs(now) - spanS * 1000) / stepMs) * stepMs
  const from = to - compared * spanS * 1000
  const asked: StatsFilter = {
    from: fromMs(from),
    to: fromMs(to),
    time: 'ended',
    bucket: spanS > 3600 ? 'hour' : '5m',
    groupBy: ['status'],
  }
  return { from, asked }
}

function toRanges(
  rows: readonly StatsRow[],
  from: number,
  spanS: number,
): Omit<UsualCounts, 'missing'> | undefined {
  const windowsSeen = Array.from({ length: compared }, () => ({
    jobs: 0,
    succeeded: 0,
    failed: 0,
    canceled: 0,
  }))
  for (const { bucket, status, count } of rows) {
    const seen = windowsSeen[Math.floor((toMs(bucket) - from) / (spanS * 1000))]
    if (!seen) continue
    seen.jobs += count
    if (status === 'succeeded' || status === 'failed' || status === 'canceled')
      seen[status] += count
  }
  if (windowsSeen.some(({ jobs }) => jobs === 0)) return undefined
  const range = (status: 'succeeded' | 'failed' | 'canceled'): Range => {
    const counts = windowsSeen.map((seen) => seen[status])
    return { least: Math.min(...counts), most: Math.max(...counts) }
  }
  return { succeeded: range('succeeded'), failed: range('failed'), canceled: range('canceled') }
}
