import type { Micros } from '../core/time.ts'
import type { Held } from './retention.ts'
import { nothingWaits, type Waiting } from './waiting.ts'

export type FailedDay = { site: string; day: Micros; why: string }

export type ArchiverState = {
  /** This process is the one that archives; it does not wait for another to end. */
  here: boolean
  /** The reason why nothing can be archived now. */
  trouble: string | undefined
  /** Days that could not be archived as things are; every round tries them again. */
  failed: readonly FailedDay[]
  /** Days whose jobs are still changing. */
  unsettled: number
  /** Days archived by this process, each for the first time. */
  days: number
  waiting: Waiting
  /** What it is doing, and since when on the clock of `performance`. */
  step: { name: string; sinceMs: number } | undefined
  /** The reason why raw events past retention have to stay. */
  held: Held | undefined
  lastRunAt: Micros | null
}

/** Of an archiver that has not looked yet. */
export const newState = (): ArchiverState => ({
  here: false,
  trouble: undefined,
  failed: [],
  unsettled: 0,
  days: 0,
  waiting: nothingWaits,
  step: undefined,
  held: undefined,
  lastRunAt: null,
})

export const isSameFailure = (a: FailedDay, b: FailedDay) =>
  a.site === b.site && a.day === b.day && a.why === b.why
