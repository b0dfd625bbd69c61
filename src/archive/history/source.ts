import type { EventFilter, JobFilter } from '../../core/job.ts'
import type { Micros } from '../../core/time.ts'
import type { ArchivedDay } from '../../store/archive/find-days.ts'
import type { ArchivedRow } from '../read/archived-rows.ts'

/*
 * The contract between what answers a question and what reads the files: one day of a site at a time, its rows that may
 * match, in batches. What comes of it is checked again by the one who asks; see matches.ts.
 */

/** The rows of one kind of a day that are wanted; an absent field asks nothing. */
export type DayQuestion = ArchivedDay &
  (
    | { kind: 'event'; ids: readonly string[]; filter: EventFilter }
    | {
        kind: 'job' | 'subjob'
        ids?: readonly string[] | undefined
        filter?: JobFilter | undefined
      }
  )

/** A range of the day that could not be read, `to` excluded. */
export type DayGap = { from: Micros; to: Micros; why: string }

export type DayBatch = {
  rows: readonly ArchivedRow[]
  missing: readonly DayGap[]
  /** Files opened for this day until now. */
  files: number
}

export interface DaySource {
  /**
   * Loads what it reads with; what that takes is not counted as the time of a question. It does not look at the archive.
   *
   * @throws AppError unreachable when the archive cannot be read now; the signal's reason
   */
  open(signal: AbortSignal): Promise<void>
  /**
   * @param endsAt when the answer is of no use any more, from performance.now()
   * @throws AppError unreachable when the archive cannot be read now; the signal's reason
   */
  readDay(question: DayQuestion, endsAt: number, signal: AbortSignal): AsyncIterable<DayBatch>
}
