import type { Tally } from '../../../views/partials/cards.tsx'
import { runningQuestion } from '../../core/questions/running.ts'
import { type StatsFilter, statsQuestion } from '../../core/questions/stats.ts'
import { fromMs, type Micros, toMs } from '../../core/time.ts'
import { askCounts, type Visit } from '../visit.ts'
import { tallyEnded } from './statistics.ts'

/** What the cards count: by a window, or between two times. */
export type Span = { from: Micros; to: Micros; key: string }

/**
 * The figures of the cards, on every page: the jobs that ended in the span, and those that run now. No
 * filter of a list changes them. Undefined when the API is away and never answered this.
 */
export async function loadTally(visit: Visit, { from, to, key }: Span): Promise<Tally | undefined> {
  // Few buckets: the median within one is exact.
  const filter: StatsFilter = { from, to, time: 'ended', bucket: 'day', groupBy: ['status'] }
  const [ended, running, queued] = await Promise.all([
    askCounts(visit, ['tally', key], { question: statsQuestion, params: filter }),
    askCounts(visit, ['running'], { question: runningQuestion, params: {} }),
    countQueued(visit),
  ])
  if (ended === undefined || running === undefined) return undefined
  const sum = (count: 'running' | 'lost') => running.items.reduce((all, one) => all + one[count], 0)
  return {
    ...tallyEnded(ended.items),
    queued,
    running: sum('running') - sum('lost'),
    lost: sum('lost'),
    complete: running.items.every(({ complete }) => complete),
    missing: ended.sites?.missing ?? [],
  }
}

/** No job waits for longer than this, in days; the statistics of more have too many buckets. */
const longestWait = 2000

/** Jobs that wait for their start, whenever they were queued; undefined when that is not known. */
async function countQueued(visit: Visit): Promise<number | undefined> {
  const dayMs = 86_400_000
  const filter: StatsFilter = {
    from: fromMs(toMs(visit.now) - longestWait * dayMs),
    // The clock of the API may be ahead.
    to: fromMs(toMs(visit.now) + dayMs),
    status: ['queued'],
    bucket: 'day',
    groupBy: ['status'],
  }
  const counted = await askCounts(visit, ['queued'], { question: statsQuestion, params: filter })
  return counted?.items.reduce((sum, { count }) => sum + count, 0)
}
