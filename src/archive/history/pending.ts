import { estimateBytes, maxPageBytes } from '../../core/answer-size.ts'
import type { Job, JobFilter, Position } from '../../core/job.ts'
import { sortTime } from '../../core/job-filter.ts'
import { comparePositions, type ListShape } from '../../core/merge-parts.ts'
import { must } from '../../core/must.ts'

/** A job at its place in a list. */
export type ListedJob = Position & { job: Job }

export const toListedJob = (job: Job, { time }: JobFilter): ListedJob => ({
  ...{ job, id: job.id },
  at: must(sortTime(job, time), 'a list by the end holds only jobs that ended'),
})

export const sizeOfListed = ({ job }: ListedJob): number => estimateBytes(job)

/**
 * The first rows of a list among those that were found until now: as many as a page has, and one more that tells that others
 * follow. So memory does not grow with what is found.
 */
export class PendingRows<Row extends Position> {
  #rows: Row[] = []
  #isSorted = true
  readonly #shape: ListShape<Row>
  readonly #compare: (a: Position, b: Position) => number

  constructor(shape: ListShape<Row>) {
    this.#shape = shape
    this.#compare = comparePositions(shape.order)
  }

  add(rows: readonly Row[]): void {
    for (const row of rows) this.#rows.push(row)
    this.#isSorted = false
    if (this.#rows.length > 2 * this.#shape.limit + 1000) this.#trim()
  }

  /** The rows in the order of the list. */
  all(): Row[] {
    this.#trim()
    return this.#rows
  }

  /** True when nothing that comes after a place has room any more. */
  isFull(end: Position): boolean {
    const rows = this.all()
    const last = rows[this.#shape.limit - 1] ?? (this.#isCut ? rows.at(-1) : undefined)
    return last !== undefined && this.#compare(last, end) <= 0
  }

  /** True once there was more than a page has. */
  #isCut = false

  #trim(): void {
    if (this.#isSorted) return
    const { limit, sizeOf } = this.#shape
    this.#rows.sort(this.#compare)
    let [bytes, kept] = [0, 0]
    while (kept < this.#rows.length && kept <= limit && bytes <= maxPageBytes) {
      bytes += sizeOf(must(this.#rows[kept], 'it is below the length'))
      kept++
    }
    this.#isCut = kept > limit || bytes > maxPageBytes
    this.#rows.length = kept
    this.#isSorted = true
  }
}
