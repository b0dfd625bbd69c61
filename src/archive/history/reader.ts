import type { JobReader } from '../../core/job.ts'
import { clock } from '../../platform/clock.ts'
import { Baselines } from '../../store/baselines.ts'
import type { History } from './context.ts'
import { findHistoricJob } from './detail.ts'
import { findHistoricEvents } from './events.ts'
import { findPage } from './pages.ts'
import { standardBounds } from './rows.ts'

/*
 * The hot store and the archive as one JobReader. What always holds:
 *
 * - The hot store is asked first, and wins: a job that it has is never read from the archive. So one that is deleted there
 *   meanwhile is found in one of the two.
 * - The same cursor, order and shapes: a page is the two merged, as the pages of two sites are.
 * - An archive that is away changes nothing about what the hot store answers. `completeness` says what was searched and what not.
 */

export type HistoryOptions = Pick<History, 'hot' | 'store' | 'source'> &
  Partial<Pick<History, 'now' | 'bounds'>>

/** Jobs of the hot store, and of the archive where that is asked for. */
export function historyReader(given: HistoryOptions): JobReader {
  const history: History = {
    ...{ now: () => clock.now(), bounds: standardBounds },
    ...given,
    baselines: new Baselines(given.store),
  }
  return {
    ...given.hot,
    findJobs: (filter, signal) => findPage(history, 'job', filter, signal),
    findSubjobs: (filter, signal) => findPage(history, 'subjob', filter, signal),
    getJob: (id, signal, archive) => findHistoricJob(history, id, archive, signal),
    findEvents: (id, filter, signal) => findHistoricEvents(history, id, filter, signal),
  }
}
