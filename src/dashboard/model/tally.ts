import type { Tally } from '../../../views/partials/cards.tsx'
import { runningQuestion } from '../../core/questions/running.ts'
import { type StatsFilter, statsQuestion } from '../../core/questions/stats.ts'
import type { Micros } from '../../core/time.ts'
import { ask, type Visit } from '../visit.ts'
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
  const [ended, running] = await Promise.all([
    ask(visit, ['tally', key], (backend, signal) => backend.ask(statsQuestion, filter, signal)),
    ask(visit, ['running'], (backend, signal) => backend.ask(runningQuestion, {}, signal)),
  ])
  if (ended === undefined || running === undefined) return undefined
  const sum = (count: 'running' | 'lost') => running.reduce((all, one) => all + one[count], 0)
  return {
    ...tallyEnded(ended),
    running: sum('running') - sum('lost'),
    lost: sum('lost'),
    complete: running.every(({ complete }) => complete),
  }
}
